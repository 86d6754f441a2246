import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.tiles import Tile, merge, tiles_of
from keras_retinanet.geometry.filter_settings import FilterSettings


def seen(tile, objects):
    """What a perfect network finds in a tile: the visible part of each object, if it is enough."""
    boxes, labels = [], []
    for label, box in objects:
        low = np.maximum(box[:2], [tile.x, tile.y])
        high = np.minimum(box[2:], [tile.x + tile.width, tile.y + tile.height])
        if (high - low > 3).all():
            boxes.append(np.concatenate([low, high]) - np.tile([tile.x, tile.y], 2))
            labels.append(label)
    scores = np.linspace(0.9, 0.5, len(boxes)).astype("float32")
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    return Detections(boxes, scores, np.array(labels, int), class_names=("a", "b"))


def found_in_tiles(objects, height, width, size, overlap):
    tiles = tiles_of(height, width, size, overlap)
    return merge([seen(tile, objects) for tile in tiles], tiles, (height, width), FilterSettings())


def as_set(found):
    rows = zip(found.labels, found.boxes, strict=True)
    return {(int(label), *map(float, box)) for label, box in rows}


@pytest.mark.parametrize(("height", "width"), [(100, 100), (101, 250), (1000, 777), (640, 90)])
@pytest.mark.parametrize("overlap", [0, 20, 50])
def test_tiles_cover_the_image_and_overlap(height, width, overlap):
    tiles = tiles_of(height, width, 100, overlap)
    count = np.zeros((height, width), int)
    for tile in tiles:
        part = tile.crop(count)
        assert part.shape == (min(100, height), min(100, width))
        part += 1
    assert count.min() >= 1
    for side, starts in ((width, {t.x for t in tiles}), (height, {t.y for t in tiles})):
        steps = np.diff(sorted(starts))
        assert (steps <= 100 - overlap).all()
        # No more tiles than it takes.
        assert len(starts) == max(1, -(-(side - overlap) // (100 - overlap)))


def test_an_overlap_has_to_be_smaller_than_a_tile():
    with pytest.raises(ValueError, match="from 0 to less than 100 pixels, got 100"):
        tiles_of(300, 300, 100, 100)


@pytest.mark.parametrize("shift", range(0, 60, 7))
def test_an_object_on_a_border_is_found_once(shift):
    # The borders of the tiles are at 60 and 100, 120 and 160, ...: the object crosses some.
    box = [50 + shift, 40 + shift, 80 + shift, 65 + shift]
    found = found_in_tiles([(1, box)], 220, 220, 100, 40)
    assert as_set(found) == {(1, *box)}
    assert found.class_names == ("a", "b")


@pytest.mark.parametrize("box", [[20, 70, 200, 90], [70, 10, 90, 210], [10, 15, 215, 205]])
def test_an_object_larger_than_the_overlap_is_put_together(box):
    found = found_in_tiles([(0, box)], 220, 220, 100, 40)
    assert as_set(found) == {(0, *box)}


def test_neighbours_of_one_class_and_objects_of_others_stay_apart():
    objects = [
        (0, [50, 20, 70, 40]),
        (0, [72, 20, 92, 40]),  # beside it, both across a border
        (1, [50, 20, 70, 40]),  # another class at the same place
        (0, [50, 42, 92, 58]),
    ]
    found = found_in_tiles(objects, 220, 220, 100, 60)
    assert as_set(found) == {(label, *map(float, box)) for label, box in objects}
    assert (np.diff(found.scores) <= 0).all()


def test_a_box_at_the_edge_of_the_image_is_whole():
    objects = [(0, [0, 30, 20, 60]), (0, [200, 200, 220, 220])]
    assert as_set(found_in_tiles(objects, 220, 220, 100, 40)) == {(0, *box) for _, box in objects}


def test_a_whole_box_is_preferred_to_a_part_with_a_better_score():
    tiles = [Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)]
    part = Detections(np.float32([[80, 10, 100, 40]]), np.float32([0.95]), np.array([0]))
    whole = Detections(np.float32([[20, 10, 60, 40]]), np.float32([0.7]), np.array([0]))
    found = merge([part, whole], tiles, (100, 160), FilterSettings())
    assert as_set(found) == {(0, 80, 10, 120, 40)}
    assert found.scores.tolist() == [pytest.approx(0.7)]


@pytest.mark.parametrize("second", [270, 300, 316])
@pytest.mark.parametrize("axis", [0, 1])
def test_objects_in_a_row_that_are_larger_than_the_overlap_stay_apart(axis, second):
    boxes = np.array([[60, 40, 300, 200], [second, 40, 560, 200]])
    size = [256, 640]
    if axis:
        boxes, size = boxes[:, [1, 0, 3, 2]], size[::-1]
    found = found_in_tiles([(0, box) for box in boxes], *size, 256, 64)
    assert as_set(found) == {(0, *map(float, box)) for box in boxes}


def test_a_cut_box_inside_a_larger_cut_one_is_part_of_it():
    # The larger box ends so near to the edge of its tile that it counts as cut.
    tiles = [Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)]
    larger = Detections(np.float32([[20, 10, 98, 90]]), np.float32([0.6]), np.array([0]))
    part = Detections(np.float32([[1, 30, 30, 60]]), np.float32([0.9]), np.array([0]))
    found = merge([larger, part], tiles, (100, 160), FilterSettings())
    assert as_set(found) == {(0, 20, 10, 98, 90)}
    other = replace(part, labels=np.array([1]))
    assert len(merge([larger, other], tiles, (100, 160), FilterSettings())) == 2


