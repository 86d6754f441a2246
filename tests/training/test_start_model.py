from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.training import data_sets, run, start_model
from keras_retinanet.training.plan import SettingError, TrainingPlan
from tests import tiny


def silent(text):
    """Take what a run says, and say nothing."""


def test_images_stay_uint8_where_the_network_normalises(plan, tmp_path):
    on_device = replace(plan, normalise_on_device=True)
    result = run.train(replace(on_device, epochs=1), log=silent)
    assert result.model.info.normalisation == "network"
    snapshot = str(tmp_path / "out" / "tiny_csv_01.keras")
    resumed = replace(plan, snapshot=snapshot, backbone=None)
    for other in (on_device, resumed):
        model = start_model.load_snapshot(other, silent)
        training, _ = data_sets.open_data(other, model and model.info, silent)
        assert training[0][0].dtype == np.uint8
    normal = tiny.save_model(tmp_path / "normal.keras")
    with pytest.raises(SettingError, match="^normalise_on_device: .*normal.keras takes normalised"):
        start_model.load_snapshot(replace(on_device, snapshot=normal), silent)


def test_the_box_loss_is_that_of_the_plan_then_of_the_snapshot(plan, tmp_path):
    training, _ = data_sets.open_data(plan, None, silent)
    info = models.load_model(tiny.save_model(tmp_path / "a.keras", box_loss="l1")).info
    expected = {None: "l1", "giou": "giou", "smooth-l1": "smooth_l1"}
    for given, box_loss in expected.items():
        assert start_model.describe_model(info, training, given).box_loss == box_loss


def test_a_new_model_has_giou_but_for_the_recipes_of_the_paper(plan):
    training, _ = data_sets.open_data(plan, None, silent)
    info = start_model.build_model(plan, training, silent).info
    assert start_model.describe_model(info, training, plan.box_loss).box_loss == "giou"
    recipe = TrainingPlan.for_data(plan.data, recipe="paper")
    assert start_model.describe_model(info, training, recipe.box_loss).box_loss == "smooth_l1"


def test_new_models_match_every_box_and_snapshots_as_they_were_trained(plan):
    training, _ = data_sets.open_data(plan, None, silent)
    assert training.match_every_box
    for was in (True, False):
        info = models.ModelInfo("resnet50", 1, match_every_box=was)
        assert data_sets.matches_every_box(plan, info) == was
        assert not data_sets.matches_every_box(replace(plan, match_every_box=False), info)


def test_sides_are_those_of_the_plan_then_of_the_snapshot(plan, tmp_path):
    snapshot = tiny.save_model(tmp_path / "a.keras")
    for given, expected in ((None, 64), (32, 32)):
        resumed = replace(plan, snapshot=snapshot, image_min_side=given, image_max_side=None)
        model = start_model.load_snapshot(resumed, silent)
        training, validation = data_sets.open_data(resumed, model.info, silent)
        for generator in (training, validation):
            assert (generator.image_min_side, generator.image_max_side) == (expected, 96)


def test_a_coder_of_the_snapshot_reaches_the_targets(plan, tmp_path):
    coder = CornerCoder(std=(0.1, 0.1, 0.1, 0.1))
    usual, other = (
        tiny.save_model(tmp_path / f"{name}.keras", **more)
        for name, more in (("usual", {}), ("other", {"coder": coder}))
    )
    offsets = []
    for snapshot in (usual, other):
        resumed = replace(plan, snapshot=snapshot)
        info = start_model.load_snapshot(resumed, silent).info
        training, validation = data_sets.open_data(resumed, info, silent)
        assert training.coder == validation.coder == info.coder
        offsets.append(validation[0][1][0][..., :4])
    np.testing.assert_allclose(offsets[1], 2 * offsets[0], atol=1e-6)
    assert np.abs(offsets[0]).max() > 0


ANCHORS = AnchorParameters([16, 32, 64, 128, 256], [8, 16, 32, 64, 128], [1], [1])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(pyramid_levels=(3, 4, 5)), r"expected the pyramid levels of .*got \[3, 4, 5\]"),
        (Config(anchor_params=ANCHORS), "expected 9 anchors per location, .*got 1"),
    ],
)
def test_anchors_that_do_not_fit_the_snapshot_are_refused(plan, tmp_path, config, message):
    resumed = replace(plan, snapshot=tiny.save_model(tmp_path / "a.keras"), config=config)
    info = start_model.load_snapshot(resumed, silent).info
    with pytest.raises(ValueError, match=message):
        data_sets.choose_config(resumed, info)


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
def test_another_backbone_than_that_of_the_snapshot_is_named(plan, tmp_path, name):
    snapshot = tiny.save_model(tmp_path / "s.keras")
    with pytest.warns(UserWarning, match=f"the backbone of this model is tiny, not {name}"):
        start_model.load_snapshot(replace(plan, snapshot=snapshot, backbone=name), silent)


def test_images_keep_their_size_if_the_snapshot_says_so(plan, tmp_path):
    snapshot = tiny.save_model(tmp_path / "s.keras", no_resize=True)
    plan = replace(plan, snapshot=snapshot, backbone=None)
    info = start_model.load_snapshot(plan, silent).info
    # Sides are given, which resize.
    assert [opened.no_resize for opened in data_sets.open_data(plan, info, silent)] == [
        False,
        False,
    ]
    plan = replace(plan, image_min_side=None, image_max_side=None)
    assert [opened.no_resize for opened in data_sets.open_data(plan, info, silent)] == [True, True]
