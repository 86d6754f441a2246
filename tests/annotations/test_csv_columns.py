"""Which columns a first line names."""

import pytest

from keras_retinanet.annotations.csv_columns import USUAL, BoxForm, find_columns, is_header

CORNERS, CORNER, CENTRE = BoxForm.CORNERS, BoxForm.CORNER_AND_SIZE, BoxForm.CENTRE_AND_SIZE
HEADERS = [
    # line, columns of path, box and class, form of the box, columns of the image's size
    ("filename,width,height,class,xmin,ymin,xmax,ymax", (0, 4, 5, 6, 7, 3), CORNERS, (1, 2)),
    ("image_path,label,x_min,y_min,x_max,y_max", (0, 2, 3, 4, 5, 1), CORNERS, None),
    ('"image","xmin","ymin","xmax","ymax","label"', (0, 1, 2, 3, 4, 5), CORNERS, None),
    (" Class Name , IMG PATH , X1 , Y1 , X2 , Y2 ", (1, 2, 3, 4, 5, 0), CORNERS, None),
    ("x0,y0,x1,y1,file,category", (4, 0, 1, 2, 3, 5), CORNERS, None),
    ("image,left,top,right,bottom,name", (0, 1, 2, 3, 4, 5), CORNERS, None),
    (",frame,xmin,xmax,ymin,ymax,occluded,label", (1, 2, 4, 3, 5, 7), CORNERS, None),
    ("image,bbox_x,bbox_y,bbox_w,bbox_h,label", (0, 1, 2, 3, 4, 5), CORNER, None),
    ("image,x,y,w,h,width,height,label", (0, 1, 2, 3, 4, 7), CORNER, (5, 6)),
    ("image,x1,y1,x2,y2,w,h,label", (0, 1, 2, 3, 4, 7), CORNERS, (5, 6)),
    ("image,xmin,ymin,width,height,label", (0, 1, 2, 3, 4, 5), CORNER, None),
    (
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
        (5, 1, 2, 3, 4, 0),
        CORNER,
        (6, 7),
    ),
    ("img\tx_center\ty_center\twidth\theight\tclass", (0, 1, 2, 3, 4, 5), CENTRE, None),
    ("name,image,class,x1,y1,x2,y2", (1, 3, 4, 5, 6, 2), CORNERS, None),
    (
        "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;"
        "Lower right corner Y;Origin file",
        (0, 2, 3, 4, 5, 1),
        CORNERS,
        None,
    ),
]


@pytest.mark.parametrize(("line", "indices", "form", "size"), HEADERS)
def test_a_header_is_understood_by_its_names(line, indices, form, size):
    columns = find_columns(line)
    assert (columns.indices, columns.form, columns.size) == (indices, form, size)
    assert columns.has_header
    assert columns.separator in line
    assert not columns.has_class_ids


def test_a_class_may_be_an_id():
    columns = find_columns("Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId")
    assert (columns.indices, columns.size, columns.has_class_ids) == (
        (0, 3, 4, 5, 6, 7),
        (1, 2),
        True,
    )
    assert not find_columns("filename,xmin,ymin,xmax,ymax,class,class_id").has_class_ids


@pytest.mark.parametrize(
    "line",
    [
        "a.jpg,1,2,3,4,dog\n",
        "filename,,,,,\n",
        "filename,1,2,3,4,class,xmin,ymin,xmax,ymax\n",
        "a.jpg,one,2,3,4,dog\n",
        "a.jpg,1,2,3\n",
        "dog,1,2,3,4,b.jpg\n",
        '"a.jpg,1,2,3,4,dog\n',
        "",
    ],
)
def test_the_form_without_a_header_is_never_taken_for_one(line):
    assert find_columns(line) == USUAL


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_without_a_header(separator):
    for line in ("a.jpg 1 2 3 4 dog", "a.jpg 1,5 2 3,5 4 dog", "a.jpg     "):
        columns = find_columns(line.replace(" ", separator))
        assert (columns.separator, columns.has_header) == (separator, False)
        assert columns.indices == USUAL.indices


def test_makesense_without_a_header():
    line = "dog,1,2,3,4,b.jpg,640,480"
    columns = find_columns(line)
    assert (columns.indices, columns.form, columns.size) == ((5, 1, 2, 3, 4, 0), CORNER, (6, 7))
    assert not columns.has_header
    # The form of 1.0.0 with a class that is called so.
    assert find_columns(line, {"b.jpg": 0}) == USUAL
    assert find_columns("a.jpg,1,2,3,4,b.jpg,640,480") == USUAL


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("filename,xmin,ymin,xmax,ymax", "the header has no column for class, got filename, xmin"),
        ("filename,xmin,ymin,xmax,class", "no column for ymax, got"),
        ("Bild;links;oben;rechts;unten;Klasse", "no column for path, xmin, ymin, xmax, ymax, cl"),
        ("image_id,width,height,bbox,source", "no column for xmin, ymin, xmax, ymax, class, got"),
        ("file,x1,y1,x2,y2,x1,class", "the header has the column 'x1' twice"),
        ("filename,region_count,region_shape_attributes", "CSV of VGG VIA, which is not read"),
        ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax", "read it as 'oid'"),
    ],
)
def test_a_header_that_is_not_understood(line, message):
    with pytest.raises(ValueError, match=message) as error:
        find_columns(line)
    assert len(str(error.value)) < 240


def test_a_header_has_words_only():
    assert is_header(["name", "id"])
    assert not is_header(["a.jpg", "1", "2", "3", "4", "dog"])
    assert not is_header(["x"] * 100_000)
    assert not is_header([])
