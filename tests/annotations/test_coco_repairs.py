import json

import cv2
import numpy as np
import pytest
from pycocotools import mask

from keras_retinanet.annotations.coco_repairs import box_of
from keras_retinanet.detection.detections import Detections
from keras_retinanet.evaluation import measure
from keras_retinanet.preprocessing.coco import CocoGenerator, load_coco, load_table

IMAGES = [
    {"id": 1, "file_name": "a.png", "width": 40, "height": 20},
    {"id": 2, "file_name": "b.png", "width": 30, "height": 10},
]
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
BOX = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 5]}


def write(folder, annotations=(BOX,), images=IMAGES, categories=CATEGORIES):
    for name, (height, width) in (("a.png", (20, 40)), ("b.png", (10, 30))):
        cv2.imwrite(str(folder / name), np.zeros((height, width, 3), "uint8"))
    content = {"images": images, "annotations": list(annotations), "categories": categories}
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


def picture_of_two_runs():
    """A mask of 20 x 40 whose box is 3, 4, 9, 5."""
    pixels = np.zeros((20, 40), "uint8", order="F")
    pixels[4, 3] = pixels[8, 11] = 1
    return pixels


def uncompressed(pixels):
    flat = pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [20, 40], "counts": np.diff([0, *changes, len(flat)]).tolist()}


def compressed(pixels):
    rle = mask.encode(pixels)
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.mark.parametrize(
    ("segmentation", "box"),
    [
        ([[1, 2, 5, 2.5, 3, 8]], [1, 2, 4, 6]),
        ([[1, 2, 5, 2, 3, 8], [20, 0, 21, 1, 20, 3]], [1, 0, 20, 8]),
        ([1, 2, 5, 2, 3, 8], [1, 2, 4, 6]),
        (uncompressed(picture_of_two_runs()), [3, 4, 9, 5]),
        (compressed(picture_of_two_runs()), [3, 4, 9, 5]),
        (compressed(np.zeros((20, 40), "uint8", order="F")), None),
        (compressed(np.ones((20, 40), "uint8", order="F")), [0, 0, 40, 20]),
        ([], None),
        ([[]], None),
        ({}, None),
        (None, None),
    ],
)
def test_the_box_around_a_segmentation(segmentation, box):
    assert box_of(segmentation) == box


@pytest.mark.parametrize("seed", range(20))
def test_the_box_of_an_rle_is_that_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    pixels = np.asfortranarray((rng.random((20, 40)) < 0.004).astype("uint8"))
    rows, columns = np.nonzero(pixels)
    box = None
    if len(rows):
        x, y = columns.min(), rows.min()
        box = [x, y, columns.max() - x + 1, rows.max() - y + 1]
    # pycocotools takes a run over the end of a column for the full height.
    found = box_of(compressed(pixels))
    assert found == box_of(uncompressed(pixels))
    assert found == box


@pytest.mark.parametrize(
    "segmentation",
    [
        7,
        "x",
        [1],
        [[1, 2, 3]],
        [[1, "x"]],
        [[1, None]],
        [[1, 1e300]],
        [[1, float("nan")]],
        [[[1, 2]]],
        [{}],
        {"counts": [1, 2]},
        {"size": [0, 0], "counts": [1, 2]},
        {"size": [2**40, 2], "counts": [1, 2]},
        {"size": [1.5, 2], "counts": [1, 2]},
        {"size": ["a", 2], "counts": [1, 2]},
        {"size": [20, 40]},
        {"size": [20, 40], "counts": [-1, 5]},
        {"size": [20, 40], "counts": [1, 2**40]},
        {"size": [20, 40], "counts": [1, 5000]},
        {"size": [20, 40], "counts": [1.5, 2]},
        {"size": [20, 40], "counts": "\0\0"},
        {"size": [20, 40], "counts": "~~~~"},
        {"size": [20, 40], "counts": "oooo"},
        {"size": [20, 40], "counts": "oooooooooooooooooooooooo0"},
        {"size": [20, 40], "counts": "äöü"},
        {"size": [20, 40], "counts": "1" * 1000},
        {"size": [20, 40], "counts": 5},
    ],
)
def test_malformed_segmentations(tmp_path, segmentation):
    path = write(tmp_path, [BOX, {"image_id": 1, "category_id": 1, "segmentation": segmentation}])
    for read in (load_table, load_coco):
        with pytest.raises(ValueError, match=rf"^{path}: annotations\[1\]: expected ") as error:
            read(path)
        assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.parametrize("bbox", [{}, {"bbox": None}, {"bbox": []}])
