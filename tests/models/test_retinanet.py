from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.geometry.anchors import AnchorParameters, anchors_for_shape
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.layers import FilterSettings
from keras_retinanet.models import retinanet as module
from keras_retinanet.models.retinanet import (
    create_pyramid_features,
    default_regression_model,
    default_submodels,
    extract_training_model,
    retinanet,
    retinanet_bbox,
)
from tests.models.conftest import TINY_INFO, build_tiny

LEVELS_2_7 = [2, 3, 4, 5, 6, 7]


def test_pyramid_has_the_old_names_and_sizes():
    features = {f"C{p}": keras.Input((2 ** (7 - p) + 1, 2 ** (7 - p), 8)) for p in range(2, 6)}
    pyramid = create_pyramid_features(features, LEVELS_2_7, feature_size=16)
    sizes = {name: tensor.shape[1:] for name, tensor in pyramid.items()}
    assert sizes == {
        **{f"P{p}": (2 ** (7 - p) + 1, 2 ** (7 - p), 16) for p in range(2, 6)},
        "P6": (3, 2, 16),
        "P7": (2, 1, 16),
    }
    assert "P2" not in create_pyramid_features(features, [3, 4, 5])
    with pytest.raises(ValueError, match="P6 is required"):
        create_pyramid_features(features, [3, 4, 5, 7])


def test_levels_weigh_the_same_however_many_channels_they_have():
    keras.utils.set_random_seed(0)
    features = {f"C{p}": keras.Input((None, None, 16 * 4 ** (p - 3))) for p in (3, 4, 5)}
    pyramid = create_pyramid_features(features, [3, 4, 5, 6, 7], feature_size=256)
    model = keras.Model(list(features.values()), pyramid)
    rng = np.random.default_rng(0)
    for level, tensor in features.items():
        values = rng.normal(size=(1, 8, 8, tensor.shape[-1])).astype("float32")
        found = np.asarray(model.get_layer(f"{level}_reduced")(values))
        assert found.std() == pytest.approx(1, rel=0.1)
    assert np.asarray(model.get_layer("P6")(values)).std() == pytest.approx(0.9, rel=0.2)  # zeros


def test_outputs_fit_the_anchors_for_any_size(tiny, images):
    for height, width in [(64, 90), (33, 47)]:
        regression, classification = tiny(images[:, :height, :width])
        anchors = anchors_for_shape((height, width), anchor_params=tiny.info.anchors)
        assert regression.shape == (2, len(anchors), 4)
        assert classification.shape == (2, len(anchors), 2)
    assert tiny.output_names == ["regression", "classification"]


def test_output_is_level_by_level(tiny, images):
    probe = keras.Model(tiny.input, [tiny.get_layer("P3").output, tiny.get_layer("P4").output])
    head = tiny.get_layer("regression_submodel")
    expected = np.concatenate([head(level) for level in probe(images)], axis=1)
    np.testing.assert_allclose(tiny(images)[0][:, : expected.shape[1]], expected, atol=1e-6)


