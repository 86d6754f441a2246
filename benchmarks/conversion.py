"""Time of making an inference model and of its first call: ResNet-50, 80 classes, 800x1088."""

from functools import partial

import detection_networks as networks
from common import NEW, OLD, main, milliseconds, parser


def measures(options, old):
    import numpy as np

    model = networks.old_or_new(old)
    from keras_retinanet import models

    batch = np.zeros((1, 800, 1088, 3), "float32")

    def convert_and_call():
        models.convert_model(model).predict_on_batch(batch)

    return {"converting and first call, ms": lambda: milliseconds(convert_and_call)}


if __name__ == "__main__":
    main(
        parser(__doc__).parse_args(),
        {OLD: partial(measures, old=True), NEW: partial(measures, old=False)},
        one_thread=False,
    )
