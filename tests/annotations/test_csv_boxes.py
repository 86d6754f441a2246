"""CSV files of boxes with a header, as tools write them."""

import numpy as np
import pytest

from keras_retinanet.annotations.csv_boxes import FoundClasses, has_boxes, read_boxes

CLASSES = {"dog": 0, "cat": 4}
BOXES = {"a.jpg": [(1, 2, 30, 12, 4), (0, 0, 5.5, 9, 0)], "b c.jpg": [], "d.jpg": [(5, 5, 9, 9, 0)]}
TENSORFLOW = """\
filename,width,height,class,xmin,ymin,xmax,ymax
a.jpg,40,20,cat,1,2,30,12
a.jpg,40,20,dog,0,0,5.5,9
b c.jpg,10,20,,,,,
d.jpg,,,dog,5,5,9,9
"""
FORMS = {
    "tensorflow and roboflow": TENSORFLOW,
    "spaces": TENSORFLOW.replace(",", ", "),
    "semicolons, windows": "\ufeff" + TENSORFLOW.replace(",", ";").replace("\n", "\r\n"),
    "decimal commas": TENSORFLOW.replace(",", ";").replace("5.5", "5,5"),
    "tabs": "\n\n" + TENSORFLOW.replace(",", "\t"),
    "vott": '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",1,2,30,12,"cat"\n'
    '"a.jpg",0,0,5.5,9,"dog"\n"b c.jpg",,,,,\n"d.jpg",5,5,9,9,"dog"\n',
    "makesense": "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,"
    "image_height\ncat,1,2,29,10,a.jpg,40,20\ndog,0,0,5.5,9,a.jpg,40,20\n,,,,,b c.jpg,10,20\n"
    "dog,5,5,4,4,d.jpg,9,9\n",
    "makesense of old": "cat,1,2,29,10,a.jpg,40,20\ndog,0,0,5.5,9,a.jpg,40,20\n"
    ",,,,,b c.jpg,10,20\ndog,5,5,4,4,d.jpg,9,9\n",
    "centres": "path,class,x_center,y_center,w,h\na.jpg,cat,15.5,7,29,10\n"
    "a.jpg,dog,2.75,4.5,5.5,9\nb c.jpg,,,,,\nd.jpg,dog,7,7,4,4\n",
    "ids": "path,class_id,x1,y1,x2,y2\na.jpg,4,1,2,30,12\na.jpg,0,0,0,5.5,9\nb c.jpg,,,,,\n"
    "d.jpg,0,5,5,9,9\n",
    "no header, tabs": "a.jpg\t1\t2\t30\t12\tcat\na.jpg\t0\t0\t5.5\t9\tdog\nb c.jpg\t\t\t\t\t\n"
    "d.jpg\t5\t5\t9\t9\tdog\n",
}


def write(tmp_path, text):
    path = tmp_path / "boxes.csv"
    path.write_bytes(text.encode())
    return str(path)


