"""Where the columns of a CSV file of boxes are: by its first line, which may be a header."""

import csv
import enum
from collections.abc import Container, Sequence
from dataclasses import dataclass

from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.messages import shorten

SEPARATORS = (",", ";", "\t")
_MAX_COLUMNS = 40  # of a header
# Headings as tools write them, in lower case and without all but letters and digits; where a file
# has several for the same thing, the first one here is used.
_PATH = (
    "filename imagepath imgpath imagefilepath imagefilename imagefile imgfile imagename imgname "
    "filepath file path image img imageid imgid frame"
)
_CLASS = (
    "class classname label labelname category categoryname classlabel objectclass objectname "
    "objectlabel annotationtag object tag labels name"
)
_CLASS_ID = "classid labelid categoryid"
# Those of x and of y; `bbox`, `box` or `roi` may come before them.
_LEFT_TOP = (
    "xmin,ymin x0,y0 x1,y1 left,top minx,miny xtl,ytl topleftx,toplefty upperleftx,upperlefty "
    "upperleftcornerx,upperleftcornery x,y"
)
_RIGHT_BOTTOM = (
    "xmax,ymax x2,y2 right,bottom maxx,maxy xbr,ybr bottomrightx,bottomrighty "
    "lowerrightx,lowerrighty lowerrightcornerx,lowerrightcornery x1,y1"
)
_CENTRE = "xcenter,ycenter xcentre,ycentre centerx,centery centrex,centrey cx,cy xc,yc"
_BOX_SIZE = "w,h width,height"
_OF_OPEN_IMAGES = {"imageid", "labelname", "confidence"}
_IMAGE_SIZE = "imagewidth,imageheight imgwidth,imgheight imagew,imageh imgw,imgh width,height w,h"


def _pairs(names: str) -> list[tuple[str, str]]:
    return [(x, y) for x, _, y in (pair.partition(",") for pair in names.split())]


def _of_box(names: str) -> list[tuple[str, str]]:
    """Return pairs of names, and these with what may come before them."""
    before = ("bbox", "box", "roi", "")
    return [(start + x, start + y) for start in before for x, y in _pairs(names)]


_LEFT_TOP_NAMES, _RIGHT_BOTTOM_NAMES = _of_box(_LEFT_TOP), _of_box(_RIGHT_BOTTOM)
_CENTRE_NAMES, _BOX_SIZE_NAMES = _of_box(_CENTRE), _of_box(_BOX_SIZE)


class BoxForm(enum.Enum):
    """What the four numbers of a box are."""

    CORNERS = "x1, y1, x2, y2"
    CORNER_AND_SIZE = "x, y, width, height, of the upper left corner"
    CENTRE_AND_SIZE = "x, y, width, height, of the centre"


@dataclass(frozen=True)
class Columns:
    """Where the columns are, and how they are separated.

    Attributes:
        indices: the columns of the path of the image, of four numbers, and of the class.
        names: what these are called, for messages.
        form: what the four numbers are.
        size: the columns of width and height of the image; None if there are none.
        has_class_ids: whether the class is an id in place of a name.
        separator: "," or another of `SEPARATORS`.
        has_header: whether the first line is a header.
    """

    indices: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    names: tuple[str, ...] = ("path", "x1", "y1", "x2", "y2", "class_name")
    form: BoxForm = BoxForm.CORNERS
    size: tuple[int, int] | None = None
    has_class_ids: bool = False
    separator: str = ","
    has_header: bool = False


# The form of keras-retinanet 1.0.0.
USUAL = Columns()
# What makesense.ai writes without a header.
_MAKESENSE = Columns(
    (5, 1, 2, 3, 4, 0),
    ("image", "x", "y", "width", "height", "label"),
    BoxForm.CORNER_AND_SIZE,
    size=(6, 7),
)


def find_columns(line: str, classes: Container[str] = ()) -> Columns:
    """Return where the columns are.

    Args:
        line: the first line of the file that is not blank. If it fits the form without a header,
            `path,x1,y1,x2,y2,class_name` or `path,,,,,`, it is no header.
        classes: the class names that are known.

    Raises:
        ValueError: if it looks like a header, but columns are missing or there twice.
    """
    rows = {separator: split(line, separator) for separator in SEPARATORS}
    if _is_of_makesense(rows[","]) and rows[","][5] not in classes:
        return _MAKESENSE
    if fits_usual(rows[","]):
        return USUAL
    for separator, row in rows.items():
        columns = by_header(row, separator)
        if columns is not None:
            return columns
    for separator, row in rows.items():
        if separator != "," and fits_usual(row):
            return Columns(separator=separator)
    for row in rows.values():
        if is_header(row):
            raise ValueError(why_not_understood(row))
    return USUAL  # reading its first row tells what is wrong with it


def split(line: str, separator: str) -> list[str]:
    """Return the fields of a line; none if it is no CSV."""
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []


def fits_usual(row: Sequence[str]) -> bool:
    """Return whether a row is one of `path,x1,y1,x2,y2,class_name` or `path,,,,,`."""
    if len(row) < 6 or not row[0]:
        return False
    return not any(row[1:6]) or all(map(_is_number, row[1:5]))


