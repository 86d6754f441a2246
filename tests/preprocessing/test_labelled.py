import cv2
import numpy as np
import pytest

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.image_lists import ImageListError
from keras_retinanet.augmentation.mixing import RandomMix
from keras_retinanet.preprocessing import labelled
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.preprocessing.shapes import ShapesGenerator
from tests import data_sets

CLASSES = {"cat": 0, "dog": 2}
ROWS = [[(1, 2, 11, 22, 0), (3, 4, 5, 6, 2)], []]


def write_images(folder, *sizes):
    """Write black images of these widths and heights; return their paths."""
    paths = [str(folder / f"{i}.png") for i in range(len(sizes))]
    for path, (width, height) in zip(paths, sizes, strict=True):
        cv2.imwrite(path, np.zeros((height, width, 3), "uint8"))
    return paths


def test_classes_have_names_and_labels(tmp_path):
    generator = LabelledGenerator(CLASSES, write_images(tmp_path, (40, 20), (30, 30)), ROWS)
    assert generator.size() == 2
    assert generator.num_classes() == 3
    assert [generator.has_label(label) for label in range(4)] == [True, False, True, False]
    assert generator.has_name("dog")
    assert not generator.has_name("cow")
    assert generator.name_to_label("dog") == 2
    assert generator.label_to_name(2) == "dog"
    assert generator.class_names() == ["cat", None, "dog"]


def test_of_several_names_for_a_label_the_last_is_its_name(tmp_path):
    generator = LabelledGenerator({"cat": 0, "kitten": 0}, write_images(tmp_path, (8, 8)), [[]])
    assert generator.label_to_name(0) == "kitten"
    assert generator.name_to_label("cat") == 0


def test_images_and_boxes_of_an_index(tmp_path):
    generator = LabelledGenerator(CLASSES, write_images(tmp_path, (40, 20), (30, 30)), ROWS)
    assert generator.image_path(1).endswith("1.png")
    assert generator.load_image(0).shape == (20, 40, 3)
    found = generator.load_annotations(0)
    assert found["bboxes"].tolist() == [[1, 2, 11, 22], [3, 4, 5, 6]]
    assert found["labels"].tolist() == [0, 2]
    found["bboxes"][:] = 0
    assert generator.load_annotations(0)["bboxes"].any()
    assert generator.load_annotations(1)["bboxes"].shape == (0, 4)
    assert generator.dropped_boxes(0) == 0


def test_boxes_left_out_are_counted(tmp_path):
    paths = write_images(tmp_path, (40, 20), (30, 30))
    generator = LabelledGenerator(CLASSES, paths, ROWS, dropped=np.array([0, 3]))
    assert [generator.dropped_boxes(i) for i in range(2)] == [0, 3]


@pytest.mark.parametrize("given", [False, True])
def test_aspect_ratios_come_from_given_sizes_or_the_files(tmp_path, given):
    sizes = [(40, 20), (30, 60), (20, 20)]
    paths = write_images(tmp_path, *sizes)
    (tmp_path / "2.png").write_bytes(b"")  # an unreadable image counts as square
    generator = LabelledGenerator(
        CLASSES,
        paths,
        [[], [], []],
        source=tmp_path / "list.txt",
        sizes=np.array([[40, 20], [30, 60], [0, 0]], "float64") if given else None,
        group_method="ratio",
        shuffle_groups=False,
    )
    assert [generator.image_aspect_ratio(i) for i in range(3)] == [2, 0.5, 1]
    assert generator.groups == [[1], [2], [0]]


def test_missing_files_are_counted_and_the_first_is_named(tmp_path):
    paths = write_images(tmp_path, (8, 8))
    absent = [str(tmp_path / "x.png"), str(tmp_path / "y.png")]
    message = f"list.txt: 2 of 3 image files not found, the first: {absent[0]}"
    with pytest.raises(ValueError, match=message):
        LabelledGenerator(CLASSES, paths + absent, [[]] * 3, source="list.txt")
    sizes = np.full((3, 2), 8.0)
    generator = LabelledGenerator(
        CLASSES, paths + absent, [[]] * 3, source="list.txt", missing_ok=True, sizes=sizes
    )
    assert generator.size() == 3
    with pytest.raises(OSError, match="x.png"):
        generator.load_image(1)


