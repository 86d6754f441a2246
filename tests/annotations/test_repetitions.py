"""Boxes and images that are listed again, against a comparison of all pairs."""

import numpy as np
import pytest

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.repetitions import Repetition, repeated_boxes, repeated_images

NAMES = {0: "cat", 1: "dog"}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([], None),
        ([[]], None),
        ([[(1, 2, 3, 4, 0)]], None),
        ([[(1, 2, 3, 4, 0), (1, 2, 3, 4, 1)]], None),  # of another class
        ([[(1, 2, 3, 4, 0)], [(1, 2, 3, 4, 0)]], None),  # of another image
        ([[(1, 2, 3, 4, 0), (1, 2, 3, 4.001, 0)]], None),
        ([[(2, 1, 3, 4, 0), (1, 2, 3, 4, 0)]], None),
        ([[(1, 2, 3, 4, 0), (5, 6, 7, 8, 0), (1, 2, 3, 4, 0)]], (1, "a: box 1, 2, 3, 4 of class")),
        ([[(0.0, 2, 3, 4, 0), (-0.0, 2, 3, 4, 0)]], (1, "a: box -0, 2, 3, 4 of class 'cat'")),
        ([[], [(1, 2.5, 3, 4, 1)] * 3], (2, "b: box 1, 2.5, 3, 4 of class 'dog'")),
        ([[(1, 2, 3, 4, 0)] * 2, [(5, 6, 7, 8, 1)] * 2], (2, "a: box 1, 2, 3, 4 of class 'cat'")),
    ],
)
def test_rows_that_are_repeated(annotations, expected):
    found = repeated_boxes(BoxTable.of(annotations), "ab", NAMES)
    if expected is None:
        assert found is None
    else:
        assert found.number == expected[0]
        assert found.first.startswith(expected[1])


def test_many_rows_of_few_values():
    rng = np.random.default_rng(0)
    images = np.sort(rng.integers(0, 9, 3000))
    rows = rng.integers(0, 4, (3000, 5)).astype("float64")
    seen = {(image, *row) for image, row in zip(images.tolist(), rows.tolist(), strict=True)}
    found = repeated_boxes(BoxTable(images, rows, 9), "abcdefghi", NAMES)
    assert found.number == 3000 - len(seen)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], None),
        (["a.jpg"], None),
        (["x/a.jpg", "x/b.jpg", "y/a.jpg"], None),
        (["x/a.jpg", "x/a..jpg", "x/.a.jpg", "x/a.jpg."], None),
        (["x/a.jpg", "x/A.jpg"], None),
        (["../x/a.jpg", "x/a.jpg"], None),
        (["x/a.jpg", "x/b.jpg", "x/a.jpg"], "x/a.jpg"),
        (["x/a.jpg", "x/./a.jpg"], "./a.jpg is a.jpg"),
        (["a.jpg", "./a.jpg"], "./a.jpg is a.jpg"),
        (["y/b.jpg", "x/a.jpg", "x/./a.jpg"], "x/./a.jpg is x/a.jpg"),
        (["x/a.jpg", "x//a.jpg"], "/a.jpg is a.jpg"),
        (["x/sub/../a.jpg", "x/a.jpg"], "a.jpg is sub/../a.jpg"),
        (["x/../x/a.jpg", "x/../x/./a.jpg"], "./a.jpg is a.jpg"),
        (["x/a.jpg", "x/../../x/b.jpg", "y/../x/a.jpg"], "y/../x/a.jpg is x/a.jpg"),
    ],
)
def test_images_that_are_repeated(paths, expected):
    assert repeated_images(paths) == (expected and Repetition(1, expected))


def test_absolute_and_relative_paths_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = str(tmp_path / "a.jpg")
    assert repeated_images(["a.jpg", whole]) == Repetition(1, f"{whole} is a.jpg")