def test_boxes_come_from_polygons_and_masks(tmp_path, bbox):
    keys = {"image_id": 1, "category_id": 2, **bbox}
    annotations = [
        BOX,
        {**keys, "segmentation": [[1, 2, 5, 2.5, 3, 8]]},
        {**keys, "segmentation": []},
        {**keys, "segmentation": compressed(picture_of_two_runs())},
    ]
    path = write(tmp_path, annotations)
    with pytest.warns(UserWarning) as warned:
        generator = CocoGenerator(path, "a")
    assert [str(each.message) for each in warned] == [
        f"{path}: 2 annotations without bbox have that of their polygon or RLE, the first: "
        "annotations[1]",
        f"{path}: left out 1 annotations with an empty bbox and segmentation, the first: "
        "annotations[2]",
    ]
    boxes = [[1, 2, 11, 7], [1, 2, 5, 8], [3, 4, 12, 9]]
    assert generator.load_annotations(0)["bboxes"].tolist() == boxes
    assert generator.load_annotations(0)["labels"].tolist() == [0, 1, 1]
    found = generator.coco.dataset["annotations"]
    assert [entry["bbox"] for entry in found] == [[1, 2, 10, 5], [1, 2, 4, 6], [3, 4, 9, 5]]
    assert [entry["area"] for entry in found] == [50, 24, 45]


def test_a_segmentation_beside_a_box_does_not_matter(tmp_path):
    path = write(tmp_path, [{**BOX, "segmentation": "broken"}, {**BOX, "id": "7"}])
    with pytest.warns(UserWarning, match="1 values are numbers"):
        assert len(load_table(path).boxes) == 2


@pytest.mark.parametrize("value", [None, 0, 0.0, "0", ...])
def test_sizes_that_are_missing_are_read_from_the_images(tmp_path, value):
    images = [dict(image) for image in IMAGES]
    for key in ("width", "height"):
        if value is ...:
            del images[1][key]
        else:
            images[1][key] = value
    images[0]["width"] = 80  # what is declared counts, and is reported by --check
    path = write(tmp_path, images=images)
    with pytest.warns(UserWarning) as warned:
        generator = CocoGenerator(path, "a", group_method="ratio")
    assert str(warned[-1].message) == (
        f"{path}: 1 images without width and height: read from the image files"
    )
    assert [generator.image_aspect_ratio(index) for index in range(2)] == [4, 3]
    assert [generator.declared_size(index) for index in range(2)] == [(80, 20), None]
    sizes = [(image["width"], image["height"]) for image in generator.coco.dataset["images"]]
    assert sizes == [(80, 20), (30, 10)]


def test_missing_sizes_keep_the_fast_reader(tmp_path, monkeypatch):
    images = [{"id": 1, "file_name": "a.png", "width": None}, {**IMAGES[1], "height": 0}]
    path = write(tmp_path, images=images)
    monkeypatch.delattr("keras_retinanet.preprocessing.coco._read")
    assert load_table(path).sizes.tolist() == [[0, 0], [30, 0]]


def text_of(value):
    if isinstance(value, dict):
        return {key: text_of(each) for key, each in value.items()}
    if isinstance(value, list):
        return [text_of(each) for each in value]
    return str(value)


