"""Small networks whose weights are large enough to find something."""

import numpy as np
import pytest

from tests.fakes import tiny_retinanet


def lively_retinanet(num_classes=3):
    """A training model that finds dozens of boxes on any image, with an info."""
    # ONNX Runtime pads otherwise where a stride is larger than the kernel.
    model = tiny_retinanet(num_classes, kernel=8)
    rng = np.random.default_rng(0)
    for head, bias in (("classification", -4.0), ("regression", 0.0)):
        layer = model.get_layer(f"{head}_submodel").get_layer(f"pyramid_{head}")
        layer.kernel.assign(rng.normal(0, 0.006, layer.kernel.shape))
        layer.bias.assign(np.full(layer.bias.shape, bias))
    return model


@pytest.fixture(scope="session")
def lively():
    return lively_retinanet()


@pytest.fixture(scope="session")
def images():
    """Images of several sizes."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*size, 3)).astype("uint8") for size in ((64, 96), (70, 60))]
