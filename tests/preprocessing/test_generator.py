import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet.augmentation.colours import random_visual_effect_generator
from keras_retinanet.augmentation.crops import RandomCrop
from keras_retinanet.augmentation.mixing import RandomMix
from keras_retinanet.augmentation.settings import RANDOM_TRANSFORM
from keras_retinanet.augmentation.transforms import random_transform_generator
from keras_retinanet.config import Config
from keras_retinanet.geometry import targets
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.images import preprocess_image
from keras_retinanet.preprocessing.generator import Generator

EVERYTHING = replace(
    RANDOM_TRANSFORM, random_crop=0.7, crop_min_share=0.5, scale_range=(0.5, 1.5)
).generator_arguments()


EVERYTHING_BUT_SCALE = {
    name: value for name, value in EVERYTHING.items() if name not in ("scale_range", "random_mix")
}


class Blocks(Generator):
    """Images of several widths with one white block each; unreadable ones on request."""

    widths = (64, 96, 64, 128, 96)

    def __init__(self, broken=(), **kwargs):
        self.broken = set(broken)
        options = {"preprocess_image": lambda x: x, "no_resize": True}
        super().__init__(**{**options, **kwargs})

    def size(self):
        return len(self.widths)

    def num_classes(self):
        return 2

    def has_label(self, label):
        return label in (0, 1)

    def label_to_name(self, label):
        return ("even", "odd")[label]

    def image_path(self, image_index):
        return f"block{image_index}"

    def image_aspect_ratio(self, image_index):
        return self.widths[image_index] / 64

    def load_image(self, image_index):
        if image_index in self.broken:
            raise ValueError(f"block{image_index}: cut off")
        image = np.zeros((64, self.widths[image_index], 3), "uint8")
        image[10:40, 8:44] = 255
        return image

    def load_annotations(self, image_index):
        return {"labels": np.array([image_index % 2]), "bboxes": np.array([[8.0, 10, 44, 40]])}


ABSTRACT = (
    *("size", "num_classes", "has_label", "has_name", "name_to_label", "label_to_name"),
    *("image_aspect_ratio", "image_path", "load_image", "load_annotations"),
)


@pytest.mark.parametrize("name", ABSTRACT)
def test_what_a_subclass_lacks_is_named(name):
    method = getattr(Generator.__new__(Generator), name)
    arguments = [0] * len(inspect.signature(method).parameters)
    with pytest.raises(NotImplementedError, match=f"^{name} method not implemented$"):
        method(*arguments)


def test_groups_are_made_of_single_images():
    labels = [a["labels"].tolist() for a in Blocks().load_annotations_group([1, 2])]
    assert labels == [[1], [0]]
    shapes = [image.shape for image in Blocks().load_image_group([3, 0])]
    assert shapes == [(64, 128, 3), (64, 64, 3)]


def test_a_label_not_in_use_has_no_name():
    class Gap(Blocks):
        """Label 0 is missing."""

        def has_label(self, label):
            return label == 1

    assert Gap().class_names() == [None, "odd"]


def test_a_batch_is_padded_to_its_largest_image():
    generator = Blocks(batch_size=5, group_method="none", shuffle_groups=False)
    images, (regression, classification) = generator[0]
    assert images.shape == (5, 64, 128, 3)
    assert images.dtype == np.float32
    assert not images[0, :, 64:].any()
    n = 9 * (8 * 16 + 4 * 8 + 2 * 4 + 1 * 2 + 1)
    assert regression.shape == (5, n, 5)
    assert classification.shape == (5, n, 1)
    assert set(np.unique(classification[1])) <= {-1, 0, 2}
    assert set(np.unique(classification[2])) <= {-1, 0, 1}


def test_images_stay_uint8_if_the_network_normalises():
    settings = {"batch_size": 5, "group_method": "none", "shuffle_groups": False}
    plain, whole = Blocks(**settings, preprocess_image=preprocess_image)[0]
    images, halves = Blocks(**settings, normalise_on_device=True)[0]
    assert images.dtype == np.uint8
    for half, full in zip(halves, whole, strict=True):
        assert half.nbytes * 2 == full.nbytes
        np.testing.assert_allclose(half, full, rtol=2**-11)
    # The padding is the mean pixel, rounded.
    np.testing.assert_allclose(preprocess_image(images), plain, atol=0.33)
    np.testing.assert_array_equal(preprocess_image(images)[3], plain[3])


