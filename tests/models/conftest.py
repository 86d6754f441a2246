"""Models and files that several tests share; none of the tests changes them."""

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.heads import default_classification_model, default_regression_model
from keras_retinanet.models.retinanet import create_pyramid_features, retinanet
from tests.data import old_snapshots

TINY_INFO = ModelInfo(
    backbone="mobilenet_v2",
    num_classes=2,
    class_names=("cat", None),
    anchors=AnchorParameters([16, 32, 64, 128, 256], [8, 16, 32, 64, 128], [1.0], [1.0]),
    normalisation="tf_rgb",
    image_min_side=64,
    image_max_side=96,
    no_resize=True,
)


def build_tiny(levels=(3, 4, 5, 6, 7), num_classes=2):
    """A RetinaNet of all the usual layer names, with 8 channels and one anchor per location."""
    x = inputs = keras.Input((None, None, 3))
    features = {}
    for level in range(1, 6):
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=f"stage{level}")(x)
        features[f"C{level}"] = x
    return retinanet(
        inputs,
        features,
        num_classes,
        pyramid_levels=levels,
        create_pyramid_features=lambda layers, levels: create_pyramid_features(layers, levels, 8),
        submodels=[
            ("regression", default_regression_model(4, 1, 8, 8)),
            (
                "classification",
                # With the usual prior next to nothing would be detected.
                default_classification_model(num_classes, 1, 8, 0.3, 8),
            ),
        ],
    )


@pytest.fixture(scope="session")
def tiny():
    """A training model with an info."""
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    return model


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (2, 64, 90, 3)).astype("float32")


@pytest.fixture(scope="session")
def old_file(tmp_path_factory):
    """A function of a case's name that returns the path of its snapshot, made once."""
    folder, paths = tmp_path_factory.mktemp("old"), {}

    def path(case):
        if case not in paths:
            paths[case] = folder / f"{case}.h5"
            old_snapshots.write_snapshot(old_snapshots.read_layout(case), paths[case])
        return paths[case]

    return path


@pytest.fixture(scope="session")
def old_training(old_file):
    """The model that our reader makes of a training snapshot of keras-retinanet 1.0.0."""
    return models.load_model(old_file("old_training"))