def boxes_of(found):
    rows = [[tuple(row) for row in rows.tolist()] for rows in found.table]
    return dict(zip(found.names, rows, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_has_the_same_boxes(tmp_path, form):
    path = write(tmp_path, FORMS[form])
    assert boxes_of(read_boxes(path, CLASSES)) == BOXES
    assert has_boxes(path)


def test_sizes_are_those_that_are_declared(tmp_path):
    sizes = read_boxes(write(tmp_path, TENSORFLOW), CLASSES).sizes
    assert sizes.tolist() == [[40, 20], [10, 20], [0, 0]]
    assert read_boxes(write(tmp_path, FORMS["vott"]), CLASSES).sizes is None


def test_fractions_are_of_the_declared_size(tmp_path):
    text = "filename,width,height,class,x1,y1,x2,y2\na,40,20,dog,0.1,0.1,0.5,1.0000005\n"
    path = write(tmp_path, text)
    with pytest.warns(UserWarning, match="read as fractions of width and height"):
        found = read_boxes(path, CLASSES)
    np.testing.assert_allclose(found.table.rows, [[4, 2, 20, 20, 0]])
    path = write(tmp_path, text.replace("40", ""))
    with pytest.raises(ValueError, match="not every image has a width and a height"):
        read_boxes(path, CLASSES)
    # Without a size they are pixels, and the generator warns.
    path = write(tmp_path, "filename,class,x1,y1,x2,y2\na,dog,0.1,0.1,0.5,1\n")
    assert read_boxes(path, CLASSES).table.rows.tolist() == [[0.1, 0.1, 0.5, 1, 0]]


def test_a_class_without_coordinates_is_said(tmp_path):
    path = write(tmp_path, "image_id,class_name,x1,y1,x2,y2\na,nothing,,,,\nb,dog,1,2,3,4\n")
    with pytest.warns(UserWarning, match="1 rows have a class and no coordinates.*line 2"):
        found = read_boxes(path, FoundClasses())
    assert boxes_of(found) == {"a": [], "b": [(1, 2, 3, 4, 0)]}


def test_classes_are_found():
    found = FoundClasses()
    assert [found[name] for name in ("b", " b ", "a", "b")] == [0, 0, 1, 0]
    assert found.names == {"b": 0, "a": 1}
    with pytest.raises(KeyError):
        found["  "]
    known = FoundClasses({"a": 5})
    assert [known[name] for name in ("a", "a ", "c", "b", "c")] == [5, 5, -1, -1, -1]
    assert (known.names, known.unknown()) == ({"a": 5}, ["b", "c"])


HEADER = "filename;width;height;xmin;ymin;xmax;ymax;class\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "expected at least one row below the header, got none"),
        (HEADER + "a;1;2\n", "line 2: expected at least 8 fields separated by ';', got 3"),
        (HEADER + ";9;9;1;2;3;4;dog\n", "line 2: expected the path of an image, got none"),
        (HEADER + "a;9;9;1;x;3;4;dog\n", "line 2: malformed ymin: could not convert"),
        (HEADER + "a;9;9;1;;3;4;dog\n", "line 2: malformed ymin: could not convert"),
        (HEADER + "a;9;9;1;2;nan;4;dog\n", "line 2: malformed xmax: expected a finite number"),
        (HEADER + "\na;9;9;3,5;2;3;4;dog\n", r"line 3: xmax \(3\) must be higher than xmin \(3.5"),
        (HEADER + "a;9;9;1;2;3;4;Dog\n", "line 2: unknown class name: 'Dog' .*: there is a class"),
        (HEADER + "a;9;9;1;2;3;4;\n", "line 2: unknown class name: ''"),
        (HEADER + "a;x;9;1;2;3;4;dog\n", "line 2: malformed width of the image"),
        (HEADER + "a;9;9;1;2;3;1e9;dog\n", "line 2: expected coordinates below 1e"),
        ("image,x,y,w,h,label\na,1,2,0,4,dog\n", "line 2: w must be above 0, got 0"),
        ("image,xmin,ymin,xmax,ymax\n", "line 1: the header has no column for class"),
        ("TRAIN,gs://a/b.jpg,dog,0.1,0.2,,,0.3,0.4,,\n", "line 1: .*AutoML, which is not read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=f"^invalid CSV annotations file: {path}: {message}") as e:
        read_boxes(path, CLASSES)
    assert len(str(e.value)) < 300 + len(path)


def test_a_class_is_expected_where_they_are_found(tmp_path):
    with pytest.raises(ValueError, match="line 1: expected a class name, got none"):
        read_boxes(write(tmp_path, "a.jpg,1,2,3,4, \n"), FoundClasses())
    with pytest.raises(ValueError, match=r"line 2: malformed x1: .*'x'$"):
        read_boxes(write(tmp_path, "a.jpg,1,2,3,4,dog\na.jpg,x,2,3,4,Dog\n"), FoundClasses())


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n\n", "cat,0\ndog,1\n", "a.jpg\nb.jpg\n", '{"a": 1}', "<annotation>\n"),
        *("0 0.5 0.5 0.1 0.1\n", "Car 0.00 0 -1.57 10.5 2 30 12.25 1.5 1.6 4.0 1.0 1.5 2 3\n"),
        *("/m/011k07,Tortoise\n", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"),
        *("filename,region_count,region_shape_attributes\n", "name,id\n", "x" * 2_000_000),
    ],
)
def test_other_files_have_no_boxes(tmp_path, text):
    assert not has_boxes(write(tmp_path, text))


def test_bytes_that_are_no_text_have_no_boxes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert not has_boxes(path)
    with pytest.raises(FileNotFoundError):
        has_boxes(tmp_path / "b")
