import numpy as np
import pytest

from keras_retinanet.images import NORMALISATIONS, preprocess_image
from keras_retinanet.layers import Normalise


@pytest.mark.parametrize("mode", sorted(NORMALISATIONS))
def test_bytes_and_floats_become_what_preprocess_image_makes(mode):
    image = np.arange(256 * 3).reshape(1, 16, 16, 3).astype("uint8")
    layer = Normalise.from_config(Normalise(mode, name="normalised").get_config())
    for given in (image, image.astype("float32")):
        found = np.asarray(layer(given))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, preprocess_image(image, mode), rtol=1e-6, atol=1e-6)


def test_by_hand_and_unknown_modes():
    pixel = np.array([[[[0, 128, 255]]]], "uint8")
    np.testing.assert_allclose(Normalise("tf_rgb")(pixel), [[[[1, 0.00392157, -1]]]], atol=1e-6)
    with pytest.raises(ValueError, match="expected a mode of .*'caffe'"):
        Normalise("network")
