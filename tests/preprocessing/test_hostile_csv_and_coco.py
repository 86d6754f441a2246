"""Hostile files of the CSV and COCO readers: only ValueError or OSError, short, with the file."""

import contextlib
import csv
import json
import os

import pytest

from keras_retinanet.preprocessing.coco import load_coco, load_table
from keras_retinanet.preprocessing.csv_generator import (
    _read_annotations,
    _read_classes,
    read_annotations,
    read_classes,
)

MANY = 2_000_000

# What a file of boxes or classes holds -> part of the error.
CSV = {
    "two million fields": ("a.jpg,1,2,3,4,cat" + ",x" * MANY, "fewer than 1048576 characters"),
    "many fields": ("x," * 400_000, "malformed x1"),
    "a long field": ("x" * 500_000, "field larger than field limit"),
    "a quote that is never closed": ('"' + "x\n" * MANY, "is a quote not closed?"),
    "UTF-16": ("a.jpg,1,2,3,4,cat\n".encode("utf-16"), "got UTF-16: save it as UTF-8"),
    "zero bytes": (b"\0" * 100_000, "line 1"),
    "no text": (bytes(range(256)), "expected UTF-8 text, got the byte 0x80"),
    "5,000 digits": ("a.jpg,1,2," + "9" * 5000 + ",4,cat", "malformed x2"),
    "a great number": ("a.jpg,1,2,3e10,4,cat", "malformed x2: expected at most 1e+09"),
    "an unknown class": ("a.jpg,1,2,3,4," + "y" * 100_000, "unknown class name: 'yyy"),
    "lone carriage returns": ("a.jpg,1,2,3,4,cat\r\r\rx", "line 4: format should be"),
}


def check(error, path):
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("case", CSV)
def test_a_hostile_file_of_boxes(tmp_path, case):
    content, message = CSV[case]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as error:
        read_annotations(path, {"cat": 0, **{f"class {i}": i for i in range(1, 80_000)}})
    assert message in str(error.value)
    check(error, path)


CLASSES = {
    "cat,99999999999": "line 1: class 'cat': expected an id of 0 to 2000",
    "dog,0\ncat,99999999999": "line 2: class 'cat': expected an id of 0 to 2001",
    "cat," + "9" * 400: "line 1: class 'cat': expected an id of 0 to 2000",
    "cat," + "9" * 5000: "line 1: malformed class ID: Exceeds the limit",
    "cat,1.0": "line 1: malformed class ID: invalid literal",
    "cat,-1": "line 1: malformed class ID: expected 0 or more",
    "cat,1e3": "line 1: malformed class ID: invalid literal",
    "cat,²": "line 1: malformed class ID: invalid literal",
    "cat,": "line 1: malformed class ID: invalid literal",
    "cat,nan": "line 1: malformed class ID: invalid literal",
    "cat," + "x" * 100_000: "line 1: malformed class ID: invalid literal",
    "x" * 100_000 + ",-1": "line 1: malformed class ID: expected 0 or more",
    "cat\0,\0": "line 1: malformed class ID",
    '"cat,0': "line 1: format should be",
}


@pytest.mark.parametrize("text", CLASSES, ids=lambda text: repr(text)[:30])
def test_hostile_classes(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_classes(path)
    assert CLASSES[text] in str(error.value)
    check(error, path)


@pytest.mark.parametrize("text", ["1", "01", " 1", "+1", "1_0", "１"])
def test_ids_that_python_reads_are_read(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(f"cat,{text}\n")
    assert read_classes(path) == {"cat": int(text)}


def test_80_000_classes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("".join(f"class {i},{i}\n" for i in range(80_000)))
    assert len(read_classes(path)) == 80_000


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "a,b,c,d,e," + "f" * 100_000, "a," + "9" * 5000, '"a\n"b,c,d']
)
def test_the_readers_of_1_0_0(text):
    for read in (_read_classes, lambda rows: _read_annotations(rows, {"cat": 0})):
        with pytest.raises(ValueError) as error:
            read(csv.reader([text], strict=True))
        assert str(error.value).startswith("line 1: ")
        assert len(str(error.value)) < 300


def coco(**changes):
    """Return a COCO file as JSON, with JSON in place of values: `section_key` of the first."""
    content = {
        "images": {"id": "1", "file_name": '"a.jpg"', "width": "40", "height": "20"},
        "categories": {"id": "1", "name": '"cat"'},
        "annotations": {"id": "1", "image_id": "1", "category_id": "1", "bbox": "[1,2,3,4]"},
    }
    for place, value in changes.items():
        section, _, key = place.partition("_")
        content[section][key] = value
    sections = [
        f'"{section}": [{_object({json.dumps(key): value for key, value in entry.items()})}]'
        for section, entry in content.items()
    ]
    return f"{{{', '.join(sections)}}}"


