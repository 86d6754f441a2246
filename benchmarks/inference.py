"""Time from an image to its detections: ResNet-50, 80 classes, 800x1088, one image."""

import detection_networks as networks
from common import NEW, OLD, TORCHVISION, main, milliseconds, parser, peak_memory

HEIGHT, WIDTH = 800, 1088
TIME, MEMORY = "image to detections, ms", "peak memory, MB"


def old_measures(options):
    model = networks.old_or_new(old=True)
    from keras_retinanet import models
    from keras_retinanet.utils.image import preprocess_image

    return timed(models.convert_model(model), preprocess_image)


def new_measures(options):
    """Return the measures of what `retinanet-convert-model` writes."""
    model = networks.old_or_new(old=False)
    from keras_retinanet import models
    from keras_retinanet.models.folding import fold_batch_norm

    return timed(fold_batch_norm(models.convert_model(model)), model.details.preprocess_image)


def timed(model, preprocess_image):
    picture = networks.image(HEIGHT, WIDTH)
    return {
        TIME: lambda: milliseconds(lambda: model.predict_on_batch(preprocess_image(picture)[None])),
        MEMORY: peak_memory,
    }


def torchvision_measures(options):
    import torch

    model = networks.torchvision_model(detections_per_img=300).eval()
    picture = networks.image(HEIGHT, WIDTH)

    def detect():
        with torch.inference_mode():
            return model([networks.torch_image(picture)])

    return {TIME: lambda: milliseconds(detect), MEMORY: peak_memory}


if __name__ == "__main__":
    makers = {OLD: old_measures, TORCHVISION: torchvision_measures, NEW: new_measures}
    main(parser(__doc__).parse_args(), makers, one_thread=False)
