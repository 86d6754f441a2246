import numpy as np
import pytest

from keras_retinanet.augmentation import transforms
from keras_retinanet.augmentation.transforms import TransformParameters
from tests.data.make_augmentation_goldens import RANGES
from tests.goldens import AUGMENTATION as GOLDENS

MODES = [
    (fill, interpolation)
    for fill in transforms.BORDER_MODES
    for interpolation in transforms.INTERPOLATIONS
]
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
    np.testing.assert_allclose(transforms.rotation(np.pi / 2) @ point, [-1, 2, 1], atol=1e-12)
    np.testing.assert_allclose(transforms.translation((3, 4)) @ point, [5, 5, 1])
    np.testing.assert_allclose(transforms.scaling((3, 4)) @ point, [6, 4, 1])
    np.testing.assert_allclose(transforms.shear(np.pi / 2) @ point, [1, 0, 1], atol=1e-12)


def test_steps_come_in_the_old_order():
    steps = {name: STRONG[name] for name in STRONG if "chance" not in name}
    fixed = {name: steps["max_" + name.split("_", 1)[1]] for name in steps}  # each range is a point
    expected = (
        transforms.rotation(0.5)
        @ transforms.translation((0.2, 0.2))
        @ transforms.shear(0.3)
        @ transforms.scaling((1.4, 1.4))
        @ transforms.scaling((-1, 1))
    )
    found = transforms.random_transform(**fixed, flip_x_chance=1)
    np.testing.assert_allclose(found, expected)


def test_neutral_ranges_change_nothing():
    np.testing.assert_array_equal(transforms.random_transform(), np.eye(3))


def test_draws_are_those_of_old():
    seeded = [
        transforms.random_transform(prng=np.random.RandomState(i), **RANGES) for i in range(6)
    ]
    np.testing.assert_allclose(seeded, GOLDENS["seeded"], atol=1e-12)
    source = transforms.random_transform_generator(prng=np.random.RandomState(3), **RANGES)
    generated = [next(source) for _ in range(3)]
    np.testing.assert_allclose(generated, GOLDENS["generated"], atol=1e-12)
    np.random.seed(4)
    drawn = [transforms.random_transform(**RANGES) for _ in range(3)]
    np.testing.assert_allclose(drawn, GOLDENS["global"], atol=1e-12)