@pytest.mark.parametrize("number", [3, labelled.MIN_IMAGES_TO_LIST + 1])
def test_files_are_found_one_by_one_or_by_listing_the_folder(tmp_path, number):
    paths = [str(tmp_path / f"{i}.jpg") for i in range(number)]
    for path in paths[1:]:
        with open(path, "wb"):
            pass
    (tmp_path / "link.jpg").symlink_to(paths[1])
    (tmp_path / "folder.jpg").mkdir()
    labelled.check_files("list", [*paths[1:], str(tmp_path / "link.jpg")])
    with pytest.raises(ValueError, match=rf"list: 2 of {number + 1} .* {paths[0]}"):
        labelled.check_files("list", [*paths, str(tmp_path / "folder.jpg")])


@pytest.mark.parametrize(
    ("classes", "paths", "message"),
    [
        ({}, ["a.png"], "expected a data set with at least one class, got none"),
        (CLASSES, [], "list.txt: expected at least one image, got none"),
    ],
)
def test_no_classes_or_images(classes, paths, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        LabelledGenerator(
            classes, paths, [[]] * len(paths), source="list.txt", missing_ok=bool(paths)
        )


def test_boxes_without_area_are_dropped_with_one_warning():
    table = BoxTable.of([[(0, 0, 5, 5, 1)], [(1, 1, 1, 5, 0), (2, 2, 9, 9, 3), (9, 9, 4, 4, 0)]])
    with pytest.warns(UserWarning, match="^left out 2 boxes without area, the first of .* in b$"):
        kept, dropped = labelled.drop_empty_boxes(table, "ab".__getitem__)
    assert [rows.tolist() for rows in kept] == [[[0, 0, 5, 5, 1]], [[2, 2, 9, 9, 3]]]
    assert dropped.tolist() == [0, 2]
    again, dropped = labelled.drop_empty_boxes(kept, str)
    assert again is kept
    assert not dropped.any()


def test_a_list_chooses_images_and_all_that_belongs_to_them(tmp_path):
    paths = write_images(tmp_path, (40, 20), (30, 30), (10, 20))
    generator = LabelledGenerator(
        CLASSES,
        paths,
        [*ROWS, [(1, 1, 5, 5, 2)]],
        source="list.txt",
        dropped=np.array([1, 2, 3]),
        sizes=np.array([[40, 20], [30, 30], [10, 20]], "float64"),
        image_list=["2.png", "0.png"],
        shuffle_groups=False,
    )
    assert generator.paths == [paths[0], paths[2]]
    assert [generator.load_annotations(i)["labels"].tolist() for i in range(2)] == [[0, 2], [2]]
    assert [generator.dropped_boxes(i) for i in range(2)] == [1, 3]
    assert [generator.image_aspect_ratio(i) for i in range(2)] == [2, 0.5]
    assert generator.groups == [[1], [0]]
    assert generator.kept(["a", "b", "c"]) == ["a", "c"]
    assert generator.kept(np.arange(6).reshape(3, 2)).tolist() == [[0, 1], [4, 5]]
    assert generator.selected == [0, 2]


def test_without_a_list_everything_is_kept(tmp_path):
    generator = LabelledGenerator(CLASSES, write_images(tmp_path, (8, 8), (8, 8)), ROWS)
    values = ["a", "b"]
    assert generator.kept(values) is values


def test_images_that_are_not_on_the_list_may_be_missing(tmp_path):
    paths = [*write_images(tmp_path, (8, 8)), str(tmp_path / "gone.png")]
    arguments = (CLASSES, paths, [[], []])
    chosen = LabelledGenerator(*arguments, source="list.txt", image_list=[paths[0]])
    assert chosen.paths == paths[:1]
    with pytest.raises(ValueError, match="1 of 1 image files not found"):
        LabelledGenerator(*arguments, source="list.txt", image_list=[paths[1]])
    with pytest.raises(ImageListError, match="no image of the data set is other.png"):
        LabelledGenerator(*arguments, source="list.txt", image_list=["other.png"])


@pytest.mark.parametrize("form", data_sets.FORMS)
def test_images_of_every_format_are_mixed(tmp_path, form):
    generator = data_sets.read(
        data_sets.write(tmp_path, form),
        form,
        random_mix=RandomMix(1, 1),
        image_min_side=40,
        image_max_side=80,
    )
    for epoch in range(2):
        image, annotations = generator.sample(0, epoch)
        assert image.shape == (40, 80, 3)
        assert len(annotations["labels"]) == len(annotations["bboxes"])


def test_drawn_shapes_are_mixed():
    generator = ShapesGenerator(size=5, random_mix=RandomMix(1, 1))
    for index in range(5):
        image, annotations = generator.sample(index, 0)
        assert image.shape[2] == 3
        assert (annotations["bboxes"] <= np.tile(image.shape[1::-1], 2)).all()
