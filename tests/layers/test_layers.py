"""Names of the package `layers` that old programs import."""

import pytest

from keras_retinanet import layers


def test_everything_is_there():
    assert all(hasattr(layers, name) for name in layers.__all__)


def test_a_removed_name_says_what_to_use_instead():
    with pytest.raises(ImportError, match="use keras_retinanet.layers.FilterDetections"):
        from keras_retinanet.layers import NonMaximumSuppression  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        _ = layers.anything