def _is_of_makesense(row: Sequence[str]) -> bool:
    return (
        len(row) == 8
        and is_image_name(row[5])
        and not is_image_name(row[0])
        and all(map(_is_number, row[1:5]))
        and all(text.isdecimal() for text in row[6:8])
    )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def key_of(heading: str) -> str:
    """Return a heading in lower case, without all but letters and digits."""
    return "".join(filter(str.isalnum, heading.casefold()))


def by_header(row: Sequence[str], separator: str = ",") -> Columns | None:
    """Return where the columns are that a header names; None if it does not name all.

    Raises:
        ValueError: if it names one of them twice, or is that of Open Images.
    """
    found = _find(row)
    if found.missing:
        return None
    keys = [key_of(heading) for heading in row]
    if _OF_OPEN_IMAGES.issubset(keys):
        raise ValueError("this is a file of boxes of Open Images: read it as 'oid', not as 'csv'")
    for index in (*found.indices, *(found.size or ())):
        if keys.count(keys[index]) > 1:
            raise ValueError(f"the header has the column {shorten(repr(row[index]), 60)} twice")
    names = tuple(shorten(row[index].strip(), 40) for index in found.indices)
    return Columns(
        found.indices, names, found.form, found.size, found.has_class_ids, separator, True
    )


@dataclass(frozen=True)
class _Found:
    """What a header names; -1 stands for a column that is missing."""

    indices: tuple[int, ...]
    form: BoxForm
    size: tuple[int, int] | None
    has_class_ids: bool
    missing: list[str]


def _find(row: Sequence[str]) -> _Found:
    index_of: dict[str, int] = {}
    if len(row) <= _MAX_COLUMNS:
        for index, heading in enumerate(row):
            index_of.setdefault(key_of(heading), index)

    def first(names: str) -> int:
        return next((index_of[name] for name in names.split() if name in index_of), -1)

    def both(pairs: Sequence[tuple[str, str]], used: Container[int] = ()) -> tuple[int, int]:
        """Return the columns of x and y, the first of some pairs of names that is not used."""
        found = [(index_of.get(x, -1), index_of.get(y, -1)) for x, y in pairs]
        free = [pair for pair in found if pair[0] not in used and pair[1] not in used]
        # If no pair is complete, the one with something: to name what is missing.
        return max(free, key=lambda pair: (min(pair) >= 0, max(pair) >= 0), default=(-1, -1))

    left_top = both(_LEFT_TOP_NAMES)
    right_bottom = both(_RIGHT_BOTTOM_NAMES, left_top)
    centre = both(_CENTRE_NAMES)
    width_height = both(_BOX_SIZE_NAMES)
    form, sides = BoxForm.CORNERS, (*left_top, *right_bottom)
    if -1 in sides and -1 not in (*centre, *width_height):
        form, sides = BoxForm.CENTRE_AND_SIZE, (*centre, *width_height)
    elif -1 in sides and -1 not in (*left_top, *width_height):
        form, sides = BoxForm.CORNER_AND_SIZE, (*left_top, *width_height)
    path, class_name = first(_PATH), first(_CLASS)
    has_class_ids = class_name < 0
    if has_class_ids:
        class_name = first(_CLASS_ID)
    indices = (path, *sides, class_name)
    size = both(_pairs(_IMAGE_SIZE), sides)
    names = ("path", "xmin", "ymin", "xmax", "ymax", "class")
    return _Found(
        indices,
        form,
        None if -1 in size else size,
        has_class_ids,
        [name for name, index in zip(names, indices, strict=True) if index < 0],
    )


def is_header(row: Sequence[str]) -> bool:
    """Return whether a row names columns: it has no number, and words that are headings."""
    if len(row) > _MAX_COLUMNS or any(map(_is_number, row)):
        return False
    known = sum(key_of(field) in _HEADINGS for field in row)
    # Headings in other languages: words where numbers are expected.
    return known >= 2 or (len(row) >= 6 and all(field.strip() for field in row[1:5]))


def why_not_understood(row: Sequence[str]) -> str:
    """Return what is wrong with a header that does not name all columns."""
    if "regionshapeattributes" in map(key_of, row):
        return "this is the CSV of VGG VIA, which is not read: export COCO JSON there"
    names = shorten(", ".join(heading.strip() for heading in row), 70)
    return (
        f"the header has no column for {', '.join(_find(row).missing) or 'boxes'}, "
        f"got {names}: rename them, or remove the line and write img_file,x1,y1,x2,y2,class_name"
    )


_HEADINGS = frozenset(
    f"{_PATH} {_CLASS} {_CLASS_ID} id index number names bbox filesize fileattributes regioncount "
    "regionid regionshapeattributes regionattributes".split()
).union(
    *_LEFT_TOP_NAMES,
    *_RIGHT_BOTTOM_NAMES,
    *_CENTRE_NAMES,
    *_BOX_SIZE_NAMES,
    *_pairs(_IMAGE_SIZE),
)
