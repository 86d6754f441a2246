import numpy as np
import pytest

from keras_retinanet.annotations.box_table import BoxTable


def test_rows_are_sorted_by_image_and_keep_their_order():
    rows = np.arange(20).reshape(4, 5)
    table = BoxTable([2, 0, 2, 0], rows, 4)
    assert len(table) == 4
    assert [found[:, 0].tolist() for found in table] == [[5, 15], [], [0, 10], []]
    assert table[-2].tolist() == rows[[0, 2]].tolist()
    assert table.counts().tolist() == [2, 0, 2, 0]
    with pytest.raises(IndexError):
        table[4]


def test_a_table_of_lists_gives_them_back():
    lists = [[(1, 2, 3, 4, 0), (5, 6, 7.5, 8, 1)], [], [(0, 0, 1, 1, 2)]]
    table = BoxTable.of(lists)
    assert [[tuple(row) for row in rows.tolist()] for rows in table] == lists
    assert BoxTable.of(table) is table


def test_no_images_and_no_boxes():
    assert len(BoxTable.of([])) == 0
    assert BoxTable.of([[], []])[1].shape == (0, 5)


def test_select_keeps_images_that_lose_all_rows():
    table = BoxTable.of([[(1, 2, 3, 4, 0)], [(5, 6, 7, 8, 1), (9, 9, 9, 9, 2)]])
    left = table.select(np.array([False, True, False]))
    assert [rows.tolist() for rows in left] == [[], [[5, 6, 7, 8, 1]]]


def test_take_keeps_the_rows_of_some_images():
    table = BoxTable.of([[(1, 2, 3, 4, 0)], [], [(5, 6, 7, 8, 1), (9, 9, 9, 9, 2)], [(0,) * 5]])
    assert [rows.tolist() for rows in table.take([0, 1, 3])] == [[[1, 2, 3, 4, 0]], [], [[0] * 5]]
    both = [[5, 6, 7, 8, 1], [9, 9, 9, 9, 2]]
    assert [rows.tolist() for rows in table.take([2, 0, 2])] == [both, [[1, 2, 3, 4, 0]], both]
    assert [len(rows) for rows in table.take(range(4))] == [1, 0, 2, 1]
    assert len(table.take([])) == 0