def test_float_images_are_rounded_if_the_network_normalises():
    sides = {"no_resize": False, "image_min_side": 100, "image_max_side": 200}
    options = {**sides, "resize_rule": "torchvision", "group_method": "none"}
    rounded = Blocks(normalise_on_device=True, **options).sample(0, 0)[0]
    exact = Blocks(**options).sample(0, 0)[0]
    assert rounded.dtype == np.uint8
    assert np.abs(rounded - exact).max() == pytest.approx(0.5, abs=0.05)


def test_groups_cover_all_images_and_fill_the_last_batch():
    generator = Blocks(batch_size=2, group_method="none", shuffle_groups=False)
    assert generator.groups == [[0, 1], [2, 3], [4, 0]]
    assert len(generator) == 3


def test_ratio_groups_hold_like_images():
    generator = Blocks(batch_size=2, group_method="ratio")
    assert {index for group in generator.groups for index in group} == set(range(5))
    widths = sorted(tuple(generator.widths[i] for i in group) for group in generator.groups)
    # The odd one out is filled up with the first image of the order.
    assert widths == [(64, 64), (96, 96), (128, 64)]


def test_epochs_differ_and_come_back():
    generators = [Blocks(group_method="random", seed=3) for _ in range(2)]
    orders = [[generator.epoch_groups(epoch) for epoch in range(6)] for generator in generators]
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders[0]}) > 1
    generators[0].on_epoch_end()
    assert generators[0].groups == orders[0][1]


def test_a_batch_depends_on_seed_epoch_and_image_alone():
    def make():
        return Blocks(
            batch_size=2,
            transform_generator=random_transform_generator(
                min_rotation=-0.3, max_rotation=0.3, flip_x_chance=0.5
            ),
            visual_effect_generator=random_visual_effect_generator(),
        )

    first, second = make(), make()
    second.batch(0, 0)
    for _ in range(3):
        second[1]
    np.testing.assert_array_equal(first.batch(4, 1)[0], second.batch(4, 1)[0])
    assert not np.array_equal(first.sample(0, 1)[0], first.sample(0, 2)[0])


def everything(**options):
    sides = {"no_resize": False, "image_min_side": 64, "image_max_side": 128}
    return Blocks(**{"batch_size": 2, **sides, **EVERYTHING, **options})


def test_samples_are_the_same_in_any_order_and_others_in_another_epoch():
    forward, backward = everything(), everything()
    draws = [(epoch, index) for epoch in range(3) for index in range(5)]
    first = {key: forward.sample(key[1], key[0]) for key in draws}
    second = {key: backward.sample(key[1], key[0]) for key in reversed(draws)}
    for key in draws:
        np.testing.assert_array_equal(first[key][0], second[key][0])
        np.testing.assert_array_equal(first[key][1]["bboxes"], second[key][1]["bboxes"])
    pictures = [first[key][0].tobytes() for key in draws]
    assert len(set(pictures)) == len(draws)
    assert not np.array_equal(everything(seed=1).sample(0, 0)[0], first[0, 0][0])


def test_boxes_stay_on_their_blocks_through_everything():
    straight = replace(
        RANDOM_TRANSFORM, rotation=(0, 0), shear=(0, 0), hue=(0, 0), scale_range=(0.5, 1.5)
    )
    straight = replace(straight, random_crop=0.7).generator_arguments()
    generator = Blocks(no_resize=False, image_min_side=64, image_max_side=128, **straight)
    for epoch in range(20):
        image, annotations = generator.sample(3, epoch)
        rows, columns = np.nonzero(image[..., 0] > image.max() / 2)
        for box in annotations["bboxes"]:
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(seen, box, atol=1.5)


def test_a_crop_fills_the_image_sides():
    generator = Blocks(
        no_resize=False, image_min_side=64, image_max_side=64, random_crop=RandomCrop(1, 0.5)
    )
    sizes = []
    for epoch in range(30):
        image, annotations = generator.sample(0, epoch)
        assert image.shape == (64, 64, 3)
        for x1, y1, x2, y2 in annotations["bboxes"]:
            assert image[round(y1) : round(y2), round(x1) : round(x2)].mean() > 245
            sizes.append(x2 - x1)
    assert 70 > max(sizes) > 45  # the block is 36 wide in the whole image
    assert min(sizes) < 36  # cut


