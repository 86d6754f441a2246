"""Time from an image to its detections: ResNet-50, 80 classes, 800x1088, one image."""

import detection_networks as networks
from common import NEW, OLD, TORCHVISION, main, milliseconds, parser, peak_memory

HEIGHT, WIDTH = 800, 1088
TIME, MEMORY = "image to detections, ms", "peak memory, MB"


def old_measures(options):
    model = networks.old_or_new(old=True)
    from keras_retinanet import models
    from keras_retinanet.utils.image import preprocess_image

    networks.find_some(model, preprocess_image(networks.image(HEIGHT, WIDTH))[None])
    inference = models.convert_model(model)
    return timed(lambda image: inference.predict_on_batch(preprocess_image(image)[None]))


def new_measures(options):
    """Return the measures of `retinanet-detect` with what `retinanet-convert-model` writes."""
    from keras_retinanet.system.devices import start_tensorflow

    start_tensorflow(weights_are_frozen=True)
    model = networks.old_or_new(old=False)
    from keras_retinanet import models
    from keras_retinanet.detection.detector import Detector
    from keras_retinanet.models.folding import fold_batch_norm

    networks.find_some(model, model.info.preprocess_image(networks.image(HEIGHT, WIDTH))[None])
    detector = Detector(fold_batch_norm(models.convert_model(model)))
    return timed(lambda image: detector.detect([image], max_detections=None))


def timed(detect):
    picture = networks.image(HEIGHT, WIDTH)
    return {TIME: lambda: milliseconds(lambda: detect(picture)), MEMORY: peak_memory}


def torchvision_measures(options):
    import torch

    model = networks.torchvision_model(detections_per_img=300).eval()
    picture = networks.image(HEIGHT, WIDTH)
    networks.find_some_torch(model, networks.torch_image(picture))

    def detect():
        with torch.inference_mode():
            return model([networks.torch_image(picture)])

    return {TIME: lambda: milliseconds(detect), MEMORY: peak_memory}


if __name__ == "__main__":
    makers = {OLD: old_measures, TORCHVISION: torchvision_measures, NEW: new_measures}
    main(parser(__doc__).parse_args(), makers, one_thread=False)
