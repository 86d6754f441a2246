from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.models import conversion
from keras_retinanet.models.conversion import convert_file
from tests.models.conftest import TINY_INFO, build_tiny


@pytest.fixture(scope="module")
def snapshot(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("snapshots") / "tiny.keras"
    models.save_model(tiny, path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_writes_what_convert_model_returns(suffix, snapshot, tiny, images, tmp_path):
    settings = {"score_threshold": 0.2, "max_detections": 17, "pre_nms_top_k": 50}
    path = tmp_path / f"converted{suffix}"
    convert_file(snapshot, path, **settings)
    found, expected = models.load_model(path), models.convert_model(tiny, **settings)
    assert type(found) is models.RetinaNetBBox
    assert found.info == expected.info
    assert found.info == replace(tiny.info, filter_settings=FilterSettings(**settings))
    assert (np.asarray(expected(images)[1]) > 0).any()
    for output, value in zip(found(images), expected(images), strict=True):
        np.testing.assert_array_equal(output, value)


def test_frozen_batch_normalisation_is_folded(tmp_path):
    model = models.backbone("resnet18_0.5").retinanet(num_classes=1, feature_size=8, freeze_bn=True)
    models.save_model(model, tmp_path / "m.keras")
    convert_file(tmp_path / "m.keras", tmp_path / "converted.keras")
    layers = models.load_model(tmp_path / "converted.keras").layers
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


def test_config_takes_precedence_with_a_warning(snapshot, tmp_path):
    anchors = AnchorParameters([20, 40, 80, 160, 320], [8, 16, 32, 64, 128], [1.0], [1.0])
    config = Config(anchor_params=anchors)
    with pytest.warns(UserWarning, match="using the anchors"):
        convert_file(snapshot, tmp_path / "out.keras", config=config)
    assert models.load_model(tmp_path / "out.keras").info.anchors == anchors


def test_another_backbone_is_warned_of(snapshot, tmp_path):
    with pytest.warns(UserWarning, match="of this model is mobilenet_v2, not resnet50"):
        convert_file(snapshot, tmp_path / "out.keras", backbone="resnet50")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A converted model with settings and a coder of its own."""
    model = build_tiny()
    coder = CornerCoder((0.1, 0, 0, 0), (0.1, 0.1, 0.3, 0.3))
    models.set_info(model, replace(TINY_INFO, coder=coder))
    path = tmp_path_factory.mktemp("converted") / "converted.keras"
    models.save_model(models.convert_model(model, score_threshold=0.1, max_detections=7), path)
    return path


def test_an_old_inference_model_keeps_its_settings_unless_given(
    converted, tmp_path, images, monkeypatch
):
    # What matters here is who wrote the file; reading such files has its own tests.
    monkeypatch.setattr(conversion, "is_keras2_file", lambda path: True)
    convert_file(converted, tmp_path / "new.keras", nms_threshold=0.3)
    found, before = models.load_model(tmp_path / "new.keras"), models.load_model(converted)
    expected = FilterSettings(score_threshold=0.1, max_detections=7, nms_threshold=0.3)
    assert found.info == replace(before.info, filter_settings=expected)
    assert found.get_layer("filtered_detections").settings == expected
    assert found.get_layer("boxes").coder == before.info.coder
    # The best detection does not depend on non-maximum suppression.
    for output, value in zip(found(images), before(images), strict=True):
        np.testing.assert_array_equal(output[:, 0], value[:, 0])


def test_an_inference_model_is_refused(converted, tmp_path):
    with pytest.raises(ValueError, match=f"{converted}: expected a training model"):
        convert_file(converted, tmp_path / "again.keras")
    assert not (tmp_path / "again.keras").exists()


def test_bad_input(snapshot, tmp_path):
    out = tmp_path / "out.keras"
    with pytest.raises(OSError, match=r"missing\.keras"):
        convert_file(tmp_path / "missing.keras", out)
    with pytest.raises(ValueError, match="expected a file name that ends in .keras, .h5"):
        convert_file(snapshot, tmp_path / "out.tflite")
    with pytest.raises(ValueError, match="nms_threshold: expected 0 to 1, got 2"):
        convert_file(snapshot, out, nms_threshold=2)
    with pytest.raises(ValueError, match="expected filter settings: .*'score_treshold'"):
        convert_file(snapshot, out, score_treshold=0.3)
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    classifier.save(tmp_path / "classifier.keras")
    with pytest.raises(ValueError, match=r"classifier\.keras: expected a training model"):
        convert_file(tmp_path / "classifier.keras", out)
    assert not out.exists()
