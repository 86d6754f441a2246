import keras
import numpy as np
import pytest

from keras_retinanet.geometry import anchors
from keras_retinanet.geometry.anchors import AnchorLayout, AnchorParameters
from tests.goldens import GOLDENS


def test_default_anchors_are_the_old_ones_exactly():
    np.testing.assert_array_equal(anchors.anchors_for_shape((75, 130, 3)), GOLDENS["anchors"])


def test_areas_and_ratios_are_the_papers():
    boxes = anchors.generate_anchors(32)
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    np.testing.assert_allclose(heights / widths, np.repeat([0.5, 1, 2], 3), rtol=1e-6)
    sides = 32 * 2 ** (np.arange(3) / 3)
    np.testing.assert_allclose(np.sqrt(widths * heights), np.tile(sides, 3), rtol=1e-6)
    np.testing.assert_allclose(boxes[:, :2], -boxes[:, 2:])


def test_smallest_and_largest_side_are_32_and_813_pixels():
    assert AnchorParameters.default.sizes[0] == 32
    assert round(float(512 * AnchorParameters.default.scales[-1])) == 813


@pytest.mark.parametrize(
    ("side", "cells"), [(1, [1, 1, 1, 1, 1]), (64, [8, 4, 2, 1, 1]), (65, [9, 5, 3, 2, 1])]
)
def test_levels_round_up(side, cells):
    shapes = anchors.guess_shapes((side, 64, 3), range(3, 8))
    assert [int(shape[0]) for shape in shapes] == cells


def test_every_level_needs_a_size():
    with pytest.raises(ValueError, match="one anchor size and stride for each"):
        anchors.anchors_for_shape((64, 64), pyramid_levels=[2, 3, 4, 5, 6, 7])


def test_an_index_holds_the_anchors_of_a_shape():
    index = anchors.anchor_index_for_shape((75, 130, 3))
    assert index.anchors is anchors.anchors_for_shape((75, 130, 3))
    assert index is anchors.anchor_index_for_shape((80, 136), range(3, 8))  # the same cells
    other = AnchorParameters([16] * 5, [8] * 5, [1], [1])
    assert index is not anchors.anchor_index_for_shape((75, 130, 3), anchor_params=other)


def test_anchors_are_computed_once_and_cannot_be_changed():
    first = anchors.anchors_for_shape((64, 96))
    assert anchors.anchors_for_shape((64, 96)) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_shapes_callback_asks_the_model():
    image = keras.Input((None, None, 3))
    level3 = keras.layers.Conv2D(1, 3, 8, padding="same", name="P3")(image)
    level4 = keras.layers.Conv2D(1, 3, 2, padding="valid", name="P4")(level3)
    callback = anchors.make_shapes_callback(keras.Model(image, [level3, level4]))
    # "same" rounds 61/8 and 81/8 up to 8 and 11; "valid" gives (8-3)//2+1 and (11-3)//2+1.
    assert callback((61, 81, 3), [3, 4]) == [(8, 11), (3, 5)]
    params = AnchorParameters([32, 64], [8, 16], [1], [1])
    found = anchors.anchors_for_shape((61, 81, 3), [3, 4], params, callback)
    assert len(found) == 8 * 11 + 3 * 5


def test_networks_that_round_down_are_known():
    image = keras.Input((None, None, 3))
    for padding, expected in [("same", True), ("valid", False)]:
        level = keras.layers.MaxPooling2D(8, padding=padding, name="P3")(image)
        assert anchors.matches_default_shapes(keras.Model(image, level), [3]) is expected


def test_parameters_survive_json():
    params = AnchorParameters([16.5, 32], [4, 8], [0.3, 1], [1, 1.2])
    again = AnchorParameters.from_dict(params.to_dict())
    assert again == params
    assert hash(again) == hash(params)
    assert again != AnchorParameters.default
    assert again.num_anchors() == 4


@pytest.mark.parametrize("value", [5, "x" * 10**5, None, [{}], [[1.0]], [float("inf")], 10**400])
@pytest.mark.parametrize("name", ["sizes", "strides", "ratios", "scales", "other"])
def test_malformed_parameters_are_refused(name, value):
    values = {**AnchorParameters.default.to_dict(), name: value}
    with pytest.raises(ValueError, match="^expected anchors with four lists") as error:
        AnchorParameters.from_dict(values)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("values", [None, 3, [], "x"])
def test_what_is_no_dictionary_holds_no_parameters(values):
    with pytest.raises(ValueError, match="^expected anchors with four lists"):
        AnchorParameters.from_dict(values)


def test_torchvisions_anchors_are_whole_pixels():
    layout = AnchorLayout(whole_pixels=True)
    default = AnchorParameters.default
    sides = {32: [32, 40, 50], 64: [64, 80, 101], 256: [256, 322, 406], 512: [512, 645, 812]}
    for size, whole in sides.items():
        boxes = anchors.generate_anchors(size, default.ratios, default.scales, layout=layout)
        squares = boxes[3:6]  # of ratio 1
        np.testing.assert_array_equal(squares[:, 2], np.round(np.array(whole) / 2))
        np.testing.assert_array_equal(boxes, np.round(boxes))
    # 32 pixels at ratio 0.5: 45.25 wide and 22.63 high, with corners at 23 and 11.
    boxes = anchors.generate_anchors(32, default.ratios, default.scales, layout=layout)
    np.testing.assert_array_equal(boxes[0], [-23, -11, 23, 11])


def test_scales_may_come_first():
    usual = anchors.generate_anchors(32).reshape(3, 3, 4)
    other = anchors.generate_anchors(32, layout=AnchorLayout(scales_first=True)).reshape(3, 3, 4)
    np.testing.assert_array_equal(other, usual.transpose(1, 0, 2))


def test_offset_moves_all_anchors_by_a_part_of_the_stride():
    default = AnchorParameters.default
    params = default.with_layout(AnchorLayout(offset=0))
    usual, moved = (anchors.anchors_for_shape((64, 64), None, p) for p in (default, params))
    shifts = np.repeat([4, 8, 16, 32, 64], np.array([64, 16, 4, 1, 1]) * 9)
    np.testing.assert_allclose(usual - moved, np.tile(shifts[:, None], 4))


@pytest.mark.parametrize(
    "wrong", [{"offset": 2}, {"offset": "x"}, {"offset": True}, {"whole_pixels": 1}, {"order": 1}]
)
def test_a_malformed_layout_is_refused(wrong):
    with pytest.raises(ValueError, match="anchors"):
        AnchorParameters.from_dict({**AnchorParameters.default.to_dict(), "layout": wrong})


def test_a_layout_goes_through_a_dictionary():
    default = AnchorParameters.default
    layout = AnchorLayout(offset=0, scales_first=True, whole_pixels=True, fitted_strides=True)
    params = default.with_layout(layout)
    restored = AnchorParameters.from_dict(params.to_dict())
    assert restored == params != default
    assert hash(restored) == hash(params)
    assert "layout" not in default.to_dict()
