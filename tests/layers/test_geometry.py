import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.geometry.anchors import AnchorLayout, AnchorParameters, anchors_for_shape
from keras_retinanet.geometry.coders import CentreCoder
from keras_retinanet.layers import Anchors, ClipBoxes, PadToMultiple, RegressBoxes, UpsampleLike


def test_anchors_of_a_feature_map():
    layer = Anchors(size=32, stride=8, ratios=[1.0], scales=[1.0])
    anchors = np.asarray(layer(np.zeros((1, 2, 2, 5), "float32")))
    # Centres at 4 and 12 pixels, sides of 32 pixels; row by row.
    expected = [[-12, -12, 20, 20], [-4, -12, 28, 20], [-12, -4, 20, 28], [-4, -4, 28, 28]]
    np.testing.assert_allclose(anchors, [expected])


def test_anchors_are_those_of_training():
    maps = [np.zeros((2, *shape, 1), "float32") for shape in [(10, 13), (5, 7), (3, 4)]]
    default = AnchorParameters.default
    found = [
        Anchors(size, stride)(x)
        for size, stride, x in zip(default.sizes[:3], default.strides[:3], maps, strict=True)
    ]
    params = AnchorParameters(default.sizes[:3], [8, 16, 32], default.ratios, default.scales)
    expected = anchors_for_shape((75, 99), pyramid_levels=[3, 4, 5], anchor_params=params)
    for image in np.concatenate(found, axis=1):
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_anchors_shape_is_known_where_the_map_is():
    layer = Anchors(32, 8)
    assert layer(keras.Input((6, 7, 2))).shape == (None, 6 * 7 * 9, 4)
    assert layer(keras.Input((None, 7, 2))).shape == (None, None, 4)


@pytest.mark.parametrize(("source", "target"), [(3, 5), (3, 6), (4, 9), (2, 5), (5, 3), (1, 1)])
def test_upsample_takes_the_nearest_cell_as_tensorflow_does(source, target):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, source, source + 1, 3)).astype("float32")
    like = np.zeros((2, target, 2 * target, 7), "float32")
    expected = tf.raw_ops.ResizeNearestNeighbor(images=image, size=like.shape[1:3])
    np.testing.assert_array_equal(UpsampleLike()([image, like]), expected)


def test_upsample_of_an_unknown_size_has_a_gradient_under_xla():
    @tf.function(jit_compile=True)
    def gradient(source, like):
        with tf.GradientTape() as tape:
            tape.watch(source)
            total = tf.reduce_sum(UpsampleLike()([source, like]))
        return tape.gradient(total, source)

    # Each cell of the 2x2 map fills a part of the 3x3 one: rows 0-1 and 2, columns likewise.
    found = gradient(tf.ones((1, 2, 2, 1)), tf.ones((1, 3, 3, 1)))
    np.testing.assert_array_equal(found[0, :, :, 0], [[4, 2], [2, 1]])


def test_upsample_shape():
    inputs = [keras.Input((5, None, 2)), keras.Input((9, 11, 8))]
    assert UpsampleLike()(inputs).shape == (None, 9, 11, 2)


def test_regress_boxes():
    anchors = np.array([[[0, 0, 10, 10], [50, 50, 100, 110], [20, 20, 40, 40]]], "float32")
    offsets = np.array([[[0, 0, 0, 0], [0.1, 0, 0, 0], [0, 0, 0.5, 1]]], "float32")
    boxes = RegressBoxes()([anchors, offsets])
    # 0.1 * 0.2 of a width of 50 is 1 pixel; 0.5 and 1 of 20 pixels are 2 and 4 pixels.
    expected = [[[0, 0, 10, 10], [51, 50, 100, 110], [20, 20, 42, 44]]]
    np.testing.assert_allclose(boxes, expected, atol=1e-5)


def test_regress_boxes_with_other_statistics():
    layer = RegressBoxes(mean=[1, 0, 0, 0], std=(0.1, 0.1, 0.1, 0.1))
    boxes = layer([np.array([[[0, 0, 10, 20]]], "float32"), np.ones((1, 1, 4), "float32")])
    np.testing.assert_allclose(boxes, [[[11, 2, 11, 22]]], atol=1e-5)
    with pytest.raises(ValueError, match="Expected mean to be"):
        RegressBoxes(mean=0.5)


