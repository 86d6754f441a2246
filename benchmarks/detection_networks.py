"""RetinaNet on ResNet-50 with 80 classes in each package, for the benchmarks of networks."""

import contextlib

CLASSES = 80
CANDIDATES = 3_000  # scores above the threshold, of 13 million; about what a photo gives


def image(height, width):
    """Return a picture: BGR, uint8."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype("uint8")


def annotations():
    """Return labels and boxes of five objects in an image of 416x512."""
    import numpy as np

    corners = np.array([[10, 20], [100, 50], [200, 200], [300, 30], [20, 300]], "float32")
    sides = np.array([[60, 80], [150, 100], [200, 180], [90, 200], [64, 64]], "float32")
    return {"labels": np.arange(5), "bboxes": np.concatenate([corners, corners + sides], axis=1)}


def old_or_new(old):
    """Return a training model of keras-retinanet, of the old package or of this one."""
    if old:
        with contextlib.suppress(ImportError):
            import legacy  # noqa: F401
    from keras_retinanet import models

    return models.backbone("resnet50").retinanet(num_classes=CLASSES)


def find_some(model, batch):
    """Scale the last classification layer so that a batch has `CANDIDATES` scores above 0.05.

    As they start, networks without training have millions, which is not what filtering is for.
    """
    import numpy as np

    last = model.get_layer("classification_submodel").get_layer("pyramid_classification")
    kernel, bias = last.get_weights()
    small = 1e-3 * kernel  # so that no score is 0 or 1
    last.set_weights([small, bias])
    scores = np.asarray(model.predict_on_batch(batch)[1], "float64")
    last.set_weights([small * factor(scores, float(bias[0])), bias])


def factor(scores, bias) -> float:
    """Return the factor on weights, `bias` apart, that makes the best scores at least 0.05."""
    import numpy as np

    above_bias = np.log(scores / (1 - scores)).ravel() - bias
    last = np.partition(above_bias, -CANDIDATES)[-CANDIDATES]
    return float((np.log(0.05 / 0.95) - bias) / last)


def torchvision_model(**settings):
    """Return torchvision's model, on all cores."""
    import os

    import torch
    from torchvision.models.detection import retinanet_resnet50_fpn

    torch.set_num_threads(os.cpu_count())
    return retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, **settings
    )


def torch_image(picture):
    """Return a picture as torchvision's models take it."""
    import numpy as np
    import torch

    return torch.from_numpy(np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))) / 255


def find_some_torch(model, picture):
    """Do with a model of torchvision what `find_some` does with one of Keras, for a picture."""
    import torch

    last = model.head.classification_head.cls_logits
    with torch.inference_mode():
        last.weight *= 1e-3
        images, _ = model.transform([picture])
        features = list(model.backbone(images.tensors).values())
        scores = model.head.classification_head(features).double().sigmoid().cpu().numpy()
        last.weight *= factor(scores, float(last.bias[0]))