def _object(entry):
    return f"{{{', '.join(f'{key}: {value}' for key, value in entry.items())}}}"


NASTY = ["[]", "{}", "[[1]]", "NaN", "Infinity", "-Infinity", "9" * 5000, "[" * 100_000]
VALUES = [*NASTY, "null", "true", '"x"', '"\\ud800"', "9" * 400, "1e308", "-1e-320"]
PLACES = {
    "images_id": ["null"],
    "images_file_name": ["null", "true", '"\\ud800"', "9" * 400],
    "images_width": ['"x"', "9" * 400, "1e308", "-1"],
    "images_height": ['"x"', '"-1"', '"nan"', '"1_0"'],
    "categories_id": ["null", '"x"'],
    "categories_name": ["null", "true", '"\\ud800"', '"\\udcff"', "1"],
    "annotations_id": ['"x"'],
    "annotations_image_id": ["null", '"x"', "9" * 400, "1e308", "2"],
    "annotations_category_id": ["null", '"x"', "9" * 400, "1e308", "2"],
    "annotations_bbox": ["null", "true", "[1,2,3]", "[1,2,3,1e308]", "[1,2,3,null]", '"1234"'],
    "annotations_area": ['"x"'],
    "annotations_iscrowd": ['"x"'],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_value_in_coco(tmp_path, place):
    path = tmp_path / "a.json"
    for value in [*NASTY, *PLACES[place]]:
        path.write_text(coco(**{place: value}))
        for read in (load_table, load_coco):
            with pytest.raises(ValueError) as error:
                read(path)
            check(error, path)
    for value in VALUES:  # some of them are taken
        path.write_text(coco(**{place: value}))
        for read in (load_table, load_coco):
            with contextlib.suppress(ValueError):
                read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "expected fewer levels of nesting"),
        ('{"images":' * 50_000, "expected fewer levels of nesting"),
        ("9" * 5000, "expected JSON: Exceeds the limit"),
        (coco().replace("[{", "null, [{", 1), "expected JSON"),
        (coco().replace('"annotations": [', '"annotations": null, "x": ['), "list, got None"),
        (coco().replace('"annotations": [', '"annotations": {"x": ').replace("}]}", "}}}"), "got"),
        (coco().replace('"categories"', '"images"'), "the key 'images' comes twice"),
        (coco().replace('"annotations"', '"labels"'), "the key 'annotations' with a list"),
        (coco() + "x", "expected JSON"),
        (coco().encode("utf-16"), "got UTF-16: save it as UTF-8"),
        (b"\xff" * 1000, "expected UTF-8 text"),
        ("", "expected JSON"),
        ("null", "expected an object"),
    ],
    ids=lambda text: repr(text)[:30],
)
def test_a_hostile_coco_file(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (load_table, load_coco):
        with pytest.raises(ValueError) as error:
            read(path)
        assert message in str(error.value)
        check(error, path)


@pytest.mark.parametrize("start", ["", '{"images": [', '{"images": [{"id": 1'])
def test_a_sparse_coco_file(tmp_path, start):
    path = tmp_path / "a.json"
    path.write_text(start)
    for size, message in ((2**31, "got a zero byte"), (2**40, "expected a file of at most")):
        os.truncate(path, size)
        with pytest.raises(ValueError, match=message) as error:
            load_table(path)
        check(error, path)


@pytest.mark.parametrize("name", ['"/x/a.jpg"', '"../a.jpg"', '"a\\u0000.jpg"', '"\\udcff.jpg"'])
def test_unusual_names_of_images_are_taken(tmp_path, name):
    path = tmp_path / "a.json"
    path.write_text(coco(images_file_name=name))
    assert load_table(path).file_names == [json.loads(name)]


@pytest.mark.parametrize("read", [read_classes, lambda path: read_annotations(path, {})])
def test_a_sparse_csv_file(tmp_path, read):
    path = tmp_path / "a.csv"
    path.write_text("\n")
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match="line 2: expected fewer than 1048576 char") as error:
        read(path)
    check(error, path)


READERS = {
    "csv": lambda path: read_annotations(path, {"cat": 0}),
    "classes": read_classes,
    "coco": load_table,
    "coco, all of it": load_coco,
}


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file(tmp_path, reader):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, "/dev/zero", tmp_path, tmp_path / "nowhere"):
        with pytest.raises((ValueError, OSError)) as error:
            READERS[reader](path)
        check(error, path)
