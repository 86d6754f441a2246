import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.kitti import KittiGenerator, read_labels

CAR = "Car 0.00 0 -1.57 10.5 2 30 12.25 1.5 1.6 4.0 1.0 1.5 20.0 -1.5"
REGION = "DontCare -1 -1 -10 0 0 5 5 -1 -1 -1 -1000 -1000 -1000 -10"


@pytest.fixture
def folder(tmp_path):
    """A subset of three images: a car and a region, nothing, and a van."""
    for name in ("labels", "images"):
        (tmp_path / "train" / name).mkdir(parents=True)
    texts = {"000001": "", "000000": f"{CAR}\n{REGION}\n\n", "000002": CAR.replace("Car", "Van")}
    for name, text in texts.items():
        (tmp_path / "train" / "labels" / f"{name}.txt").write_text(text)
        image = np.full((20, 40, 3), 7, "uint8")
        cv2.imwrite(str(tmp_path / "train" / "images" / f"{name}.png"), image)
    return tmp_path


def test_reads_boxes_and_classes_in_the_order_of_the_names(folder):
    generator = KittiGenerator(str(folder), "train")
    assert [generator.image_path(i)[-10:] for i in range(3)] == [f"00000{i}.png" for i in range(3)]
    truth = generator.load_annotations(0)
    assert truth["bboxes"].tolist() == [[10.5, 2, 30, 12.25], [0, 0, 5, 5]]
    assert truth["labels"].tolist() == [0, 7]
    assert generator.load_annotations(1)["bboxes"].shape == (0, 4)
    assert generator.load_annotations(2)["labels"].tolist() == [1]


def test_two_names_share_the_last_label_and_misc_is_shown(folder):
    generator = KittiGenerator(str(folder))
    assert generator.num_classes() == 8
    assert generator.name_to_label("Misc") == generator.name_to_label("DontCare") == 7
    assert generator.label_to_name(7) == "Misc"
    assert generator.class_names()[6:] == ["Tram", "Misc"]


@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".webp"])
def test_images_may_have_another_extension(folder, suffix):
    image = folder / "train" / "images" / "000002.png"
    image.rename(image.with_suffix(suffix))
    assert KittiGenerator(str(folder)).paths[2] == str(image.with_suffix(suffix))
    # As keras-retinanet looks for PNG files, these come first.
    image.write_bytes(image.with_suffix(suffix).read_bytes())
    assert KittiGenerator(str(folder)).paths[2] == str(image)


def test_why_there_are_no_boxes(folder):
    for path in (folder / "train" / "labels").iterdir():
        path.write_text("")
    generator = KittiGenerator(str(folder))
    assert not generator.has_boxes()
    assert generator.why_no_boxes() == "all 3 label files are empty"


def test_boxes_that_leave_their_image_are_clipped_or_dropped_in_training(folder):
    lines = [CAR.replace("10.5 2 30", sides) for sides in ("-1 2 30", "10.5 2 41", "10.5 2 43")]
    (folder / "train" / "labels" / "000000.txt").write_text("\n".join(lines))
    generator = KittiGenerator(str(folder), no_resize=True)
    with pytest.warns(UserWarning, match="invalid boxes"), pytest.warns(match="clipped boxes"):
        _, annotations = generator.sample(0, 0)
    assert annotations["bboxes"].tolist() == [[0, 2, 30, 12.25], [10.5, 2, 40, 12.25]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Car 0 0 0 1 2 3", "line 2: expected 15 fields, got 7"),
        (CAR.replace("Car", "Bus"), "line 2: unknown class 'Bus'"),
        (CAR.replace("10.5", "ten"), "line 2: malformed left: could not convert"),
        (CAR.replace("10.5", "inf"), "line 2: malformed left: expected a finite number"),
        (CAR.replace("10.5", "30"), "line 2: expected right and bottom above"),
        (CAR.replace("Car", "x" * 100_000), "line 2: unknown class 'xxx"),
        (CAR.replace("10.5", "1e999"), "line 2: malformed left: expected a finite number"),
        (CAR.replace("10.5", "9" * 5000), "line 2: malformed left: expected a finite number"),
        ("Car " * 100_000, "line 2: expected 15 fields, got 100000"),
        ("\0", "line 2: expected 15 fields, got 1"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, message):
    path = tmp_path / "a.txt"
    path.write_text(f"{CAR}\n{line}\n")
    with pytest.raises(ValueError, match="^invalid KITTI label file: ") as error:
        read_labels(path)
    assert f"{path}: {message}" in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


def test_missing_files_are_named(folder):
    (folder / "train" / "images" / "000002.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 image files not found, .*000002\.png"):
        KittiGenerator(str(folder))
    with pytest.raises(FileNotFoundError, match="val"):
        KittiGenerator(str(folder), "val")


@pytest.mark.parametrize("line", [CAR, f"{CAR} 0.75", " ".join(CAR.split()[:8])])
def test_a_score_may_follow_and_the_third_dimension_may_be_missing(tmp_path, line):
    (tmp_path / "a.txt").write_text(line)
    assert read_labels(tmp_path / "a.txt") == [(10.5, 2, 30, 12.25, 0)]


@pytest.mark.parametrize("count", [9, 14])
def test_a_lost_field_is_noticed(tmp_path, count):
    (tmp_path / "a.txt").write_text(" ".join(CAR.split()[:count]))
    with pytest.raises(ValueError, match=f"line 1: expected 15 fields, got {count}"):
        read_labels(tmp_path / "a.txt")
