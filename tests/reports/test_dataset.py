"""The report on a data set, against numbers found by hand."""

import json

import pytest
from PIL import Image

from keras_retinanet.annotations.repetitions import Repetition
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.reports.dataset import Count, Quartiles, check_dataset
from tests.fakes import MemoryGenerator, picture, truth

ONE_ANCHOR = Config(AnchorParameters([16], [8], [1], [1]), (3,))


class TellsDropped(MemoryGenerator):
    def dropped_boxes(self, image_index):
        return 2 * (image_index == 1)


def broken_set(**options):
    """A cat on an anchor, a dog too small for one, a box outside; nothing; two unreadable images.

    The reader has dropped two boxes of the second image.
    """
    rows = [(4, 4, 20, 20, 0), (30, 10, 35, 20, 1), (10, 10, 70, 20, 1)]
    images = [picture(40, 60), picture(40, 60), ValueError("memory/2: cut off"), OSError()]
    annotations = [truth(*rows), truth(), truth(rows[0]), truth(rows[0])]
    return TellsDropped(
        images, annotations, ("cat", "dog", None, "cow"), config=ONE_ANCHOR, **options
    )


def test_counts_and_what_is_broken():
    steps = []
    report = check_dataset(broken_set(), steps.append)
    assert steps == [1] * 4
    assert (report.images, report.images_without_boxes) == (4, 1)
    assert report.unreadable == {"memory/2": "memory/2: cut off", "memory/3": "OSError()"}
    assert report.dropped == {"memory/0": 1, "memory/1": 2}
    assert report.broken
    assert report.total == Count(2, 1)
    assert report.classes == {"cat": Count(1, 0), "dog": Count(1, 1), "cow": Count(0, 0)}
    assert report.classes["cow"].share_without_anchor is None


def test_sizes_and_shapes_before_and_after_resizing():
    report = check_dataset(broken_set(no_resize=False, image_min_side=80, image_max_side=120))
    # The roots of 16 * 16 and 5 * 10.
    small = 50**0.5
    assert vars(report.original_size) == pytest.approx(
        vars(Quartiles(small, 0.75 * small + 4, 0.5 * small + 8, 0.25 * small + 12, 16))
    )
    assert report.network_size.largest == pytest.approx(32)
    assert report.network_size.smallest == pytest.approx(2 * small)
    assert (report.shape.smallest, report.shape.median, report.shape.largest) == (1, 1.5, 2)
    # 32 pixels do not match the anchor of 16 any more; 10 by 20 do: an IoU of 160 / 296.
    assert report.classes == {"cat": Count(1, 1), "dog": Count(1, 0), "cow": Count(0, 0)}


def test_anchors_are_fitted_where_none_are_given():
    boxes = [(x, y, x + 12, y + 12, 0) for x in (3, 23, 43) for y in (2, 22)]
    data = MemoryGenerator([picture(40, 60)], [truth(*boxes)])
    report = check_dataset(data)
    assert report.anchors == AnchorParameters.default
    assert report.fitted_anchors.sizes[0] < 20
    assert check_dataset(broken_set()).fitted_anchors is None


def test_a_set_without_boxes_is_broken():
    report = check_dataset(MemoryGenerator([picture(40, 60)], [truth()]))
    assert report.broken
    assert report.no_boxes == "load_annotations returns none for any image"
    assert report.to_dict()["no_boxes"] == report.no_boxes
    assert report.total == Count(0, 0)
    assert (report.original_size, report.network_size, report.shape) == (None, None, None)
    assert report.fitted_anchors == report.anchors


def test_as_json():
    report = json.loads(json.dumps(check_dataset(broken_set()).to_dict(), allow_nan=False))
    assert report["broken"] is True
    assert report["boxes"] == 2
    assert report["unreadable"][0] == {"file": "memory/2", "error": "memory/2: cut off"}
    assert report["dropped"] == [{"file": "memory/0", "boxes": 1}, {"file": "memory/1", "boxes": 2}]
    assert report["share_without_anchor"] == 0.5
    dog = {"boxes": 1, "without_anchor": 1, "share_without_anchor": 1.0}
    assert report["classes"]["dog"] == dog
    assert report["original_size"]["largest"] == 16
    assert report["anchors"]["sizes"] == [16]
    empty = check_dataset(MemoryGenerator([picture(40, 60)], [truth()])).to_dict()
    assert empty["shape"] is None