def test_a_part_outlasts_a_whole_box_that_is_unlikely():
    tiles = [Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)]
    part = Detections(np.float32([[80, 10, 100, 40]]), np.float32([0.95]), np.array([0]))
    whole = Detections(np.float32([[20, 10, 60, 70]]), np.float32([0.06]), np.array([0]))
    found = merge([part, whole], tiles, (100, 160), FilterSettings())
    assert found.filter(score=0.5).boxes.tolist() == [[80, 10, 100, 40]]


def test_boxes_suppress_each_other_as_the_filter_of_the_network_does():
    tiles = [Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)]
    one = Detections(np.float32([[70, 10, 90, 40]]), np.float32([0.9]), np.array([0]))
    other = Detections(np.float32([[10, 10, 30, 38]]), np.float32([0.7]), np.array([1]))
    again = replace(other, labels=np.array([0]))

    def count(second, **settings):
        return len(merge([one, second], tiles, (100, 160), FilterSettings(**settings)))

    assert count(other) == 2
    assert count(other, class_specific_filter=False) == 1
    assert count(again) == 1
    assert count(again, nms_threshold=0.95) == 2
    assert count(again, nms=False) == 2


def test_nothing_found():
    assert len(merge([], [], (10, 10), 0.5)) == 0
    assert len(found_in_tiles([], 220, 220, 100, 40)) == 0


@pytest.mark.parametrize("overlap", [0, 256])
@pytest.mark.parametrize("error", [-6, -3, 3])
def test_edges_need_not_be_exact(overlap, error):
    """A network that sees tiles at a third of their size misses the edge by a few pixels."""
    tiles = tiles_of(1024, 1792, 1024, overlap)
    box = np.float32([950, 300, 1150, 500])
    parts = []
    for tile in tiles:
        part = seen(tile, [(0, box)])
        cut_right = part.boxes[:, 2] == tile.width
        part.boxes[cut_right, 2] += error
        parts.append(part)
    found = merge(parts, tiles, (1024, 1792), FilterSettings(), network_pixel=3)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], box, atol=6)


def test_many_parts_take_little_memory():
    rng = np.random.default_rng(0)
    tiles = tiles_of(20_000, 20_000, 1024, 256)
    parts = []
    for _ in tiles:
        tops = rng.uniform(0, 1000, 9)
        boxes = np.stack([np.full(9, 1000.0), tops, np.full(9, 1024.0), tops + 20], axis=1)
        parts.append(Detections(boxes, np.full(9, 0.5), np.zeros(9, int)))
    tracemalloc.start()
    merge(parts, tiles, (20_000, 20_000), FilterSettings())
    assert tracemalloc.get_traced_memory()[1] < 300e6
    tracemalloc.stop()


def test_every_object_of_a_crowded_image_is_found_once():
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(80), np.arange(80)), axis=-1).reshape(-1, 2) * 50
    sides = rng.integers(20, 41, places.shape)
    objects = np.concatenate([places, places + sides], axis=1).astype("float32")
    tiles = tiles_of(4000, 4000, 1024, 256)
    found = []
    for tile in tiles:
        low, high = [tile.x, tile.y], [tile.x + tile.width, tile.y + tile.height]
        boxes = np.clip(objects, np.tile(low, 2), np.tile(high, 2))
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] > 3).all(axis=1)] - np.tile(low, 2)
        found.append(Detections(boxes, np.full(len(boxes), 0.5), np.zeros(len(boxes), int)))
    assert sum(map(len, found)) > 1.5 * len(objects)
    merged = merge(found, tiles, (4000, 4000), FilterSettings())
    assert as_set(merged) == {(0, *map(float, box)) for box in objects}
    assert len(merged) == len(objects)
