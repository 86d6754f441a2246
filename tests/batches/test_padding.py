import numpy as np
import pytest

from keras_retinanet.batches import padding
from keras_retinanet.images import resize_image
from keras_retinanet.system import arrays
from tests.fakes import MemoryGenerator, truth
from tests.preprocessing.test_generator import Blocks

USUAL = {(800, 800), (800, 1088), (1088, 800), (1088, 1088), (800, 1344), (1344, 800), (1344, 1344)}


def resized_sizes(number, min_side, max_side):
    """Heights and widths of images of random proportions after resizing."""
    rng = np.random.default_rng(0)
    sides = rng.integers(100, 1500, (number, 2))
    tiny = [np.zeros((*pair, 1), "uint8") for pair in sides // 10]
    return [resize_image(image, min_side, max_side)[0].shape[:2] for image in tiny]


def test_the_fixed_set_by_hand():
    assert set(padding.bucket_shapes(800, 1333)) == USUAL
    assert padding.bucket_shapes(800, 1333)[:2] == ((800, 800), (800, 1088))
    # Where the longest side decides, photos are lower than the shortest side.
    assert padding.bucket_shapes(512, 512) == ((384, 512), (512, 384), (512, 512))
    assert padding.bucket_shapes(96, 128) == ((96, 96), (96, 128), (128, 96), (128, 128))


def test_every_range_of_scales_has_a_set_for_its_middle_and_its_end():
    shapes = padding.bucket_shapes(800, 1333, (0.8, 1.2))
    assert set(shapes) == USUAL | set(padding.bucket_shapes(960, 1333 * 1.2))
    assert padding.bucket_shapes(800, 1333, (1.0, 1.0)) == padding.bucket_shapes(800, 1333)


@pytest.mark.parametrize("sides", [(80, 133), (64, 64), (50, 60), (61, 200)])
def test_every_resized_image_fits_into_the_smallest_that_holds_it(sides):
    shapes = padding.bucket_shapes(*sides)
    assert len(shapes) <= 7
    found = set()
    for height, width in resized_sizes(300, *sides):
        chosen = padding.smallest_bucket(height, width, shapes)
        fitting = [shape for shape in shapes if shape[0] >= height and shape[1] >= width]
        assert chosen[0] * chosen[1] == min(a * b for a, b in fitting)
        found.add(chosen)
    assert found <= set(shapes)


def test_what_fits_into_none_is_rounded_up_coarsely():
    assert padding.smallest_bucket(129, 640, ()) == (256, 640)
    assert padding.smallest_bucket(801, 100, padding.bucket_shapes(64, 64)) == (896, 128)


def test_multiples_by_hand():
    assert padding.multiples_of(32, 800, 1083) == (800, 1088)
    assert padding.multiples_of(32, 1, 33) == (32, 64)
    assert padding.multiples_of(1, 203, 275) == (203, 275)


def test_pads_with_zeros_at_the_right_and_bottom():
    images = [np.ones((5, 6, 3), "uint8"), np.full((7, 2, 3), 2, "float64")]
    assert padding.largest_shape(images) == (7, 6, 3)
    batch = padding.pad(images, (8, 9, 3))
    expected = np.zeros((2, 8, 9, 3), "float32")
    expected[0, :5, :6], expected[1, :7, :2] = 1, 2
    np.testing.assert_array_equal(batch, expected)
    assert batch.dtype == np.float32
    assert arrays.is_aligned(batch)


def test_one_aligned_float_image_is_not_copied():
    image = arrays.zeros((5, 16, 3), "float32")
    assert np.shares_memory(padding.pad([image], (5, 16, 3)), image)
    for other in (image + 1, image[:, ::-1], image.astype("uint8"), image.astype("float64")):
        batch = padding.pad([other], (5, 16, 3))
        assert arrays.is_aligned(batch)
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch[0], other)
    assert padding.pad([image], (6, 16, 3)).shape == (1, 6, 16, 3)


def photos(number, **options):
    """A data set of images of random proportions with a bright rectangle each."""
    rng = np.random.default_rng(1)
    images = [np.full((*rng.integers(40, 120, 2), 3), 9, "uint8") for _ in range(number)]
    boxes = [truth((2, 3, 34, 36, i % 2)) for i in range(number)]
    return MemoryGenerator(
        images,
        boxes,
        **{"no_resize": False, "image_min_side": 64, "image_max_side": 107, **options},
    )


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 7),
        ({"group_method": "random", "batch_size": 3}, 7),
        ({"scale_range": (0.5, 1.5)}, 14),
        ({"no_resize": True}, 1),  # none has more than 128 pixels
    ],
)
def test_batches_have_few_shapes(options, most):
    plain, padded = (photos(60, pad_to_buckets=on, **options) for on in (False, True))
    shapes = {padded[i][0].shape for i in range(len(padded))}
    assert len(shapes) <= most
    if most > 1:
        assert len(shapes) > 2
        assert len({plain[i][0].shape for i in range(len(plain))}) > len(shapes)


@pytest.mark.parametrize("options", [{}, {"scale_range": (0.5, 1.5)}, {"no_resize": True}])
def test_targets_inside_the_image_are_those_without_buckets(options):
    def inside(batch):
        """The anchors centred in the part that is not padding for buckets, and their targets."""
        images, targets = batch
        anchors = plain.generate_anchors(images.shape[1:])
        inside = ((anchors[:, :2] + anchors[:, 2:]) / 2 < [width, height]).all(axis=1)
        assert all((values[:, ~inside, -1] == -1).all() for values in targets)
        return [anchors[inside], *(values[:, inside] for values in targets)]

    plain, padded = (photos(12, batch_size=2, pad_to_buckets=on, **options) for on in (False, True))
    positive = 0
    for i in range(len(plain)):
        batch, larger = plain[i], padded[i]
        height, width = batch[0].shape[1:3]
        np.testing.assert_array_equal(larger[0][:, :height, :width], batch[0])
        assert not larger[0][:, height:].any()
        assert not larger[0][:, :, width:].any()
        expected = inside(batch)
        for values, others in zip(expected, inside(larger), strict=True):
            np.testing.assert_array_equal(values, others)
        positive += (expected[2] > 0).sum()
    assert positive > 12


def test_the_shape_is_that_of_the_batch_unless_buckets_are_asked_for():
    images = [np.zeros((33, 40, 3)), np.zeros((20, 50, 3))]
    assert Blocks().padded_shape(images) == (33, 50, 3)
    assert Blocks(pad_to_buckets=True).padded_shape(images) == (128, 128, 3)
    sides = {"no_resize": False, "image_min_side": 32, "image_max_side": 64}
    assert Blocks(pad_to_buckets=True, **sides).padded_shape(images) == (64, 64, 3)


def test_the_shape_is_a_multiple_of_what_is_asked_for():
    images = [np.zeros((33, 40, 3)), np.zeros((20, 50, 3))]
    assert Blocks(pad_multiple=32).padded_shape(images) == (64, 64, 3)
    assert Blocks(pad_multiple=10).padded_shape(images) == (40, 50, 3)
    sides = {"no_resize": False, "image_min_side": 32, "image_max_side": 64}
    buckets = Blocks(pad_to_buckets=True, pad_multiple=40, **sides)
    assert buckets.padded_shape(images) == (80, 80, 3)