def test_numbers_written_as_text_are_numbers(tmp_path):
    annotations = [{**BOX, "id": 5, "area": 12.5, "iscrowd": 0}, {**BOX, "id": 6, "iscrowd": 1}]
    (tmp_path / "text").mkdir()
    expected = load_table(write(tmp_path, annotations))
    path = write(tmp_path / "text", text_of(annotations), text_of(IMAGES), text_of(CATEGORIES))
    text = r"text/a\.json: 19 values are numbers written as text, the first: images\[0\]\.width$"
    with pytest.warns(UserWarning, match=text):
        table = load_table(path)
    for name in vars(expected):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    assert table.crowd.tolist() == [False, True]
    assert load_coco(path).dataset["annotations"] == [
        {**annotations[0]},
        {**annotations[1], "area": 50},
    ]


@pytest.mark.parametrize("text", ["", " ", "x", "1,5", "nan", "inf", "1_0", "٣", "0x10", "1e999"])
def test_other_text_is_no_number(tmp_path, text):
    for bad in ({"bbox": [1, 2, 3, text]}, {"category_id": text}, {"area": text}):
        path = write(tmp_path, [{**BOX, **bad}])
        with pytest.raises(ValueError, match=rf"annotations\[0\]: expected {next(iter(bad))} with"):
            load_table(path)


def test_a_category_that_repeats_a_name_without_annotations_is_left_out(tmp_path):
    categories = [{"id": 0, "name": "dog"}, *CATEGORIES, {"id": 3, "name": "dog"}]
    path = write(tmp_path, [BOX, {**BOX, "category_id": 2}], categories=categories)
    text = r"left out 2 categories .* that repeat a name: 'dog' \(0\), 'dog' \(3\)$"
    with pytest.warns(UserWarning, match=text):
        generator = CocoGenerator(path, "a")
    assert generator.class_names() == ["cat", "dog"]
    assert generator.load_annotations(0)["labels"].tolist() == [0, 1]
    assert [entry["id"] for entry in generator.coco.dataset["categories"]] == [1, 2]
    # Without annotations of the name at all, the same as with them: the supercategory goes.
    path = write(tmp_path, categories=categories[:3])
    with pytest.warns(UserWarning, match=r"'dog' \(0\)$"):
        assert load_table(path).categories == CATEGORIES


def test_a_name_of_two_categories_in_use_is_an_error(tmp_path):
    categories = [*CATEGORIES, {"id": 3, "name": "dog"}]
    path = write(
        tmp_path,
        [{**BOX, "category_id": 2}, {**BOX, "category_id": 3}],
        categories=categories,
    )
    with pytest.raises(ValueError, match=r"categories\[2\]: duplicate name: 'dog'$"):
        load_table(path)


@pytest.mark.filterwarnings("ignore:.*(numbers written|without width|without bbox|repeat a name)")
@pytest.mark.parametrize("ids", [("1", "2"), ("01", "a.png"), (7, 2.0)])
def test_the_official_numbers_of_a_file_that_needed_all_of_it(tmp_path, ids):
    images = [
        {"id": ident, "file_name": f"{name}.png"} for ident, name in zip(ids, "ab", strict=True)
    ]
    annotations = [
        {"image_id": ids[0], "category_id": "1", "bbox": ["1", "2", "10", "5"]},
        {"image_id": ids[1], "category_id": "2", "segmentation": [[5, 5, 25, 5, 25, 9, 5, 9]]},
    ]
    categories = [{"id": "0", "name": "dog"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    generator = CocoGenerator(write(tmp_path, annotations, images, categories), "a")
    found = [
        Detections(np.array([[1.0, 2, 11, 7]]), np.array([0.9]), np.array([0])),
        Detections(np.array([[5.0, 5, 25, 9]]), np.array([0.9]), np.array([1])),
    ]
    assert measure.coco_numbers(generator, found)["AP"] == 1
    assert measure.coco_numbers(generator, found[::-1])["AP"] == 0