def test_learns_with_compile_and_fit(images):
    model = build_tiny()
    loss = {"regression": losses.smooth_l1(), "classification": losses.focal()}
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    count = model(images)[0].shape[1]
    regression = np.zeros((2, count, 5), "float32")
    classification = np.zeros((2, count, 1), "int32")
    regression[:, 5], classification[:, 5] = 1, 2
    history = model.fit(images, [regression, classification], epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert set(history) == {"loss", "regression_loss", "classification_loss"}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_outputs_are_float32_under_any_precision_policy(policy, images):
    keras.config.set_dtype_policy(policy)
    try:
        model = build_tiny()
        inference = models.convert_model(model, anchor_params=_one_anchor(5))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("P3").compute_dtype == policy.removeprefix("mixed_")
    assert [output.dtype for output in model(images)] == ["float32", "float32"]
    assert [output.dtype for output in inference(images)] == ["float32", "float32", "int32"]


@pytest.mark.parametrize(
    ("levels", "text"), [([3, 4], "3, 4 and 5"), ([2, 3, 4, 5], "C2 not provided")]
)
def test_refuses_levels_it_cannot_make(levels, text):
    features = {f"C{p}": keras.Input((8, 8, 4)) for p in (3, 4, 5)}
    with pytest.raises(ValueError, match=text):
        retinanet(keras.Input((None, None, 3)), features, 2, pyramid_levels=levels)


def _one_anchor(levels):
    sizes = [2 ** (p + 10 - levels) for p in range(levels)]
    strides = [2 ** (p + 8 - levels) for p in range(levels)]
    return AnchorParameters(sizes, strides, [1.0], [1.0])


def test_inference_model_decodes_clips_and_filters(tiny, images):
    model = models.convert_model(tiny, nms=False, score_threshold=0.1, max_detections=500)
    boxes, scores, labels = (np.asarray(output) for output in model(images))
    regression, classification = (np.asarray(output) for output in tiny(images))
    anchors = anchors_for_shape((64, 90), anchor_params=tiny.info.anchors)
    sides = np.tile(anchors[:, 2:] - anchors[:, :2], 2)
    expected = np.clip(anchors + 0.2 * regression * sides, 0, [89, 63, 89, 63])
    count = int((classification[0] > 0.1).sum())
    assert 0 < count < 500
    assert (scores[0, count:] == -1).all()
    best = np.argsort(-classification[0].T.ravel(), kind="stable")[:count]
    np.testing.assert_array_equal(labels[0, :count], best // len(anchors))
    np.testing.assert_allclose(boxes[0, :count], expected[0][best % len(anchors)], atol=1e-3)


def test_top_k_is_of_each_level_and_saved(tiny, images, tmp_path):
    settings = {"nms": False, "score_threshold": 0.1, "max_detections": 500}
    model = models.convert_model(tiny, pre_nms_top_k=3, **settings)
    model.save(tmp_path / "model.keras")
    model = models.load_model(tmp_path / "model.keras")
    classification = np.asarray(tiny(images)[1])
    ends = np.cumsum([8 * 12, 4 * 6, 2 * 3, 1 * 2, 1 * 1])
    levels = np.split(classification[0], ends[:-1])
    best = np.concatenate([np.sort(level[level > 0.1])[-3:] for level in levels])
    scores = np.asarray(model(images)[1][0])
    np.testing.assert_array_equal(scores[scores > 0], np.sort(best)[::-1])
    assert 3 < len(best) <= 15


def test_inference_model_uses_what_the_model_knows(tiny):
    model = models.convert_model(tiny)
    assert model.info == tiny.info
    assert model.get_layer("boxes").coder == tiny.info.coder
    assert model.get_layer("anchors_1").size == 32
    assert model.get_layer("anchors_1").stride == 16
    assert (
        model.get_layer("filtered_detections").get_config().items()
        >= {
            "nms": True,
            "class_specific_filter": True,
            "nms_threshold": 0.5,
            "score_threshold": 0.05,
            "max_detections": 300,
            "parallel_iterations": 32,
            "pre_nms_top_k": None,
        }.items()
    )


def test_decodes_with_the_coder_of_the_info(images):
    coder = CornerCoder((0.1, 0, 0, 0), (0.1, 0.1, 0.3, 0.3))
    model = build_tiny()
    models.set_info(model, replace(TINY_INFO, coder=coder))
    settings = {"nms": False, "score_threshold": 0.0, "max_detections": 500}
    inference = models.convert_model(model, **settings)
    boxes, _, labels = (np.asarray(output)[0] for output in inference(images))
    regression, classification = (np.asarray(output)[0] for output in model(images))
    anchors = anchors_for_shape((64, 90), anchor_params=TINY_INFO.anchors)
    decoded = np.clip(coder.decode(anchors, regression), 0, [89, 63, 89, 63])
    # The first detection of a class is the box with its best score.
    for label in (0, 1):
        first = boxes[np.flatnonzero(labels == label)[0]]
        np.testing.assert_allclose(first, decoded[classification[:, label].argmax()], atol=1e-3)
    assert inference.info == replace(
        TINY_INFO, coder=coder, filter_settings=FilterSettings(**settings)
    )


def test_filter_settings_are_checked(tiny):
    with pytest.raises(ValueError, match="max_detections: expected an integer"):
        models.convert_model(tiny, max_detections=-1)


def test_given_anchors_take_precedence_with_a_warning(tiny):
    given = _one_anchor(5)
    with pytest.warns(UserWarning, match="using the anchors .* the model was trained with"):
        model = models.convert_model(tiny, anchor_params=given)
    assert model.info.anchors == given
    assert model.get_layer("anchors_0").size == given.sizes[0]


def test_level_2_and_custom_anchors(images):
    tiny = build_tiny(levels=LEVELS_2_7)
    anchors = _one_anchor(6)
    model = models.convert_model(tiny, anchor_params=anchors, pyramid_levels=LEVELS_2_7)
    total = len(anchors_for_shape((64, 90), LEVELS_2_7, anchors))
    probe = keras.Model(model.input, model.get_layer("anchors").output)
    assert probe(images).shape == tiny(images)[0].shape == (2, total, 4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"anchor_params": AnchorParameters.default}, "1 anchors per location.* have 9"),
        ({"anchor_params": _one_anchor(6)}, "number of pyramid levels"),
        ({"anchor_params": _one_anchor(6), "pyramid_levels": LEVELS_2_7}, r"no level \[2\]"),
    ],
)
@pytest.mark.filterwarnings("ignore:using the")
def test_refuses_anchors_that_do_not_fit(tiny, arguments, text):
    with pytest.raises(ValueError, match=text):
        models.convert_model(tiny, **arguments)


