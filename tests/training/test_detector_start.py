"""Training that starts from a whole detector, on a backbone small enough for tests."""

from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorLayout, AnchorParameters
from keras_retinanet.geometry.coders import CentreCoder
from keras_retinanet.models.freeze import backbone_is_frozen
from keras_retinanet.preprocessing.data import CSVData, ShapesData
from keras_retinanet.training import data_sets, detector_start, run, start_model
from keras_retinanet.training.plan import SettingWarning, TrainingPlan
from tests import tiny

LAYOUT = AnchorLayout(offset=0, scales_first=True)
NAMES = ("Square", "circle", None)


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """A file of a detector whose network is in no table, as a published one becomes."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)
    model = models.backbone("tiny").retinanet(num_classes=3)
    info = replace(
        model.info,
        backbone="elsewhere",
        class_names=NAMES,
        anchors=AnchorParameters.default.with_layout(LAYOUT),
        coder=CentreCoder(),
        resize_rule="mmdet",
        pad_multiple=32,
        box_loss="giou",
        match_every_box=True,
        image_min_side=60,
        image_max_side=90,
    )
    models.set_info(model, info)
    path = str(tmp_path / "detector.keras")
    models.save_model(model, path)
    return path


@pytest.fixture
def plan(detector, tmp_path):
    annotations, classes = tiny.write_squares(tmp_path)
    return TrainingPlan(
        data=CSVData(annotations, classes, annotations),
        weights=detector,
        epochs=1,
        batch_size=2,
        lr_schedule="plateau",
        snapshot_path=str(tmp_path / "out"),
    )


def test_a_run_keeps_what_the_detector_knows(plan):
    lines = []
    result = run.train(plan, log=lines.append)
    (line,) = [line for line in lines if line.startswith("Starting from ")]
    assert line.endswith(
        "detector.keras (elsewhere), with its box coder, anchors, resizing and padding; the last "
        "classification layer is kept for square"
    )
    assert not any(line.startswith("Anchor sizes") for line in lines)
    info = result.model.info
    assert info.class_names == ("square",)
    assert info.anchors.layout == LAYOUT
    assert info.coder == CentreCoder()
    known = (info.resize_rule, info.pad_multiple, info.box_loss, info.match_every_box)
    assert known == ("mmdet", 32, "giou", True)
    assert (info.image_min_side, info.image_max_side) == (60, 90)
    assert result.model.loss["regression"].__name__ == "_giou"
    assert np.isfinite(result.history["loss"]).all()

    # Its snapshot goes on in the same way, and is a detector to start from itself.
    snapshot = f"{plan.snapshot_path}/elsewhere_csv_01.keras"
    folder = plan.snapshot_path
    plan = TrainingPlan.for_data(plan.data, snapshot=snapshot, epochs=2, snapshot_path=folder)
    with pytest.warns(UserWarning, match="no state of the optimizer"):
        again = run.train(plan, log=lines.append)
    assert replace(again.model.info, run=None) == replace(info, run=None)
    assert replace(plan, snapshot=None, weights=snapshot).starts_from_detector()


def test_the_sets_are_prepared_as_for_the_detector(plan):
    info = models.load_model(plan.weights).info
    training, validation = data_sets.open_data(plan, info, lambda text: None)
    for generator in (training, validation):
        assert generator.coder == CentreCoder()
        assert (generator.resize_rule, generator.pad_multiple) == ("mmdet", 32)
        assert generator.match_every_box
        assert all(side % 32 == 0 for side in generator[0][0].shape[1:3])
    plan = replace(plan, match_every_box=False)
    training, _ = data_sets.open_data(plan, info, lambda text: None)
    assert not training.match_every_box


def test_given_anchors_keep_the_layout_of_the_detector(plan):
    info = models.load_model(plan.weights).info
    sizes = [size / 2 for size in AnchorParameters.default.sizes]
    default = AnchorParameters.default
    given = AnchorParameters(sizes, default.strides, default.ratios, default.scales)
    with pytest.warns(UserWarning, match="the given anchors are not those of .*detector.keras"):
        config = data_sets.choose_config(replace(plan, config=Config(given)), info)
    assert config.anchor_params == given.with_layout(LAYOUT)


def test_the_backbone_can_be_frozen_and_images_stay_uint8(plan):
    plan = replace(
        plan, freeze_backbone=True, normalise_on_device=True, evaluation=False, snapshots=False
    )
    model = run.train(plan, log=lambda text: None).model
    assert backbone_is_frozen(model)
    assert model.inputs[0].dtype == "uint8"


def test_what_the_detector_has_itself_has_no_effect(plan):
    other = replace(plan, backbone="resnet101", feature_size=64)
    assert set(other.void_settings(True)) == {"backbone", "feature_size"}
    assert "detector.keras has its own" in other.void_settings(True)["backbone"]
    with pytest.warns(SettingWarning, match="backbone: has no effect"):
        run.train(
            replace(other, feature_size=256, evaluation=False, snapshots=False),
            log=lambda text: None,
        )


def test_drawn_pictures_keep_their_sizes(detector):
    plan = TrainingPlan.for_data(ShapesData(), weights=detector)
    assert (plan.backbone, plan.feature_size) == (None, 256)
    assert (plan.image_min_side, plan.image_max_side) == (128, 192)
    assert plan.void_settings(True) == {}


def test_weights_of_a_known_backbone_are_no_whole_detector(plan, tmp_path):
    model = models.backbone("tiny").retinanet(num_classes=1)
    models.save_model(model, tmp_path / "usual.keras")
    for weights in (str(tmp_path / "usual.keras"), str(tmp_path / "missing.h5"), None):
        assert not replace(plan, weights=weights).starts_from_detector()
    assert detector_start.load_detector(replace(plan, weights=None), print) is None


@pytest.mark.parametrize("name", ["coco", "detectron2_resnet50", "x/y.pth", "y.safetensors"])
def test_names_and_checkpoints_are_whole_detectors(plan, name):
    assert replace(plan, weights=name).starts_from_detector()


@pytest.mark.parametrize("on_device", [False, True])
def test_classes_of_a_snapshot_of_ones_own_are_paired_by_name(plan, tmp_path, on_device):
    def last(model):
        head = model.get_layer("classification_submodel")
        return np.array(head.get_layer("pyramid_classification").bias).reshape(9, -1)

    source = models.backbone("tiny").retinanet(num_classes=3, feature_size=8)
    models.set_info(source, replace(source.info, class_names=("cat", "Square", None)))
    layer = source.get_layer("classification_submodel").get_layer("pyramid_classification")
    layer.bias.assign(np.arange(27))
    models.save_model(source, tmp_path / "own.keras")
    own = {"weights": str(tmp_path / "own.keras"), "backbone": "tiny", "feature_size": 8}
    plan = replace(plan, **own, image_min_side=64, image_max_side=96, normalise_on_device=on_device)
    training, _ = data_sets.open_data(plan, None, lambda text: None)
    lines = []
    model = start_model.build_model(plan, training, lines.append)
    # The last layer fits, as it is read with the classes of the snapshot.
    assert "own.keras: 44 of 44 tensors matched" in lines[-2]
    expected = "Starting with other classes; the last classification layer is kept for square"
    assert lines[-1] == expected
    np.testing.assert_array_equal(last(model)[:, 0], np.arange(1, 27, 3))  # the row of "Square"
    np.testing.assert_array_equal(model.get_layer("P3").kernel, source.get_layer("P3").kernel)
    # As many classes, with no name in common: nothing of the last layer is kept by its number.
    models.set_info(source, replace(source.info, num_classes=3, class_names=("cat", "dog", None)))
    models.save_model(source, tmp_path / "own.keras")
    model = start_model.build_model(plan, training, lines.append)
    assert lines[-1].endswith("the last classification layer is new for square")
    np.testing.assert_allclose(last(model), -np.log(99), rtol=1e-5)


def test_the_same_classes_and_unknown_ones_are_read_by_number(plan, tmp_path):
    source = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    own = {"weights": str(tmp_path / "own.keras"), "backbone": "tiny", "feature_size": 8}
    plan = replace(plan, **own, image_min_side=64, image_max_side=96)
    training, _ = data_sets.open_data(plan, None, lambda text: None)
    for names in (("square",), None, (None,)):
        models.set_info(source, replace(source.info, class_names=names))
        models.save_model(source, plan.weights)
        lines = []
        model = start_model.build_model(plan, training, lines.append)
        assert len(lines) == 2
        for one, other in zip(model.weights, source.weights, strict=True):
            np.testing.assert_array_equal(one, other)
