"""RetinaNet on ResNet-50 with 80 classes in each package, for the benchmarks of networks."""

import contextlib

CLASSES = 80


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