def test_refuses_to_guess_anchors():
    model = build_tiny()
    models.set_info(model, models.ModelInfo("resnet50", 2, anchors=None))
    with pytest.raises(ValueError, match="does not know its anchors.*1 anchors per location"):
        models.convert_model(model)


def test_refuses_to_convert_twice(tiny):
    with pytest.raises(ValueError, match="expected a training model"):
        models.convert_model(models.convert_model(tiny))


def test_further_submodels_are_filtered_too(images):
    x = keras.Input((None, None, 3))
    features = {
        f"C{p}": keras.layers.Conv2D(4, 3, strides=2**p, padding="same")(x) for p in (3, 4, 5)
    }
    mask = default_regression_model(7, 9, name="masks_submodel")
    # The layers of a head keep their names; Keras wants them unique in one model only.
    inference = retinanet_bbox(
        inputs=x,
        backbone_layers=features,
        num_classes=3,
        anchor_params=AnchorParameters([32, 64, 128], [8, 16, 32], [0.5, 1, 2], [1, 1.2, 1.6]),
        pyramid_levels=[3, 4, 5],
        submodels=[*default_submodels(3, 9), ("masks", mask)],
        max_detections=11,
    )
    assert [output.shape for output in inference(images)] == [
        (2, 11, 4),
        (2, 11),
        (2, 11),
        (2, 11, 7),
    ]


def test_training_part_undoes_the_conversion(tiny, images):
    training = extract_training_model(models.convert_model(tiny, score_threshold=0.3))
    assert training.info == tiny.info
    assert training.output_names == tiny.output_names
    for found, expected in zip(training(images), tiny(images), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_old_names_of_the_module():
    """`from keras_retinanet.models.retinanet import *` in programs for 1.0.0 and before."""
    assert getattr(module, "__create_pyramid_features") is create_pyramid_features  # noqa: B009
    assert {"AnchorParameters", "assert_training_model", "keras", "layers"} <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
