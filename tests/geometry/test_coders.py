import json

import keras
import numpy as np
import pytest

from keras_retinanet.geometry.coders import (
    CentreCoder,
    CornerCoder,
    bbox_transform,
    coder_from_dict,
    corner_coder,
)

ANCHOR = np.array([[10.0, 20, 30, 60]])


def random_boxes(rng, n):
    corners = rng.uniform(0, 100, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 50, (n, 2))], axis=1)


def test_encode_by_hand():
    # The anchor is 20 wide and 40 high; each corner moves by 2 and 4 pixels, a tenth of it.
    box = ANCHOR + [2, 4, -2, -4]
    np.testing.assert_allclose(CornerCoder().encode(ANCHOR, box), [[0.5, 0.5, -0.5, -0.5]])
    other = CornerCoder([0.1] * 4, [1] * 4)
    np.testing.assert_allclose(other.encode(ANCHOR, box), [[0, 0, -0.2, -0.2]])
    np.testing.assert_array_equal(
        bbox_transform(ANCHOR, box, [0.1] * 4, [1] * 4), other.encode(ANCHOR, box)
    )


@pytest.mark.parametrize("coder", [CornerCoder(), CornerCoder((0.1, 0, 0, -0.3), (1, 2, 0.1, 3))])
@pytest.mark.parametrize("n", [0, 1, 50])
def test_decode_undoes_encode(n, coder):
    rng = np.random.default_rng(0)
    anchors, wanted = random_boxes(rng, n), random_boxes(rng, n)
    decoded = coder.decode(anchors, coder.encode(anchors, wanted))
    np.testing.assert_allclose(decoded, wanted, atol=1e-10)


def test_tensors_give_what_arrays_give():
    rng = np.random.default_rng(1)
    anchors, offsets = random_boxes(rng, 9).astype("float32"), rng.normal(size=(9, 4))
    offsets = offsets.astype("float32")
    tensor = CornerCoder().decode(keras.ops.array(anchors), keras.ops.array(offsets))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(tensor), CornerCoder().decode(anchors, offsets), rtol=1e-6
    )


@pytest.mark.parametrize("wrong", ["0.2", 0.2, [0.2, 0.2]])
def test_std_has_to_be_four_numbers(wrong):
    with pytest.raises(ValueError, match="Expected std"):
        CornerCoder(std=wrong)
    with pytest.raises(ValueError, match="Expected std"):
        bbox_transform(ANCHOR, ANCHOR, std=wrong)


def test_a_coder_goes_through_json():
    coder = CornerCoder((0.1, 0, 0, 0), (1, 2, 3, 4))
    assert coder_from_dict(json.loads(json.dumps(coder.to_dict()))) == coder
    with pytest.raises(ValueError, match="kind 'corner' or 'centre', got 'middle'"):
        coder_from_dict({"kind": "middle"})


def test_none_means_the_default():
    assert corner_coder(None, None) == CornerCoder()
    assert corner_coder(None, [1] * 4) == CornerCoder(std=(1, 1, 1, 1))


@pytest.mark.parametrize("value", [5, "x" * 10**5, [0.1] * 5000, [0, 0, 0, []], [10**400] * 4])
@pytest.mark.parametrize("name", ["kind", "mean", "std"])
def test_a_malformed_coder_is_refused(name, value):
    with pytest.raises(ValueError) as error:
        coder_from_dict({**CornerCoder().to_dict(), name: value})
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("values", [None, 3, [], "x"])
def test_what_is_no_dictionary_is_no_coder(values):
    with pytest.raises(ValueError, match="expected a box coder of the kind 'corner'"):
        coder_from_dict(values)


def test_centre_coder_by_hand():
    # The anchor is 20 wide and 40 high around (20, 40); the box twice as wide, as high, moved by
    # half a width and a quarter of a height.
    box = np.array([[10.0, 30, 50, 70]])
    offsets = CentreCoder().encode(ANCHOR, box)
    np.testing.assert_allclose(offsets, [[0.5, 0.25, np.log(2), 0]])
    np.testing.assert_allclose(CentreCoder().decode(ANCHOR, offsets), box)


@pytest.mark.parametrize("n", [0, 1, 50])
def test_centre_coder_decodes_what_it_encodes(n):
    rng = np.random.default_rng(0)
    anchors, wanted = random_boxes(rng, n), random_boxes(rng, n)
    for coder in (CentreCoder(), CentreCoder(clamp_below=True)):
        decoded = coder.decode(anchors, coder.encode(anchors, wanted))
        np.testing.assert_allclose(decoded, wanted, atol=1e-10)


def test_centre_coder_bounds_the_sides():
    offsets = np.array([[0.0, 0, 100, -100]])
    # 1000 / 16 times as wide as the anchor; as flat as exp(-100) makes it, or 16 / 1000 as high.
    (box,) = CentreCoder().decode(ANCHOR, offsets)
    np.testing.assert_allclose(box, [20 - 625, 40, 20 + 625, 40], atol=1e-9)
    (box,) = CentreCoder(clamp_below=True).decode(ANCHOR, offsets)
    np.testing.assert_allclose(box, [20 - 625, 40 - 0.32, 20 + 625, 40 + 0.32])


def test_centre_coder_takes_tensors():
    rng = np.random.default_rng(1)
    anchors, offsets = random_boxes(rng, 9).astype("float32"), rng.normal(size=(9, 4))
    offsets = offsets.astype("float32")
    tensor = CentreCoder().decode(keras.ops.array(anchors), keras.ops.array(offsets))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(tensor), CentreCoder().decode(anchors, offsets), rtol=1e-5
    )


def test_centre_coder_goes_through_json():
    for coder in (CentreCoder(), CentreCoder(max_log=2.5, clamp_below=True)):
        assert coder_from_dict(json.loads(json.dumps(coder.to_dict()))) == coder
    assert coder_from_dict({"kind": "centre"}) == CentreCoder()


@pytest.mark.parametrize(
    "values", [{"max_log": 0}, {"max_log": 1e9}, {"max_log": "x"}, {"clamp_below": 1}]
)
def test_a_malformed_centre_coder_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        coder_from_dict({"kind": "centre", **values})
