import pytest

from keras_retinanet.annotations import csv_table
from keras_retinanet.annotations.csv_table import read_usual
from keras_retinanet.preprocessing.csv_generator import CSVGenerator, read_annotations

CLASSES = {"dog": 0, "cat": 4}
TEXT = 'b.jpg,1,2,3.5,4,cat\r\n\r\n"a,1.jpg",,,,,\nb.jpg, 5 ,6,7,1e1,dog,more\nc.jpg,0,0,1,1,cat\n'
IMAGES = {
    "b.jpg": [(1, 2, 3.5, 4, 4), (5, 6, 7, 10, 0)],
    "a,1.jpg": [],
    "c.jpg": [(0, 0, 1, 1, 4)],
}


@pytest.mark.parametrize("part", [1, 30, 1000])
def test_columns_hold_what_the_rows_say(monkeypatch, tmp_path, part):
    monkeypatch.setattr(csv_table, "_PART", part)
    (tmp_path / "a.csv").write_text(TEXT, newline="")
    names, table = read_usual(tmp_path / "a.csv", CLASSES)
    assert names == list(IMAGES)
    assert [[tuple(row) for row in rows.tolist()] for rows in table] == list(IMAGES.values())
    assert read_annotations(tmp_path / "a.csv", CLASSES) == IMAGES


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_plain_rows(monkeypatch, tmp_path, end, last):
    """Those without quotes, blank lines and more columns are read in another way."""
    monkeypatch.setattr(csv_table, "_PART", 40)
    rows = [f"{i // 3}.jpg,{i},2,{i}.25,{i + 3},{'cat' if i % 2 else 'dog'}" for i in range(1, 30)]
    rows[4] = "é.jpg,,,,,"
    (tmp_path / "a.csv").write_text(end.join(rows) + (end if last else ""), "utf-8", newline="")
    names, table = read_usual(tmp_path / "a.csv", CLASSES)
    assert names[:3] == ["0.jpg", "1.jpg", "é.jpg"]
    assert table[2].shape == (0, 5)
    assert table[1].tolist() == [[3, 2, 3.25, 6, 4], [4, 2, 4.25, 7, 0]]
    assert len(table.rows) == 28


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a.jpg,1,2,3\n",
        "a.jpg,1,2,3,4,cow\n",
        "a.jpg,1,2,3,4,\n",
        "a.jpg,,,,,dog\n",
        "a.jpg,3,2,3,4,dog\n",
        "a.jpg,1,4,3,4,dog\n",
        "a.jpg,1,2,nan,4,dog\n",
        "a.jpg,1,2,inf,4,dog\n",
        "a.jpg,1,2,x,4,dog\n",
        ",1,2,3,4,dog\n",
        "a.jpg,1,2\n3,4,dog\n",
        'a.jpg,"1,2",2,3,4,dog\n',
        " ,,,,,\n",
        'a.jpg,1,2,3,4,dog\n"b.jpg,1,2,3,4,dog\nc.jpg,1,2,3,4,dog\n',
        'a.jpg,1,2,3,4,"do\ng"\n',
    ],
)
def test_what_is_wrong_or_unusual_is_left_to_the_other_reader(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert read_usual(tmp_path / "a.csv", CLASSES) is None


def test_a_row_of_white_space_is_blank(tmp_path):
    (tmp_path / "a.csv").write_text("a.jpg,1,2,3,4,dog\n  ,,,,,\n")
    assert read_annotations(tmp_path / "a.csv", CLASSES) == {"a.jpg": [(1, 2, 3, 4, 0)]}


def test_the_generator_still_has_its_dictionary(tmp_path):
    (tmp_path / "a.csv").write_text("a.jpg,1,2,3,4,dog\na.jpg,5,6,7,8,dog\n")
    (tmp_path / "c.csv").write_text("dog,0\n")
    (tmp_path / "a.jpg").touch()
    generator = CSVGenerator(str(tmp_path / "a.csv"), str(tmp_path / "c.csv"))
    assert generator.image_names == ["a.jpg"]
    assert generator.image_data == {"a.jpg": [(1, 2, 3, 4, 0), (5, 6, 7, 8, 0)]}
    generator.load_annotations(0)["bboxes"][:] = 0
    assert generator.load_annotations(0)["bboxes"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
