from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection.detector import Detector
from keras_retinanet.images import NORMALISATIONS, preprocess_image
from keras_retinanet.models.device_normalisation import normalise_on_device
from tests.models.conftest import TINY_INFO, build_tiny

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 64, 90, 3)).astype("uint8")


@pytest.mark.parametrize("mode", sorted(NORMALISATIONS))
def test_the_network_normalises_as_the_data_path_does(mode):
    plain = build_tiny()
    models.set_info(plain, replace(TINY_INFO, normalisation=mode))
    model = normalise_on_device(plain)
    assert model.inputs[0].dtype == "uint8"
    assert model.info == replace(TINY_INFO, normalisation="network")
    for ours, expected in zip(
        model(PICTURES), plain(preprocess_image(PICTURES, mode)), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_snapshots_and_detectors_take_photos_as_they_are(tiny, tmp_path):
    models.save_model(normalise_on_device(tiny), tmp_path / "m.keras")
    model = models.load_model(tmp_path / "m.keras")
    settings = {"nms": False, "score_threshold": 0.1}
    found = Detector(model, **settings).detect(list(PICTURES), max_detections=100)
    expected = Detector(tiny, **settings).detect(list(PICTURES), max_detections=100)
    assert len(found[0].scores) == 100
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.scores, plain.scores, atol=1e-5)
        np.testing.assert_allclose(ours.boxes, plain.boxes, atol=1e-3)


def test_is_an_option_of_every_backbone():
    model = models.backbone("resnet18").retinanet(num_classes=2, normalise_on_device=True)
    assert model.inputs[0].dtype == "uint8"
    assert model.get_layer("normalised").mode == models.BACKBONES["resnet18"].normalisation
    with pytest.raises(ValueError, match="expected a model that takes normalised images"):
        normalise_on_device(model)
