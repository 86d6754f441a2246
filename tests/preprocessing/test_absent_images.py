"""Every reader against what is not there: images, annotations, classes; and what may be missing."""

import pytest

from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator
from tests.data_sets import FORMS, IMAGES, error_of, found_boxes, image_path, read, write

OID_CLASSES = "2018_04/class-descriptions-boxable.csv"
COCO = "annotations/instances_val2017.json"
NOTHING = '{"images": [], "annotations": [], "categories": []}'


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_is_listed_but_absent(tmp_path, form):
    folder = write(tmp_path, form)
    missing = image_path(tmp_path, form, "b")
    missing.unlink()
    sources = {
        "csv": "annotations.csv: 1 of 3",
        "coco": f"{COCO}: 1 of 3",
        "pascal": "ImageSets/Main/train.txt: 1 of 3",
        "kitti": "train/labels: 1 of 3",
    }
    if form == "oid":
        with pytest.warns(UserWarning, match="images/train: left out 1 images, missing or unread"):
            assert found_boxes(read(folder, form)) == {"a": IMAGES["a"]}
    elif form == "yolo":
        text = f"left out 1 label files without an image, the first: {folder}/labels/b.txt"
        with pytest.warns(UserWarning, match=f"^{text}$"):
            assert set(found_boxes(read(folder, form))) == {"a", "ä"}
    else:
        assert error_of(folder, form) == (
            f"{folder}/{sources[form]} image files not found, the first: {missing}"
        )


def test_a_list_of_yolo_images_names_the_absent_one(tmp_path):
    folder = write(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text("train: list.txt\nnames: [Car, Van]\n")
    (tmp_path / "list.txt").write_text("\ufeffimages/a.jpg\r\n\r\nimages/z.jpg\r\n")
    assert error_of(folder, "yolo") == (
        f"{folder}/list.txt: 1 of 2 image files not found, the first: {folder}/images/z.jpg"
    )
    # Label files that a list does not ask for are not missed.
    (tmp_path / "list.txt").write_text("images/a.jpg\n")
    assert found_boxes(read(folder, "yolo")) == {"a": IMAGES["a"]}


def test_pascal_reads_the_images_of_its_set_and_no_others(tmp_path):
    folder = write(tmp_path, "pascal")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (tmp_path / "Annotations" / "z.xml").write_text("broken, but not in the set")
    assert found_boxes(read(folder, "pascal")) == {"a": IMAGES["a"]}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "annotations.csv: expected at least one row, got none"),
        ("coco", f"{COCO}: expected at least one image, got none"),
        ("pascal", "ImageSets/Main/train.txt: expected an image name in each line, got none"),
        ("kitti", "train/labels: expected at least one image, got none"),
        ("oid", "images/train: expected images, found none of the 0 annotated"),
        ("yolo", "images in {folder}/: expected images, found none"),
    ],
)
def test_a_data_set_without_images(tmp_path, form, text):
    folder = write(tmp_path, form, {})
    image_path(tmp_path, form, "x").parent.mkdir(parents=True)
    (tmp_path / "train" / "labels").mkdir(parents=True, exist_ok=True)
    assert text.format(folder=folder) in error_of(folder, form)


@pytest.mark.parametrize(
    ("form", "name", "text", "message"),
    [
        (
            "csv",
            "classes.csv",
            "\n,\n",
            "expected at least one row 'class_name,class_id', got none",
        ),
        ("coco", COCO, NOTHING, "expected at least one category, got none"),
        ("oid", OID_CLASSES, "", "expected at least one class, got none"),
        (
            "yolo",
            "data.yaml",
            "train: images\nnames: []",
            "expected the key 'names' with the class",
        ),
    ],
)
def test_a_data_set_without_classes(tmp_path, form, name, text, message):
    folder = write(tmp_path, form)
    (tmp_path / name).write_text(text)
    assert f"{folder}/{name}: {message}" in error_of(folder, form)


def test_pascal_without_classes(tmp_path):
    folder = write(tmp_path, "pascal", {"a": []})
    with pytest.raises(ValueError, match="expected a data set with at least one class, got none"):
        PascalVocGenerator(folder, "train", classes={})


def test_open_images_without_a_box_of_the_classes_asked_for(tmp_path):
    folder = write(tmp_path, "oid", {"a": [(2, 3, 12, 13, "Car")]})
    assert error_of(folder, "oid", labels_filter=["Van"]) == (
        f"{folder}/images/train: no image has a box of the classes asked for"
    )