def test_a_set_whose_only_boxes_are_dropped_has_some():
    report = check_dataset(MemoryGenerator([picture(40, 60)], [truth((10, 10, 70, 20, 1))]))
    assert report.no_boxes is None
    assert report.dropped == {"memory/0": 1}


def test_clipped_boxes_are_counted_and_not_broken():
    rows = [(-1, 4, 20, 20, 0), (4, 4, 20, 40.5, 0), (4, 4, 20, 20, 1)]
    report = check_dataset(MemoryGenerator([picture(40, 60)] * 2, [truth(*rows), truth(rows[2])]))
    assert report.clipped == {"memory/0": 2}
    assert not report.dropped
    assert not report.broken
    assert report.total.boxes == 4
    assert report.to_dict()["clipped"] == [{"file": "memory/0", "boxes": 2}]
    assert report.original_size.largest == (16 * 36) ** 0.5


def test_repetitions_are_named_and_not_broken():
    class TwoNames(MemoryGenerator):
        def image_path(self, image_index):
            return ["memory/a", "memory/b", "memory/./a"][image_index]

    rows = [(4, 4, 20, 20, 1), (4, 4, 20, 20, 1)]
    images = [picture(40, 60), ValueError("cut off"), picture(40, 60)]
    report = check_dataset(TwoNames(images, [truth(rows[0]), truth(*rows), truth()]))
    # The boxes of unreadable images are listed all the same.
    assert report.repeated_boxes == Repetition(1, "memory/b: box 4, 4, 20, 20 of class 'dog'")
    assert report.repeated_images == Repetition(1, "./a is a")
    written = json.loads(json.dumps(report.to_dict()))
    assert written["repeated_images"] == {"number": 1, "first": "./a is a"}
    assert report.to_dict()["broken"] is True  # an image is unreadable
    good = check_dataset(TwoNames(images[:1] * 3, [truth(*rows), truth(), truth()]))
    assert good.repeated_boxes.number == 1
    assert not good.broken


def test_declared_sizes_are_compared_with_those_of_the_images():
    class Declares(MemoryGenerator):
        def declared_size(self, image_index):
            return [(60, 40), (40, 60), None][image_index]

    rows = [truth((4, 4, 20, 20, 0))] * 3
    report = check_dataset(Declares([picture(40, 60)] * 3, rows))
    assert report.other_size == {"memory/1": "60 x 40 pixels, annotated as 40 x 60"}
    assert report.broken
    expected = [{"file": "memory/1", "sizes": "60 x 40 pixels, annotated as 40 x 60"}]
    assert report.to_dict()["other_size"] == expected


class Turning(MemoryGenerator):
    """Images in files, one of which is turned."""

    def image_path(self, image_index):
        return self.paths[image_index]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_images_with_an_exif_orientation_are_named(tmp_path, suffix):
    paths = []
    for orientation in range(1, 10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        paths.append(str(tmp_path / f"{orientation}{suffix}"))
        Image.new("RGB", (60, 40)).save(paths[-1], exif=exif)
    Turning.paths = paths
    report = check_dataset(Turning([picture(40, 60)] * 9, [truth((4, 4, 20, 20, 0))] * 9))
    if suffix == ".tif":  # the orientation is part of the format, and obeyed
        assert not report.rotated
        return
    assert report.rotated == {path: n for n, path in enumerate(paths[1:-1], 2)}
    assert report.broken
    assert report.to_dict()["rotated"][0] == {"file": paths[1], "orientation": 2}


def test_a_data_set_that_turns_its_images_is_right(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Turning.paths = [str(tmp_path / "a.jpg")]
    Image.new("RGB", (40, 60)).save(Turning.paths[0], exif=exif)
    report = check_dataset(Turning([picture(40, 60)], [truth((4, 4, 20, 20, 0))]))
    assert not report.broken


def test_the_likely_cause_is_named_for_the_first_absent_image(tmp_path):
    (tmp_path / "a.png").touch()
    Turning.paths = [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    errors = [FileNotFoundError(f"not there: {path}") for path in Turning.paths]
    report = check_dataset(Turning(errors, [truth()] * 2))
    assert list(report.unreadable.values()) == [
        f"not there: {Turning.paths[0]} (but 'a.png' exists)",
        f"not there: {Turning.paths[1]}",
    ]
