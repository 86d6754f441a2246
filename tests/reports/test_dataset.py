"""The report on a data set, against numbers found by hand."""

import json

import pytest

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


def test_an_unbroken_set_without_boxes():
    report = check_dataset(MemoryGenerator([picture(40, 60)], [truth()]))
    assert not report.broken
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
