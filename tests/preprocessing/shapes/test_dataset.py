"""The built-in data set: its promises about boxes, sight, seeds and files."""

import csv
import json
import time

import numpy as np
import pytest

from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.shapes import renderer, scene
from keras_retinanet.preprocessing.shapes.dataset import ShapesGenerator, export_set
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES, make_shape

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


# Areas in the unit square: a disc less one of radius 0.29; all; half; 2 arms less their crossing.
AREAS = {
    "ring": np.pi * (0.25 - 0.29**2),
    "rectangle": 1.0,
    "triangle": 0.5,
    "cross": 2 * 0.34 - 0.34**2,
}


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_area_of_each_class(name):
    share = AREAS[name]
    shape = make_shape(label(name), (64.0, 60.0), (80.0, 80.0), 0.3, PICTURE)
    assert scene.full_area(shape) == pytest.approx(share * 80**2, rel=0.01)
    assert np.count_nonzero(shape.mask >= 128) == pytest.approx(share * 80**2, rel=0.02)


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


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_painted_shape_stands_out_and_stays_in_its_place(name):
    shape = make_shape(label(name), (60.0, 60.0), (50.0, 36.0), 0.7, PICTURE)
    x1, y1, x2, y2 = shape.box
    reach = 2 * renderer.SHADOW_REACH
    for seed in range(20):
        canvas = np.full((120, 128, 3), 120.0, np.float32)
        painted = renderer._paint_shape(canvas, shape, np.random.default_rng(seed))
        difference = np.linalg.norm(painted - 120.0, axis=2)
        assert difference[shape.mask == 255].mean() > 25
        difference[y1 - reach : y2 + reach, x1 - reach : x2 + reach] = 0
        assert not difference.any()
        assert (canvas == 120.0).all()


def test_pictures_are_neither_flat_nor_clipped():
    generator = ShapesGenerator("val", size=40)
    pictures = [generator.load_image(i) for i in range(40)]
    assert min(picture.std() for picture in pictures) > 8
    saturated = [np.isin(picture, [0, 255]).mean() for picture in pictures]
    assert np.mean(saturated) < 0.15


def test_picture_depends_on_seed_set_and_index_only():
    first, again = ShapesGenerator("train"), ShapesGenerator("train", size=9, batch_size=3)
    again.load_image(2)
    np.random.seed(1)
    np.testing.assert_array_equal(first.load_image(7), again.load_image(7))
    for key in ("bboxes", "labels"):
        np.testing.assert_array_equal(
            first.load_annotations(7)[key], again.load_annotations(7)[key]
        )
    for other in (ShapesGenerator("val"), ShapesGenerator("train", data_seed=1)):
        pictures = [(first.load_image(i), other.load_image(i)) for i in range(4)]
        assert not any(np.array_equal(*pair) for pair in pictures)
    assert not np.array_equal(first.load_image(0), first.load_image(1))


def test_generator_describes_its_pictures():
    generator = ShapesGenerator("val")
    assert (generator.size(), ShapesGenerator("train").size()) == (200, 1900)
    assert generator.num_classes() == len(CLASS_NAMES) >= 4
    for number, name in enumerate(CLASS_NAMES):
        assert generator.name_to_label(name) == number
        assert generator.label_to_name(number) == name
    assert not generator.has_label(len(CLASS_NAMES))
    assert not generator.has_name("square")
    assert generator.image_path(12) == "shapes/val/000012.png"
    shapes = set()
    for i in range(20):
        image = generator.load_image(i)
        assert image.dtype == np.uint8
        assert generator.image_aspect_ratio(i) == image.shape[1] / image.shape[0]
        shapes.add(image.shape)
    assert len(shapes) > 3


def test_callers_may_change_what_they_get():
    generator = ShapesGenerator("val", size=3)
    image, boxes = generator.load_image(0), generator.load_annotations(0)["bboxes"]
    kept = image.copy(), boxes.copy()
    image[:], boxes[:] = 0, 0
    np.testing.assert_array_equal(generator.load_image(0), kept[0])
    np.testing.assert_array_equal(generator.load_annotations(0)["bboxes"], kept[1])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"data_seed": -1}, "data_seed must be at least 0, got -1"),
    ],
)
def test_bad_settings_are_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        ShapesGenerator("train", **keywords)


def test_an_image_past_the_end_is_named():
    generator = ShapesGenerator("val", size=1)
    with pytest.raises(IndexError, match="image 1 of a set of 1"):
        generator.load_image(1)


def test_batch_has_the_sizes_asked_for():
    generator = ShapesGenerator("train", size=8, batch_size=4, image_min_side=64, image_max_side=96)
    images, (regression, classification) = generator[0]
    assert images.shape[0] == 4
    assert min(images.shape[1:3]) == 64
    assert regression.shape[:2] == classification.shape[:2]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    sets = {"train": ShapesGenerator("train", size=12), "val": ShapesGenerator("val", size=30)}
    for generator in sets.values():
        export_set(generator, str(folder))
    return folder, sets


@pytest.mark.parametrize("name", ["train", "val"])
def test_exported_sets_are_read_back_equal(exported, name):
    folder, sets = exported
    coco = CocoGenerator(str(folder), f"{name}2017")
    table = CSVGenerator(str(folder / f"{name}.csv"), str(folder / "classes.csv"))
    original = sets[name]
    for copy in (coco, table):
        assert copy.size() == original.size()
        assert copy.num_classes() == original.num_classes()
        for i in range(original.size()):
            np.testing.assert_array_equal(copy.load_image(i), original.load_image(i))
            got, wanted = copy.load_annotations(i), original.load_annotations(i)
            np.testing.assert_array_equal(got["bboxes"], wanted["bboxes"])
            np.testing.assert_array_equal(got["labels"], wanted["labels"])


def test_exported_files_hold_what_the_formats_ask(exported):
    folder, sets = exported
    rows = list(csv.reader((folder / "val.csv").read_text().splitlines()))
    empty = [row for row in rows if row[1:] == [""] * 5]
    truths = [sets["val"].load_annotations(i)["labels"] for i in range(30)]
    assert len(empty) == sum(len(truth) == 0 for truth in truths) > 0
    assert all(value.isdigit() for row in rows if row not in empty for value in row[1:5])
    content = json.loads((folder / "annotations" / "instances_val2017.json").read_text())
    assert len(content["annotations"]) == sum(map(len, truths))
    ids = [annotation["id"] for annotation in content["annotations"]]
    assert len(set(ids)) == len(ids)
    assert min(ids) == 1
    for annotation in content["annotations"]:
        assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]


def test_drawing_is_quick():
    generator = ShapesGenerator("train", size=60)
    start = time.process_time()
    for i in range(60):
        generator.load_image(i)
    assert (time.process_time() - start) / 60 < 0.05  # it takes about 0.005 s
