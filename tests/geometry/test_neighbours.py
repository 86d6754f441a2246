import tracemalloc

import numpy as np
import pytest

from keras_retinanet.geometry.neighbours import overlapping_pairs


def random_boxes(rng, n, side, largest):
    corners = rng.uniform(-side, side, (n, 2))
    return np.concatenate([corners, corners + largest * rng.uniform(0, 1, (n, 2)) ** 4], axis=1)


def touching(boxes, others):
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return {tuple(map(int, pair)) for pair in np.argwhere((high >= low).all(axis=-1))}


def pairs(boxes, others):
    return [
        (int(i), int(j))
        for some in overlapping_pairs(boxes, others)
        for i, j in zip(*some, strict=True)
    ]


@pytest.mark.parametrize("largest", [1, 30, 400])
@pytest.mark.parametrize("counts", [(1, 1), (400, 3), (3, 400), (500, 700)])
def test_yields_each_pair_that_touches_once(counts, largest):
    rng = np.random.default_rng(counts[0])
    boxes, others = (random_boxes(rng, n, 100, largest) for n in counts)
    found = pairs(boxes, others)
    assert len(found) == len(set(found))
    assert touching(boxes, others) <= set(found)


def test_boxes_that_share_a_border_or_are_points_are_pairs():
    boxes = np.float32([[0, 0, 10, 10], [10, 0, 20, 10], [20, 10, 20, 10], [40, 40, 40, 40]])
    found = set(pairs(boxes, boxes))
    assert {(0, 1), (1, 0), (1, 2), (3, 3)} <= found
    assert (0, 3) not in found


def test_few_boxes_that_are_far_apart_are_compared():
    corners = np.stack(np.meshgrid(np.arange(40), np.arange(40)), axis=-1).reshape(-1, 2) * 50
    boxes = np.concatenate([corners, corners + 20], axis=1).astype("float32")
    boxes = np.concatenate([boxes, np.float32([[0, 0, 2000, 2000]])])
    found = pairs(boxes, boxes)
    assert len(touching(boxes, boxes)) == 1600 * 3 + 1  # of 1601 * 1601
    assert len(found) < 1600 * 15


def test_no_boxes():
    none, one = np.zeros((0, 4)), np.float32([[1, 2, 3, 4]])
    assert pairs(none, one) == pairs(one, none) == pairs(none, none) == []


def test_many_pairs_come_in_parts():
    boxes = np.tile(np.float32([0, 0, 10, 10]), (3000, 1))
    tracemalloc.start()
    counts = [len(i) for i, _ in overlapping_pairs(boxes, boxes)]
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    assert sum(counts) == 9_000_000
    assert max(counts) <= 500_000
