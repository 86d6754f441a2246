"""The likely cause of a malformed row."""

import pytest

from keras_retinanet.annotations.csv_causes import HEADER, cause_in_boxes, cause_in_classes

CLASSES = {"cat": 0, "traffic light": 1, "7": 2}
BOXES = {
    "a.jpg;1;2;3;4;cat": "the fields are separated by ';', not ','",
    "a.jpg;1,5;2;3,5;4;cat": "the fields are separated by ';', not ','",
    "a.jpg\t1\t2\t3\t4\tcat": "the fields are separated by a tab, not ','",
    "a.jpg|1|2|3|4|cat": "the fields are separated by '|', not ','",
    "a.jpg 1 2 3 4 cat": "the fields are separated by blanks, not ','",
    "cat,0": "this looks like the file of classes",
    "a.jpg,1,2,3,4, cat": "there is a class 'cat': blanks count",
    "a.jpg,1,2,3,4,cat ": "there is a class 'cat': blanks count",
    "a.jpg,1,2,3,4,Cat": "there is a class 'cat': capitals count",
    "a.jpg,cat,1,2,3,4": "the class is in column 2, not 6",
    "cat,1,2,3,4,a.jpg": "the class is in column 1, not 6",
    "0,a.jpg,1,2,3,4,cat": "the class is in column 7, not 6",
    "a.jpg,1,5,2,5,3,5,4,5,cat": "the class is in column 10, not 6",
    "a.jpg,30,40,10,10,cat": "are they x, y, width, height? x1, y1, x2, y2 are expected",
    "TRAIN,gs://b/a.jpg,cat,0.1,0.2,,,0.3,0.4,,": "this is the CSV of Google AutoML, which is not "
    "read: write a header and columns",
    "a.jpg,3,2,3,4,cat": "",
    "a.jpg,1,2,3,4,cow": "",
    "a.jpg,7,2,3,4,cow": "",  # a number, although a class has this name
    "a.jpg,x,2,3,4,cat": "",
    "a.jpg,1,2": "",
    ",": "",
}
CLASS_ROWS = {
    "name,id": HEADER,
    "class_name,class_id": HEADER,
    "id,name": HEADER,
    "cat;0": "the fields are separated by ';', not ','",
    "cat\t0": "the fields are separated by a tab, not ','",
    "traffic light 0": "the fields are separated by blanks, not ','",
    "0,cat": "the name comes first, then the id",
    "a.jpg,1,2,3,4,cat": "this looks like the file of boxes",
    "traffic light": "",
    "cat,one": "",
    "cat": "",
}


@pytest.mark.parametrize("text", BOXES)
def test_the_likely_cause_in_a_row_of_boxes(text):
    assert cause_in_boxes(text.split(","), CLASSES) == BOXES[text]


@pytest.mark.parametrize("text", CLASS_ROWS)
def test_the_likely_cause_in_a_row_of_classes(text):
    assert cause_in_classes(text.split(","), True) == CLASS_ROWS[text]


def test_a_line_in_quotes():
    expected = "the line is in quotes: remove them"
    assert cause_in_boxes(["a.jpg,1,2,3,4,cat"], CLASSES) == expected
    assert cause_in_classes(["cat,0"], True) == expected


def test_a_header_comes_first():
    assert cause_in_classes(["name", "id"], False) != HEADER
    assert cause_in_boxes(["x"] * 100_000, CLASSES) == ""
