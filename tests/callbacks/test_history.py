import csv

import pytest

from keras_retinanet.callbacks.history import WriteHistory


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_history_has_a_row_an_epoch_and_new_columns(tmp_path):
    path = tmp_path / "history.csv"
    callback = WriteHistory(path)
    callback.on_epoch_end(0, {"loss": 2})
    callback.on_epoch_end(1, {"loss": 1, "mAP": 0.5})
    assert rows(path) == [
        {"epoch": "1", "loss": "2.0", "mAP": ""},
        {"epoch": "2", "loss": "1.0", "mAP": "0.5"},
    ]


def test_history_goes_on_where_a_run_is_resumed(tmp_path):
    path = tmp_path / "history.csv"
    first = WriteHistory(path)
    for epoch in range(3):
        first.on_epoch_end(epoch, {"loss": epoch})
    WriteHistory(path, initial_epoch=2).on_epoch_end(2, {"loss": 9})
    assert [row["loss"] for row in rows(path)] == ["0.0", "1.0", "9.0"]
    WriteHistory(path).on_epoch_end(0, {"loss": 5})
    assert [row["loss"] for row in rows(path)] == ["5.0"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"loss\n1\n", 2),
        (b"epoch,loss\n1,2\none,2\n", 3),
        (b"epoch,loss\n0,2\n", 2),
        (b"loss,epoch\n1\n", 2),
        (b"epoch,loss\n1,2,3\n", 2),
        (b"epoch,loss\n" + b"9" * 5000 + b",2\n", 2),
        (b"epoch\n1\n" + b"1" * 200_000 + b"\n", 3),
        (b"\xff\xfe", 2),
    ],
)
def test_a_damaged_history_is_named(tmp_path, content, line):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"history.csv: line {line}: expected a row of a training"):
        WriteHistory(path, initial_epoch=2)
    assert path.read_bytes() == content
    WriteHistory(path).on_epoch_end(0, {"loss": 5})  # a new run replaces it
    assert [row["loss"] for row in rows(path)] == ["5.0"]
