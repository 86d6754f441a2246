"""One image and its picture: what is drawn where, in which colour."""

import numpy as np
import pytest

from keras_retinanet.augmentation.colours import random_visual_effect_generator
from keras_retinanet.augmentation.mixing import RandomMix
from keras_retinanet.augmentation.transforms import random_transform_generator
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.reports import samples
from tests.fakes import MemoryGenerator, picture, truth

# One anchor of 16 pixels around each cell centre 4, 12, 20, ...
ONE_ANCHOR = Config(AnchorParameters([16], [8], [1], [1]), (3,))
CYAN, GREEN, RED = [255, 255, 0], [0, 255, 0], [0, 0, 255]
# On an anchor, too small for any, and partly outside.
ROWS = [(4, 4, 20, 20, 0), (40, 30, 45, 35, 1), (48, 4, 66, 20, 1)]


def generator(rows=ROWS, **options):
    image = picture(48, 64, (4, 4, 20, 20))
    return MemoryGenerator([image], [truth(*rows)], config=ONE_ANCHOR, **options)


def test_which_boxes_match_an_anchor():
    sample = samples.load_sample(generator(), 0)
    assert sample.valid.tolist() == [True, True, False]
    assert not sample.clipped.any()
    assert sample.size == (64, 48)
    assert sample.anchored.tolist() == [True, False, False]
    assert sample.anchors.tolist() == [[4, 4, 20, 20]]
    assert sample.bboxes.tolist() == [list(row[:4]) for row in ROWS]
    assert sample.labels.tolist() == [0, 1, 1]
    assert sample.scale == 1


def test_a_box_that_leaves_by_up_to_a_pixel_is_clipped():
    sample = samples.load_sample(generator([(-1, 4, 20, 20, 0), (48, 4, 66, 20, 1)]), 0)
    assert sample.bboxes.tolist() == [[0, 4, 20, 20], [48, 4, 66, 20]]
    assert sample.valid.tolist() == [True, False]
    assert sample.clipped.tolist() == [True, False]


def test_boxes_from_other_images_are_valid():
    images = [picture(48, 64, (4, 4, 20, 20))] * 2
    wrong = truth((48, 4, 66, 20, 1), (-1, 4, 20, 20, 0))
    data = MemoryGenerator(
        images,
        [wrong, truth((4, 4, 20, 20, 0))],
        config=ONE_ANCHOR,
        random_mix=RandomMix(copy_paste=1),
    )
    sample = samples.load_sample(data, 0, epoch=0)
    assert sample.bboxes[:2].tolist() == [[48, 4, 66, 20], [0, 4, 20, 20]]
    assert sample.valid.tolist() == [False, True, True]
    assert sample.clipped.tolist() == [False, True, False]


def test_an_anchor_is_matched_to_one_of_two_equal_boxes():
    sample = samples.load_sample(generator([ROWS[0], ROWS[0]]), 0)
    assert sample.anchored.tolist() == [True, False]


def test_no_boxes():
    sample = samples.load_sample(generator([]), 0)
    assert (sample.anchors.shape, sample.anchored.shape) == ((0, 4), (0,))
    drawn = samples.draw_sample(generator([]), sample, anchors=True, annotations=True)
    np.testing.assert_array_equal(drawn, sample.image)


def test_boxes_follow_the_resized_image():
    options = {"no_resize": False, "image_min_side": 96, "image_max_side": 200}
    sample = samples.load_sample(generator(**options), 0)
    assert sample.image.shape == (96, 128, 3)
    assert sample.scale == 2
    assert sample.bboxes[0].tolist() == [8, 8, 40, 40]
    # Twice the size is too large for the anchor.
    assert not sample.anchored.any()


def test_random_changes_are_those_of_training():
    changes = {
        "transform_generator": random_transform_generator(min_rotation=-0.5, max_rotation=0.5),
        "visual_effect_generator": random_visual_effect_generator(),
    }
    data = generator(ROWS[:2], **changes)
    for epoch in (0, 1):
        sample = samples.load_sample(data, 0, epoch)
        image, annotations = data.sample(0, epoch)
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.bboxes, annotations["bboxes"])
    plain = samples.load_sample(data, 0)
    np.testing.assert_array_equal(plain.image, data.load_image(0))
    assert not np.array_equal(plain.image, sample.image)


def test_colours_of_boxes_and_anchors():
    data = generator()
    sample = samples.load_sample(data, 0)
    before = sample.image.copy()
    drawn = samples.draw_sample(data, sample, annotations=True)
    # The lower right corners: captions stand at the upper left ones.
    assert drawn[20, 20].tolist() == GREEN
    assert drawn[35, 45].tolist() == RED
    assert drawn[20, 63].tolist() == RED  # what lies outside is drawn on the border
    drawn = samples.draw_sample(data, sample, anchors=True)
    assert drawn[20, 20].tolist() == CYAN
    assert not (drawn == RED).all(axis=2).any()
    np.testing.assert_array_equal(sample.image, before)


def test_the_name_stands_in_the_lower_left_corner():
    data = generator([])
    sample = samples.load_sample(data, 0)
    drawn = samples.draw_sample(data, sample, name="folder/a.png")
    changed = (drawn != sample.image).any(axis=2)
    assert changed[-12:, :40].any()
    assert not changed[:24].any()


def test_an_unreadable_image_raises():
    data = MemoryGenerator([ValueError("cut off")], [truth()])
    with pytest.raises(ValueError, match="cut off"):
        samples.load_sample(data, 0)
