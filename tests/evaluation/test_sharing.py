import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections
from keras_retinanet.evaluation import sharing
from keras_retinanet.system.workers import Worker

RNG = np.random.default_rng(0)


def detections(count, dtype="float32", capped=False):
    boxes, scores = RNG.uniform(0, 1e4, (count, 4)).astype(dtype), RNG.uniform(size=count)
    return Detections(boxes, scores.astype("float32"), np.arange(count) * 7, capped)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.capped == other.capped
        for name in ("boxes", "scores", "labels"):
            values, wanted = getattr(one, name), getattr(other, name)
            np.testing.assert_array_equal(values, wanted)
            assert values.dtype == wanted.dtype
            assert values.shape == wanted.shape


def test_one_worker_has_all_images_and_gives_those_without_detections_none():
    assert list(sharing.own_images(3)) == [0, 1, 2]
    found = {0: detections(2), 2: detections(1)}
    assert_same(sharing.of_all_workers(found, 3), [found[0], Detections.empty(), found[2]])


@pytest.mark.parametrize("size", [5, 1])
def test_every_image_belongs_to_one_worker(monkeypatch, size):
    shares = []
    for index in range(3):
        monkeypatch.setattr(sharing, "this_worker", lambda index=index: Worker(index, 3))
        shares += sharing.own_images(size)
    assert sorted(shares) == list(range(size))


def test_detections_arrive_as_they_were(monkeypatch):
    every = [
        detections(3),
        detections(2, "float64", capped=True),
        Detections.empty(),
        detections(1),
    ]
    monkeypatch.setattr(sharing, "this_worker", lambda: Worker(0, 2))
    # First the other worker says what it gives, then this one gets both.
    given = []
    monkeypatch.setattr(sharing, "rows_of_workers", lambda rows: given.append(rows) or rows)
    sharing.of_all_workers({1: every[1], 3: every[3]}, 4)
    monkeypatch.setattr(sharing, "rows_of_workers", lambda rows: np.concatenate([rows, given[0]]))
    assert_same(sharing.of_all_workers({0: every[0]}, 4), every)
