import itertools

import cv2
import numpy as np
import pytest

from keras_retinanet.augmentation import colours
from keras_retinanet.augmentation.colours import VisualEffect
from tests.data.make_augmentation_goldens import EFFECTS
from tests.goldens import AUGMENTATION as GOLDENS

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype("uint8")


def test_no_effect_changes_nothing():
    np.testing.assert_array_equal(VisualEffect(0, 0, 0, 0)(IMAGE), IMAGE)


def test_contrast_0_leaves_the_mean_and_1_the_image():
    flat = colours.adjust_contrast(IMAGE, 0)
    np.testing.assert_array_equal(flat[0, 0], IMAGE.mean(axis=(0, 1)).astype("uint8"))
    np.testing.assert_allclose(colours.adjust_contrast(IMAGE, 1), IMAGE, atol=1)


def test_brightness_is_a_share_of_255_and_stays_in_range():
    pixels = np.array([[[0, 100, 250]]], "uint8")
    assert colours.adjust_brightness(pixels, 0.1).tolist() == [[[25, 125, 255]]]
    assert colours.adjust_brightness(pixels, -0.2).tolist() == [[[0, 49, 199]]]


def test_half_the_circle_turns_red_to_cyan():
    red = np.zeros((1, 1, 3), "uint8")
    red[..., 2] = 255
    assert VisualEffect(0, 0, 0.5, 0)(red).tolist() == [[[255, 255, 0]]]


def test_saturation_0_is_not_black_and_white_but_a_factor_is():
    hsv = cv2.cvtColor(IMAGE, cv2.COLOR_BGR2HSV)
    np.testing.assert_array_equal(colours.adjust_saturation(hsv, 0.5)[..., 1], hsv[..., 1] // 2)


def one_by_one(image, contrast, brightness, hue, saturation):
    """Return an image after each of the four changes of the whole image in turn."""
    image = colours.adjust_contrast(image, contrast) if contrast else image
    image = colours.adjust_brightness(image, brightness) if brightness else image
    if not hue and not saturation:
        return image
    image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    image = colours.adjust_hue(image, hue) if hue else image
    image = colours.adjust_saturation(image, saturation) if saturation else image
    return cv2.cvtColor(image, cv2.COLOR_HSV2BGR)


@pytest.mark.parametrize("used", list(itertools.product([False, True], repeat=4)))
def test_an_effect_is_its_changes_one_by_one(used):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (60, 70, 3)).astype("uint8")
    for _ in range(5):
        values = used * rng.uniform([0.1, -1, -1, 0.1], [3, 1, 1, 3])
        for given in (image, image[:, ::-1]):
            found = VisualEffect(*values)(given)
            np.testing.assert_array_equal(found, one_by_one(given, *values))


def test_contrast_is_a_formula():
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype("uint8")
    mean = image.mean(axis=(0, 1))
    for factor in (0.3, 0.95, 1.7):
        expected = np.clip((image - mean) * factor + mean, 0, 255).astype("uint8")
        np.testing.assert_array_equal(colours.adjust_contrast(image, factor), expected)


def test_images_of_floats_are_changed_alike():
    effect = VisualEffect(1.3, 0.1, 0.2, 0.9)
    np.testing.assert_array_equal(effect(IMAGE.astype("float32")), effect(IMAGE))


def test_the_image_given_stays_as_it_is():
    before = IMAGE.copy()
    VisualEffect(1.1, 0.1, 0.1, 1.1)(IMAGE)
    np.testing.assert_array_equal(IMAGE, before)


def test_draws_and_colours_are_those_of_old():
    np.random.seed(5)
    source = colours.random_visual_effect_generator()
    drawn = [next(source) for _ in range(3)]
    found = [list(vars(effect).values()) for effect in drawn]
    np.testing.assert_allclose(found, GOLDENS["drawn"], atol=1e-12)
    drawn += [VisualEffect(*values) for values in EFFECTS]
    coloured = [effect(GOLDENS["image"]) for effect in drawn]
    np.testing.assert_array_equal(coloured, GOLDENS["coloured"])


def test_draws_lie_in_the_ranges_and_depend_on_the_generator_alone():
    source = colours.random_visual_effect_generator(hue_range=(0.02, 0.03))
    effects = [source.sample(np.random.default_rng(i)) for i in range(50)]
    assert all(0.02 <= effect.hue_delta <= 0.03 for effect in effects)
    assert all(0.9 <= effect.contrast_factor <= 1.1 for effect in effects)
    assert source.sample(np.random.default_rng(7)) == effects[7]
    assert next(source) != next(source)


@pytest.mark.parametrize("limits", [(1.1, 0.9), (-0.1, 1)])
def test_bad_ranges_are_refused(limits):
    with pytest.raises(
        ValueError, match="expected contrast_range to be two numbers, the smaller first, in"
    ):
        colours.random_visual_effect_generator(contrast_range=limits)