def test_clip_boxes():
    boxes = np.array([[[-5, 20, 700, 300], [3, -1, 4, 199]]], "float32")
    clipped = ClipBoxes()([np.zeros((1, 200, 600, 3), "float32"), boxes])
    np.testing.assert_array_equal(clipped, [[[0, 20, 599, 199], [3, 0, 4, 199]]])


@pytest.mark.parametrize(
    "layer",
    [
        Anchors(32, 8, ratios=[0.5, 1], scales=[1, 2, 3], name="a"),
        Anchors(32, 8, layout=AnchorLayout(offset=0, scales_first=True), name="b"),
        RegressBoxes(mean=[1, 2, 3, 4], std=[5, 6, 7, 8]),
        RegressBoxes(coder=CentreCoder(max_log=3.0, clamp_below=True)),
        ClipBoxes(),
        ClipBoxes(to_edge=True),
        PadToMultiple(32),
        UpsampleLike(name="u"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configuration_gives_every_argument_back(layer):
    restored = type(layer).from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()
    assert restored.name == layer.name


def test_anchors_in_the_corners_of_fitted_cells_are_those_of_training():
    layout = AnchorLayout(offset=0, scales_first=True, whole_pixels=True, fitted_strides=True)
    cells, params = [(4, 5), (2, 3)], AnchorParameters([256, 512], [64, 128], [0.5, 2], [1, 1.3])
    params = params.with_layout(layout)
    image = np.zeros((1, 224, 288, 3), "float32")
    found = [
        Anchors(size, stride, params.ratios, params.scales, layout=layout)(
            np.zeros((1, *shape, 1), "float32"), image=image
        )
        for size, stride, shape in zip(params.sizes, params.strides, cells, strict=True)
    ]
    # 224 and 288 pixels over 4 x 5 cells: strides of 56 and 57 pixels.
    first = np.asarray(found[0])[0]
    centres = (first[:, :2] + first[:, 2:]) / 2
    np.testing.assert_array_equal(
        centres[4 * np.arange(20)],
        [[57 * column, 56 * row] for row in range(4) for column in range(5)],
    )
    expected = anchors_for_shape((224, 288), [6, 7], params)
    np.testing.assert_allclose(np.concatenate(found, axis=1)[0], expected, atol=1e-4)


def test_regress_boxes_with_another_coder():
    layer = RegressBoxes(coder=CentreCoder())
    offsets = np.array([[[0.5, 0, np.log(2), 0]]], "float32")
    boxes = layer([np.array([[[0, 0, 10, 20]]], "float32"), offsets])
    np.testing.assert_allclose(boxes, [[[0, 0, 20, 20]]], atol=1e-5)


def test_clip_boxes_to_the_edge():
    boxes = np.array([[[-5, 20, 700, 300]]], "float32")
    clipped = ClipBoxes(to_edge=True)([np.zeros((1, 200, 600, 3), "float32"), boxes])
    np.testing.assert_array_equal(clipped, [[[0, 20, 600, 200]]])


@pytest.mark.parametrize(("side", "padded"), [(1, 32), (31, 32), (32, 32), (33, 64)])
def test_pads_to_a_multiple_with_zeros(side, padded):
    images = np.random.default_rng(0).normal(size=(2, side, 40, 3)).astype("float32")
    found = np.asarray(PadToMultiple(32)(images))
    assert found.shape == (2, padded, 64, 3)
    np.testing.assert_array_equal(found[:, :side, :40], images)
    assert found.sum(dtype="float64") == pytest.approx(images.sum(dtype="float64"))
    assert PadToMultiple(32)(keras.Input((side, None, 3))).shape == (None, padded, None, 3)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "32"])
def test_refuses_a_multiple_that_is_none(wrong):
    with pytest.raises(ValueError, match="expected a multiple"):
        PadToMultiple(wrong)
