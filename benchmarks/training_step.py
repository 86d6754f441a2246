"""Time and memory of a training step: ResNet-50, 80 classes, 416x512, one image, Adam.

With `--mixed-precision bfloat16` in that, on processors that have it: the figures of two runs, one
after the other, say what it gains.
"""

from functools import partial

import detection_networks as networks
from common import NEW, OLD, TORCHVISION, main, milliseconds, parser, peak_memory

HEIGHT, WIDTH = 416, 512
TIME, MEMORY = "training step, ms", "peak memory, MB"


def measures(options, old):
    model = networks.old_or_new(old)
    step = old_step(model) if old else new_step(model, options.mixed_precision)
    return {TIME: lambda: milliseconds(step), MEMORY: peak_memory}


def old_step(model):
    import keras
    import numpy as np

    from keras_retinanet import losses
    from keras_retinanet.utils.anchors import anchor_targets_bbox, anchors_for_shape
    from keras_retinanet.utils.image import preprocess_image

    model.compile(
        loss={"regression": losses.smooth_l1(), "classification": losses.focal()},
        optimizer=keras.optimizers.Adam(1e-5, clipnorm=0.001),
    )
    images = preprocess_image(networks.image(HEIGHT, WIDTH))[np.newaxis]
    anchors = anchors_for_shape((HEIGHT, WIDTH, 3))
    targets = anchor_targets_bbox(anchors, [images[0]], [networks.annotations()], networks.CLASSES)
    return lambda: model.train_on_batch(images, list(targets[:2]))


def new_step(model, mixed_precision):
    from keras_retinanet.geometry.anchors import anchors_for_shape
    from keras_retinanet.geometry.targets import anchor_targets_compact
    from keras_retinanet.images import preprocess_image
    from keras_retinanet.models.precision import set_precision
    from keras_retinanet.training import compiling

    if mixed_precision != "none":
        set_precision(model, mixed_precision)
    compiling.compile_model(model, learning_rate=1e-5)
    images = preprocess_image(networks.image(HEIGHT, WIDTH))[None]
    anchors = anchors_for_shape((HEIGHT, WIDTH, 3))
    targets = anchor_targets_compact(anchors, images, [networks.annotations()], networks.CLASSES)
    return lambda: model.train_on_batch(images, targets)


def torchvision_measures(options):
    import torch

    # Else it enlarges the image to 800 pixels.
    model = networks.torchvision_model(min_size=HEIGHT, max_size=WIDTH).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    picture = networks.torch_image(networks.image(HEIGHT, WIDTH))
    objects = networks.annotations()
    targets = [
        {
            "boxes": torch.from_numpy(objects["bboxes"]),
            "labels": torch.from_numpy(objects["labels"]),
        }
    ]

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.mixed_precision != "none"):
            loss = sum(model([picture], targets).values())
        loss.backward()
        optimizer.step()

    return {TIME: lambda: milliseconds(step), MEMORY: peak_memory}


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--mixed-precision", choices=("none", "bfloat16"), default="none")
    makers = {
        OLD: partial(measures, old=True),
        TORCHVISION: torchvision_measures,
        NEW: partial(measures, old=False),
    }
    options = options.parse_args()
    if options.mixed_precision != "none":
        del makers[OLD]  # has no such option
    main(options, makers, one_thread=False)
