"""Small networks whose weights are large enough to find something."""

from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.models.published import SOURCES
from tests.fakes import tiny_retinanet

LEVELS = (3, 4, 5)  # with five a graph takes twice as long to convert
# The models of formats' tests: our own, and those of two libraries, which prepare, decode, clip and
# filter otherwise.
KINDS = ("own", "torchvision v1", "detectron2")


def finding_retinanet(kind="own", num_classes=3):
    """A training model that finds dozens of boxes on any image, with an info."""
    pad_multiple = 1 if kind == "own" else SOURCES[kind].info.pad_multiple
    # ONNX Runtime pads otherwise where a stride is larger than the kernel.
    model = tiny_retinanet(num_classes, kernel=8, pad_multiple=pad_multiple, levels=LEVELS)
    rng = np.random.default_rng(0)
    # torchvision's values of pixels are fifty times smaller.
    spread = 0.3 if kind.startswith("torchvision") else 0.006
    for head, bias in (("classification", -4.0), ("regression", 0.0)):
        layer = model.get_layer(f"{head}_submodel").get_layer(f"pyramid_{head}")
        layer.kernel.assign(rng.normal(0, spread, layer.kernel.shape))
        layer.bias.assign(np.full(layer.bias.shape, bias))
    known = model.info if kind == "own" else SOURCES[kind].info
    anchors = known.anchors or AnchorParameters.default
    count = len(LEVELS)
    info = replace(
        known,
        backbone="resnet50",
        num_classes=num_classes,
        pyramid_levels=LEVELS,
        anchors=AnchorParameters(
            anchors.sizes[:count],
            anchors.strides[:count],
            anchors.ratios,
            anchors.scales,
            layout=anchors.layout,
        ),
        image_min_side=64,
        image_max_side=96,
    )
    models.set_info(model, info)
    return model


@pytest.fixture(scope="session")
def trained_models():
    """A training model of each of `KINDS`."""
    return {kind: finding_retinanet(kind) for kind in KINDS}


@pytest.fixture(scope="session")
def trained(trained_models):
    return trained_models["own"]


@pytest.fixture(scope="session")
def images():
    """Images of two sizes, two of which share a batch."""
    rng = np.random.default_rng(1)
    sizes = ((64, 96), (70, 60), (64, 96))
    return [rng.integers(0, 256, (*size, 3)).astype("uint8") for size in sizes]
