import numpy as np
import pytest

from keras_retinanet.preprocessing.shapes import scene
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES, make_shape

PICTURE = (128, 120)


"The built-in data set: its promises about boxes, sight, seeds and files."


PICTURE = (128, 120)


def scenes(count):
    rng = np.random.default_rng(5)
    return [scene.plan_scene(128, 112, rng) for _ in range(count)]


def label(name):
    return CLASS_NAMES.index(name)


def test_box_of_an_upright_rectangle_is_its_sides():
    shape = make_shape(label("rectangle"), (50.0, 40.0), (20.0, 30.0), 0.0, PICTURE)
    assert shape.box == (40, 25, 60, 55)
    assert np.count_nonzero(shape.mask >= 128) == 20 * 30


def test_box_of_a_turned_square_is_its_diagonal():
    shape = make_shape(label("rectangle"), (60.0, 60.0), (40.0, 40.0), np.pi / 4, PICTURE)
    half = 40 / np.sqrt(2)
    np.testing.assert_allclose(shape.box, [60 - half, 60 - half, 60 + half, 60 + half], atol=1.0)


def test_box_is_clipped_to_the_picture():
    shape = make_shape(label("ring"), (0.0, 120.0), (40.0, 60.0), 0.0, PICTURE)
    assert shape.box == (0, 90, 20, 120)


def test_shape_outside_the_picture_is_none():
    assert make_shape(label("cross"), (300.0, 10.0), (40.0, 40.0), 0.0, PICTURE) is None


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_area_of_each_class(name):
    share = AREAS[name]
    shape = make_shape(label(name), (64.0, 60.0), (80.0, 80.0), 0.3, PICTURE)
    assert scene.full_area(shape) == pytest.approx(share * 80**2, rel=0.01)
    assert np.count_nonzero(shape.mask >= 128) == pytest.approx(share * 80**2, rel=0.02)


# Areas in the unit square: a disc less one of radius 0.29; all; half; 2 arms less their crossing.
AREAS = {
    "ring": np.pi * (0.25 - 0.29**2),
    "rectangle": 1.0,
    "triangle": 0.5,
    "cross": 2 * 0.34 - 0.34**2,
}


def test_visible_fraction_counts_what_lies_on_top_and_outside():
    below = make_shape(label("rectangle"), (40.0, 40.0), (40.0, 40.0), 0.0, PICTURE)
    above = make_shape(label("rectangle"), (50.0, 40.0), (20.0, 40.0), 0.0, PICTURE)
    halfway_out = make_shape(label("rectangle"), (128.0, 100.0), (20.0, 20.0), 0.0, PICTURE)
    fractions = scene.visible_fractions([below, above, halfway_out])
    np.testing.assert_allclose(fractions, [0.5, 1.0, 0.5])


def test_scenes_keep_their_promises():
    planned = scenes(300)
    for chosen in filter(lambda each: each.shapes, planned):
        assert min(scene.visible_fractions(list(chosen.shapes))) >= scene.MIN_VISIBLE
        sides = chosen.boxes[:, 2:] - chosen.boxes[:, :2]
        assert scene.SIDE_LIMITS[0] <= sides.min() <= sides.max()
        assert sides.max() <= scene.SIDE_LIMITS[1]
        assert (chosen.boxes >= 0).all()
        assert (chosen.boxes <= [128, 112, 128, 112]).all()
    # Empty pictures, and up to ten objects.
    counts = np.bincount([len(each.shapes) for each in planned], minlength=11)
    assert len(counts) == 11
    assert (counts > 0).all()
    assert 0.04 < counts[0] / len(planned) < 0.16
    per_class = np.bincount(np.concatenate([each.labels for each in planned]))
    assert per_class.min() > 0.6 * per_class.mean()