def test_matrices_and_boxes_are_those_of_old():
    for i, matrix in enumerate(GOLDENS["seeded"]):
        found = [
            transforms.change_transform_origin(matrix, (12, 20.5)),
            transforms.adjust_transform_for_image(matrix, GOLDENS["image"], True),
            transforms.adjust_transform_for_image(matrix, GOLDENS["image"], False),
        ]
        expected = [GOLDENS[name][i] for name in ("centred", "relative", "absolute")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        box = transforms.transform_aabb(matrix, [3, 4, 20, 30])
        np.testing.assert_allclose(box, GOLDENS["boxes"][i], atol=1e-12)


@pytest.mark.parametrize(("fill", "interpolation"), MODES)
def test_pixels_are_those_of_old_but_for_half_a_pixel(fill, interpolation):
    # keras-retinanet 1.0.0 measured pixels from the middle of the first one, boxes from its edge.
    there, back = transforms.translation((0.5, 0.5)), transforms.translation((-0.5, -0.5))
    parameters = TransformParameters(fill, interpolation, cval=77)
    for matrix, expected in zip(
        GOLDENS["relative"], GOLDENS[f"{fill} {interpolation}"], strict=False
    ):
        found = transforms.apply_transform(there @ matrix @ back, GOLDENS["image"], parameters)
        np.testing.assert_allclose(found, expected, atol=1)


def test_each_channel_may_have_its_own_fill():
    parameters = TransformParameters("constant", cval=(1, 2, 3))
    away = transforms.translation((5, 0))
    found = transforms.apply_transform(away, np.zeros((2, 3, 3), "uint8"), parameters)
    assert np.unique(found.reshape(-1, 3), axis=0).tolist() == [[1, 2, 3]]


def test_draws_depend_on_the_generator_alone():
    source = transforms.random_transform_generator(**STRONG)
    draws = [source.sample(np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    assert not np.array_equal(next(source), next(source))


@pytest.mark.parametrize("flips", [(1, 0), (0, 1), (1, 1)])
def test_a_flip_is_an_exact_mirror_image(flips):
    image = np.random.default_rng(0).integers(0, 256, (7, 12, 3)).astype("uint8")
    transform = transforms.random_flip(*flips)
    transform = transforms.adjust_transform_for_image(transform, image, True)
    found = transforms.apply_transform(transform, image, TransformParameters())
    expected = image[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    np.testing.assert_array_equal(found, expected)
    part = transforms.apply_transform(transform, image, TransformParameters(), size=(5, 7))
    np.testing.assert_array_equal(part, expected[:, :5])
    shifted = transforms.translation((2, 0)) @ transform
    beside = transforms.apply_transform(shifted, image, TransformParameters("constant"))
    np.testing.assert_array_equal(beside[:, 2:], expected[:, :-2])
    assert not beside[:, :2].any()


STEPS = {
    "flip x": transforms.scaling((-1, 1)),
    "flip y": transforms.scaling((1, -1)),
    "rotation": transforms.rotation(0.4),
    "shear": transforms.shear(-0.3),
    "scaling": transforms.scaling((1.4, 0.7)),
    "translation": transforms.translation((0.125, -0.175)),
    **{
        f"all, seed {seed}": transforms.random_transform(**STRONG, prng=np.random.default_rng(seed))
        for seed in range(8)
    },
}


@pytest.mark.parametrize("interpolation", transforms.INTERPOLATIONS)
@pytest.mark.parametrize("step", STEPS)
def test_pixels_points_and_boxes_are_moved_alike(step, interpolation):
    image = np.zeros((240, 320, 3), "uint8")
    image[100:140, 120:200] = 255
    transform = transforms.adjust_transform_for_image(STEPS[step], image, True)
    parameters = TransformParameters("constant", interpolation)
    moved = transforms.apply_transform(transform, image, parameters)[..., 0]
    rows, columns = np.nonzero(moved > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    expected = transforms.transform_boxes(transform, np.array([[120, 100, 200, 140]]))[0]
    assert (expected[:2] > 1).all()  # it stays inside
    assert (expected[2:] < [319, 239]).all()
    # Corners of a turned block are thinner than a pixel.
    np.testing.assert_allclose(seen, expected, atol=0 if "flip" in step else 1.5)
    # The middle of the block is known to a fraction of a pixel, so half a pixel would show.
    light = moved.astype(float)
    middle = [
        (light.sum(axis=0) * (np.arange(320) + 0.5)).sum() / light.sum(),
        (light.sum(axis=1) * (np.arange(240) + 0.5)).sum() / light.sum(),
    ]
    tolerance = 0.2 if interpolation == "nearest" else 0.05
    np.testing.assert_allclose(middle, (transform @ [160, 120, 1])[:2], atol=tolerance)


def test_boxes_of_nothing_and_the_old_single_box():
    turn = transforms.rotation(np.pi / 2)
    assert transforms.transform_boxes(turn, np.zeros((0, 4))).shape == (0, 4)
    np.testing.assert_allclose(transforms.transform_aabb(turn, [1, 2, 4, 3]), [-3, 1, -2, 4])


def test_arguments_stay_as_they_are():
    transform = transforms.translation((0.5, 0.5))
    transforms.adjust_transform_for_image(transform, np.zeros((10, 20, 3)), True)
    assert transform[0, 2] == 0.5


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="expected fill_mode to be one of .* got 'mirror'"):
        TransformParameters(fill_mode="mirror").cvBorderMode()
    with pytest.raises(ValueError, match="expected interpolation to be one of"):
        TransformParameters(interpolation="best").cvInterpolation()
