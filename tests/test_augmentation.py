import numpy as np
import pytest

from keras_retinanet import augmentation
from keras_retinanet.augmentation import TransformParameters

STRONG = {
    "min_rotation": -0.5,
    "max_rotation": 0.5,
    "min_translation": (-0.2, -0.2),
    "max_translation": (0.2, 0.2),
    "min_shear": -0.3,
    "max_shear": 0.3,
    "min_scaling": (0.7, 0.7),
    "max_scaling": (1.4, 1.4),
    "flip_x_chance": 0.5,
    "flip_y_chance": 0.5,
}


def test_single_steps_move_points_as_said():
    point = np.array([2.0, 1, 1])
    np.testing.assert_allclose(augmentation.rotation(np.pi / 2) @ point, [-1, 2, 1], atol=1e-12)
    np.testing.assert_allclose(augmentation.translation((3, 4)) @ point, [5, 5, 1])
    np.testing.assert_allclose(augmentation.scaling((3, 4)) @ point, [6, 4, 1])
    np.testing.assert_allclose(augmentation.shear(np.pi / 2) @ point, [1, 0, 1], atol=1e-12)


def test_steps_come_in_the_old_order():
    steps = {name: STRONG[name] for name in STRONG if "chance" not in name}
    fixed = {name: steps["max_" + name.split("_", 1)[1]] for name in steps}  # each range is a point
    expected = (
        augmentation.rotation(0.5)
        @ augmentation.translation((0.2, 0.2))
        @ augmentation.shear(0.3)
        @ augmentation.scaling((1.4, 1.4))
        @ augmentation.scaling((-1, 1))
    )
    found = augmentation.random_transform(**fixed, flip_x_chance=1)
    np.testing.assert_allclose(found, expected)


def test_neutral_ranges_change_nothing():
    np.testing.assert_array_equal(augmentation.random_transform(), np.eye(3))


def test_draws_depend_on_the_generator_alone():
    source = augmentation.random_transform_generator(**STRONG)
    draws = [source.draw(np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    assert not np.array_equal(next(source), next(source))


@pytest.mark.parametrize("flips", [(1, 0), (0, 1), (1, 1)])
def test_a_flip_is_an_exact_mirror_image(flips):
    image = np.random.default_rng(0).integers(0, 256, (7, 12, 3)).astype("uint8")
    transform = augmentation.random_flip(*flips)
    transform = augmentation.adjust_transform_for_image(transform, image, True)
    found = augmentation.apply_transform(transform, image, TransformParameters())
    expected = image[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(8))
def test_pixels_and_boxes_are_moved_alike(seed):
    image = np.zeros((120, 160, 3), "uint8")
    image[50:70, 60:100] = 255
    box = np.array([[60, 50, 100, 70]])
    transform = augmentation.random_transform(**STRONG, prng=np.random.default_rng(seed))
    transform = augmentation.adjust_transform_for_image(transform, image, True)
    parameters = TransformParameters(fill_mode="constant")
    moved = augmentation.apply_transform(transform, image, parameters)
    rows, columns = np.nonzero(moved[..., 0] > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    limits = [160, 120, 160, 120]
    expected = np.clip(augmentation.transform_boxes(transform, box)[0], 0, limits)
    np.testing.assert_allclose(seen, expected, atol=1.5)


def test_boxes_of_nothing_and_the_old_single_box():
    turn = augmentation.rotation(np.pi / 2)
    assert augmentation.transform_boxes(turn, np.zeros((0, 4))).shape == (0, 4)
    np.testing.assert_allclose(augmentation.transform_aabb(turn, [1, 2, 4, 3]), [-3, 1, -2, 4])


def test_arguments_stay_as_they_are():
    transform = augmentation.translation((0.5, 0.5))
    augmentation.adjust_transform_for_image(transform, np.zeros((10, 20, 3)), True)
    assert transform[0, 2] == 0.5


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="expected fill_mode to be one of .* got 'mirror'"):
        TransformParameters(fill_mode="mirror").cvBorderMode()
    with pytest.raises(ValueError, match="expected interpolation to be one of"):
        TransformParameters(interpolation="best").cvInterpolation()