def test_the_scale_is_that_of_a_batch_of_any_length():
    options = {"no_resize": False, "image_min_side": 64, "image_max_side": 128}
    generator = Blocks(
        batch_size=5, group_method="none", scale_range=(0.5, 1.5), shuffle_groups=False, **options
    )
    factors = [generator.sample_scale(0, epoch) for epoch in range(200)]
    assert 0.5 <= min(factors) < 0.55
    assert 1.45 < max(factors) <= 1.5
    for epoch, factor in enumerate(factors[:5]):
        images, _ = generator.batch(epoch, 0)
        assert images.shape[1:3] == (round(64 * factor), round(128 * factor))
        smallest, annotations = generator.sample(0, epoch)
        assert smallest.shape[0] == round(64 * factor)
        np.testing.assert_allclose(annotations["bboxes"], np.array([[8, 10, 44, 40]]) * factor)
    fixed = Blocks(scale_range=(0.5, 0.5), **options)
    assert fixed.sample(1, 0)[0].shape == (32, 48, 3)
    # Evaluation and the choice of anchors see images at their usual size.
    assert fixed.resize_image(fixed.load_image(1))[0].shape == (64, 96, 3)


def test_parts_of_a_batch_are_the_batch():
    options = {"no_resize": False, "image_min_side": 64, "image_max_side": 128}
    generator = Blocks(batch_size=5, group_method="none", scale_range=(0.5, 1.5), **options)
    parts = [generator.batch_part(0, number, 3)[0] for number in range(3)]
    assert [len(part) for part in parts] == [1, 2, 2]
    # Each is padded to its own size.
    images = [image for part in parts for image in part]
    for image, expected in zip(images, generator[0][0], strict=True):
        height, width = image.shape[:2]
        np.testing.assert_array_equal(image, expected[:height, :width])
        assert not expected[height:].any() and not expected[:, width:].any()
    (images, targets), (part, targets_of_part) = generator[0], generator.batch_part(0, 0, 1)
    for array, expected in zip((part, *targets_of_part), (images, *targets), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_flips_move_pixels_and_boxes():
    generator = Blocks(transform_generator=random_transform_generator(flip_x_chance=1))
    image, annotations = generator.sample(3, 0)
    assert annotations["bboxes"].tolist() == [[128 - 44, 10, 128 - 8, 40]]
    assert image[10:40, 84:120].min() == 255
    assert image.sum() == 3 * 255 * 30 * 36


def test_old_iterators_of_transforms_still_work():
    def shifts():
        while True:
            yield np.array([[1, 0, 0.25], [0, 1, 0], [0, 0, 1.0]])

    image, annotations = Blocks(transform_generator=shifts()).sample(0, 0)
    assert annotations["bboxes"].tolist() == [[24, 10, 60, 40]]


def test_boxes_pushed_out_are_clipped_then_dropped():
    def sample(share):
        shift = np.array([[1, 0, share], [0, 1, 0], [0, 0, 1.0]])
        return Blocks(transform_generator=iter([shift])).sample(0, 0)[1]

    assert sample(0.5)["bboxes"].tolist() == [[40, 10, 64, 40]]
    assert sample(0.8)["bboxes"].shape == (0, 4)
    assert sample(0.8)["labels"].shape == (0,)


def test_resizing_moves_boxes_along():
    generator = Blocks(no_resize=False, image_min_side=32, image_max_side=1000)
    image, annotations = generator.sample(0, 0)
    assert image.shape == (32, 32, 3)
    assert annotations["bboxes"].tolist() == [[4, 5, 22, 20]]


@pytest.mark.parametrize(
    ("rule", "width"), [("torchvision", 55), ("detectron2", 56), ("mmdet", 56)]
)
def test_other_rules_move_boxes_by_two_factors(rule, width):
    sides = {"no_resize": False, "image_min_side": 37, "image_max_side": 1000}
    image, annotations = Blocks(resize_rule=rule, **sides).sample(1, 0)
    assert image.shape == (37, width, 3)  # 64 x 96 pixels times 37 / 64 are 37 x 55.5
    x, y = width / 96, 37 / 64
    np.testing.assert_allclose(annotations["bboxes"], [[8 * x, 10 * y, 44 * x, 40 * y]], rtol=1e-12)
    assert annotations["bboxes"].dtype == np.float64
    # A range of scales works on both sides, as with our own rule.
    doubled = Blocks(resize_rule=rule, scale_range=(2, 2), **sides).sample(1, 0)[0]
    assert doubled.shape == (74, 111, 3)


def test_a_subclass_may_resize_by_one_factor_as_before():
    class Halved(Blocks):
        """Resizes by itself, as a subclass of 1.0.0 may."""

        def resize_image(self, image):
            return image[::2, ::2], 0.5

    image, annotations = Halved(resize_rule="torchvision", pad_multiple=32).sample(0, 0)
    assert image.shape == (32, 32, 3)
    assert annotations["bboxes"].tolist() == [[4, 5, 22, 20]]


def test_a_batch_and_its_anchors_are_padded_to_a_multiple():
    generator = Blocks(
        no_resize=False, image_min_side=70, image_max_side=200, pad_multiple=32, batch_size=2
    )
    images, (regression, classification) = generator.compute_input_output([0, 1])
    assert images.shape == (2, 96, 128, 3)
    assert not images[:, 70:].any()
    assert not images[0, :, 70:].any()
    assert regression.shape[1] == 9 * (12 * 16 + 6 * 8 + 3 * 4 + 2 * 2 + 1)
    # As everywhere, anchors centred on the padding are ignored.
    anchors = generator.generate_anchors(images.shape[1:])
    below = (anchors[:, 1] + anchors[:, 3]) / 2 >= 70
    assert below.any()
    assert (classification[:, below] == -1).all()
    assert (classification[0] == 1).any()


@pytest.mark.parametrize("compute", [targets.anchor_targets_compact, targets.anchor_targets_bbox])
def test_every_box_is_matched_on_request(compute):
    class Small(Blocks):
        """A box smaller than half of any anchor."""

        def load_annotations(self, image_index):
            return {"labels": np.array([1]), "bboxes": np.array([[20.0, 20, 29, 29]])}

    positive = [
        Small(compute_anchor_targets=compute, match_every_box=on)[0][1][0][0, :, 4] == 1
        for on in (False, True)
    ]
    assert [states.sum() for states in positive] == [0, 1]


def test_training_samples_are_the_augmented_ones():
    changes = {
        "transform_generator": random_transform_generator(min_rotation=-1, max_rotation=1),
        "visual_effect_generator": random_visual_effect_generator(),
    }
    generator = Blocks(**changes)
    image, annotations = generator.load_image(3), generator.load_annotations(3)
    (changed,), (moved,) = generator.augment_group([image], [annotations], [3], epoch=2)
    sample, boxes = generator.sample(3, epoch=2)
    np.testing.assert_array_equal(changed, sample)
    np.testing.assert_array_equal(moved["bboxes"], boxes["bboxes"])
    others, _ = generator.augment_group([image], [annotations], [3], epoch=1)
    assert not np.array_equal(changed, others[0])
    assert generator.dropped_boxes(3) == 0


MIX = RandomMix(mosaic=0.7, copy_paste=0.7)


def test_mixed_samples_depend_on_seed_epoch_and_image_alone():
    def samples(generator, indices, epoch=1, threads=1):
        with ThreadPoolExecutor(threads) as pool:
            return dict(
                zip(indices, pool.map(lambda i: generator.sample(i, epoch), indices), strict=True)
            )

    def same(one, other):
        return np.array_equal(one[0], other[0]) and np.array_equal(
            one[1]["bboxes"], other[1]["bboxes"]
        )

    images = range(5)
    found = samples(Blocks(random_mix=MIX, **EVERYTHING_BUT_SCALE), images)
    again = Blocks(random_mix=MIX, **EVERYTHING_BUT_SCALE)
    again.sample(3, 0)
    for others in (
        samples(again, images[::-1], threads=4),
        samples(Blocks(random_mix=MIX, cache="ram", **EVERYTHING_BUT_SCALE), images, threads=4),
    ):
        assert all(same(found[i], others[i]) for i in images)
    alone = samples(Blocks(random_mix=MIX), images)
    for changed in (
        samples(Blocks(random_mix=MIX), images, epoch=2),
        samples(Blocks(seed=1, random_mix=MIX), images),
    ):
        assert not all(same(alone[i], changed[i]) for i in images)


def test_mixed_images_keep_their_size_and_flips():
    plain, mixed = (
        Blocks(random_mix=mix, transform_generator=random_transform_generator(flip_x_chance=0.5))
        for mix in (None, RandomMix(copy_paste=1))
    )
    flips = [[plain.sample(0, epoch)[1]["bboxes"][0, 0] for epoch in range(9)]]
    flips.append([mixed.sample(0, epoch)[1]["bboxes"][0, 0] for epoch in range(9)])
    assert flips[0] == flips[1]
    for index, width in enumerate(Blocks.widths):
        assert Blocks(random_mix=MIX).sample(index, 0)[0].shape == (64, width, 3)


def test_images_that_cannot_be_read_are_not_mixed_in():
    generator = Blocks(random_mix=RandomMix(mosaic=1), broken=[0, 1, 2, 4], group_method="none")
    with pytest.warns(UserWarning, match="skipped an image that cannot be read: block"):
        image, annotations = generator.sample(3, 0)
    assert image.shape == (64, 128, 3)
    assert annotations["labels"].tolist() == [1] * 4
    with pytest.raises(ValueError, match="cut off"):
        Blocks(random_mix=RandomMix(mosaic=1), broken=[0, 1, 2, 4], strict=True).sample(3, 0)


def test_a_single_image_and_images_without_boxes_are_mixed():
    class One(Blocks):
        """A set of one image."""

        widths = (64,)

    class Empty(Blocks):
        """No image has a box."""

        def load_annotations(self, image_index):
            return {"labels": np.zeros(0), "bboxes": np.zeros((0, 4))}

    for kind in (One, Empty):
        generator = kind(random_mix=RandomMix(1, 1), batch_size=2)
        images, (regression, _) = generator[0]
        assert len(images) == len(regression) == 2


def test_anchors_come_from_the_config():
    params = AnchorParameters([16], [8], [1], [1])
    generator = Blocks(config=Config(params, (3,)))
    _, (regression, _) = generator[0]
    assert regression.shape[1] in (64, 96, 128)


def test_dense_targets_on_request():
    generator = Blocks(compute_anchor_targets=targets.anchor_targets_bbox)
    assert generator[0][1][1].shape[-1] == 3


@pytest.mark.parametrize("compute", [targets.anchor_targets_compact, targets.anchor_targets_bbox])
def test_boxes_are_coded_by_the_coder(compute):
    coder = CornerCoder((0.1, 0, 0, 0), (1, 1, 1, 1))
    usual, other = (
        Blocks(group_method="none", shuffle_groups=False, compute_anchor_targets=compute, **options)
        for options in ({}, {"coder": coder})
    )
    assert usual.coder == CornerCoder()
    (image, (offsets, classes)), (_, (others, same)) = usual[0], other[0]
    np.testing.assert_array_equal(same, classes)
    positive = offsets[0, :, 4] == 1
    anchors = usual.generate_anchors(image.shape[1:])[positive]
    for given, regression in ((CornerCoder(), offsets), (coder, others)):
        boxes = given.decode(anchors, regression[0, positive, :4])
        np.testing.assert_allclose(boxes, np.tile([8, 10, 44, 40], (len(anchors), 1)), atol=1e-4)


def test_a_function_for_targets_gets_the_four_arguments_of_old():
    def compute(*args):
        anchors, images, annotations, num_classes = args
        assert num_classes == 2
        return targets.anchor_targets_bbox(anchors, images, annotations, num_classes)

    generator = Blocks(compute_anchor_targets=compute, coder=CornerCoder(std=(1, 1, 1, 1)))
    expected = Blocks(compute_anchor_targets=targets.anchor_targets_bbox)[0][1]
    for found, values in zip(generator[0][1], expected, strict=True):
        np.testing.assert_array_equal(found, values)


def test_anchors_of_a_subclass_are_compared_with_all_boxes():
    class Few(Blocks):
        """Two anchors: one on the block, one beside it."""

        def generate_anchors(self, image_shape):
            return np.array([[8.0, 10, 44, 40], [45, 41, 60, 60]])

    generator = Few(group_method="none", shuffle_groups=False)
    _, (regression, classification) = generator[0]
    assert regression.tolist() == [[[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]]
    assert classification.tolist() == [[[1], [0]]]
    assert generator.anchor_index((64, 64, 3)) is None
    plain = Blocks()
    index = plain.anchor_index((64, 64, 3))
    assert index.anchors is plain.generate_anchors((64, 64, 3))
    plain.generate_anchors = generator.generate_anchors
    assert plain.anchor_index((64, 64, 3)) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch size of at least 1"),
        ({"group_method": "best"}, "got 'best'"),
        ({"scale_range": (0.5, 1)}, "a range of scales needs images that are resized"),
        ({"resize_rule": "pytorch"}, r"a resize rule of \['detectron2', .*, got 'pytorch'"),
        ({"pad_multiple": 0}, "a multiple of at least 1 pixel, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Blocks(**options)


def test_a_batch_goes_through_the_old_methods_in_their_order():
    calls = []

    class Watched(Blocks):
        """Writes down which of the old methods run."""

    def watch(name):
        def method(self, *args):
            calls.append(name)
            return getattr(Blocks, name)(self, *args)

        setattr(Watched, name, method)

    old = (
        *("load_image_group", "load_annotations_group", "filter_annotations"),
        *("random_visual_effect_group", "random_visual_effect_group_entry"),
        *("random_transform_group", "random_transform_group_entry"),
        *("preprocess_group", "preprocess_group_entry", "resize_image"),
        *("compute_inputs", "compute_targets", "generate_anchors"),
    )
    for name in old:
        watch(name)
    Watched(
        transform_generator=random_transform_generator(flip_x_chance=0.5),
        visual_effect_generator=random_visual_effect_generator(),
    )[0]
    assert calls == list(old)


def test_a_method_named_preprocess_image_normalises_unless_a_function_is_given():
    class Halved(Generator):
        """Has its own idea of a normal image."""

        size, num_classes = Blocks.size, Blocks.num_classes
        load_image, load_annotations = Blocks.load_image, Blocks.load_annotations
        image_aspect_ratio = Blocks.image_aspect_ratio
        widths, broken = Blocks.widths, ()

        def preprocess_image(self, image):
            return image / 510

    assert Halved(no_resize=True)[0][0].max() == 0.5
    assert Halved(no_resize=True, preprocess_image=lambda image: image)[0][0].max() == 255


def test_a_transform_given_by_hand_moves_image_and_boxes():
    generator = Blocks()
    image, annotations = generator.random_transform_group_entry(
        generator.load_image(0),
        generator.load_annotations(0),
        transform=np.array([[1, 0, 16], [0, 1, 0], [0, 0, 1.0]]),
    )
    assert annotations["bboxes"].tolist() == [[24, 10, 60, 40]]
    assert image[10:40, 24:60].min() == 255


def test_groups_of_a_subclass_stay_and_are_shuffled():
    class Ordered(Blocks):
        """Groups as in keras-retinanet 1.0.0: made once, by this method alone."""

        def group_images(self):
            self.groups = [[4], [3], [2]]

    generator = Ordered(shuffle_groups=False)
    generator.on_epoch_end()
    assert generator.groups == [[4], [3], [2]]
    assert len(generator) == 3
    generator = Ordered()
    orders = set()
    for _ in range(20):
        assert sorted(generator.groups) == [[2], [3], [4]]
        orders.add(str(generator.groups))
        generator.on_epoch_end()
    assert len(orders) > 2


def test_groups_set_by_hand_stay():
    generator = Blocks(shuffle_groups=False, group_method="none")
    generator.groups = generator.groups[:2]
    generator.on_epoch_end()
    assert generator.groups == [[0], [1]]


def test_annotations_without_boxes_are_a_defect_of_the_subclass():
    class Forgetful(Blocks):
        """Returns labels alone."""

        def load_annotations(self, image_index):
            return {"labels": np.array([0])}

    with pytest.raises(TypeError, match="Forgetful.load_annotations: expected a dictionary"):
        Forgetful()[0]
