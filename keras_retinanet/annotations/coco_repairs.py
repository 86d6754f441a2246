"""Fill in what tools leave out of COCO files, or write otherwise.

The functions change a COCO dictionary, of which is known only that its sections are lists of
objects, and return what they did in words, empty if nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pycocotools import mask

from keras_retinanet.system.limits import MAX_COORDINATE
from keras_retinanet.system.messages import shorten

# No other alphabet's digits, no underscores, no words such as "nan".
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
# An id such as 007 is a name: as a number it may be that of another image.
_WHOLE = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_NUMBERS = {
    "images": ("width", "height"),
    "annotations": ("id", "category_id", "area", "iscrowd"),
    "categories": ("id",),
}
# The `bbox` of an annotation whose segmentation is empty, until it is left out.
NO_BOX: list[float] = []
_IMAGE_IDS = {"images": "id", "annotations": "image_id"}
# Compressed counts: of each number all characters but the last say that more follow.
_COMPRESSED = re.compile(r"(?:[P-o]{0,7}[0-O])+")


def read_text_numbers(dataset: Mapping[str, Any]) -> str:
    """Make numbers of those that are written as text: "640", and the ids of images as well."""
    count, first = 0, ""
    for section, number, key in _text_values(dataset):
        count += 1
        first = first or f"{section}[{number}].{key}"
    return f"{count} values are numbers written as text, the first: {first}" if count else ""


def _text_values(dataset: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Change the numbers that are text, and yield section, index and key of each."""
    for section, keys in _NUMBERS.items():
        ident = _IMAGE_IDS.get(section)
        for number, entry in enumerate(dataset[section]):
            for key in keys:
                value = entry.get(key)
                if isinstance(value, str) and _NUMBER.fullmatch(value):
                    entry[key] = _as_number(value)
                    yield section, number, key
            if ident and isinstance(value := entry.get(ident), str) and _WHOLE.fullmatch(value):
                entry[ident] = int(value)
                yield section, number, ident
            box = entry.get("bbox") if section == "annotations" else None
            if isinstance(box, list) and any(isinstance(side, str) for side in box):
                numbers = [
                    _as_number(side) if isinstance(side, str) and _NUMBER.fullmatch(side) else side
                    for side in box
                ]
                if numbers != box:
                    entry["bbox"] = numbers
                    yield section, number, "bbox"


def _as_number(text: str) -> float:
    """Return the number, an int if it is written as one; more digits than that give a float."""
    return int(text) if text.strip().lstrip("+-").isdigit() and len(text) < 20 else float(text)


def fill_boxes(annotations: list[dict[str, Any]]) -> str:
    """Give annotations without `bbox` the box of their segmentation; `NO_BOX` if that is empty.

    Raises:
        ValueError: naming the annotation, if the polygon or RLE is malformed.
    """
    count, first = 0, 0
    for number, entry in enumerate(annotations):
        # Without both keys an annotation is malformed.
        if "segmentation" not in entry or entry.get("bbox") not in (None, []):
            continue
        try:
            box = box_of(entry["segmentation"])
        except ValueError as error:
            raise ValueError(f"annotations[{number}]: {error}") from None
        entry["bbox"] = NO_BOX if box is None else box
        if box is not None:
            count, first = count + 1, first if count else number
    if not count:
        return ""
    return (
        f"{count} annotations without bbox have that of their polygon or RLE, the first: "
        f"annotations[{first}]"
    )


def box_of(segmentation: Any) -> list[float] | None:
    """Return the box `x, y, width, height` around a COCO segmentation; None if it is empty.

    Args:
        segmentation: a list of polygons `[x1, y1, x2, y2, ...]`, or such a polygon; or an RLE with
            `size` and `counts`, compressed or not.

    Raises:
        ValueError: if it is malformed.
    """
    if segmentation is None or segmentation in ([], [[]], {}):
        return None
    if isinstance(segmentation, dict):
        return _box_of_rle(segmentation)
    polygons = segmentation if isinstance(segmentation, list) else None
    if polygons and not isinstance(polygons[0], list):
        polygons = [polygons]
    if not polygons or not all(map(_is_polygon, polygons)):
        raise _unexpected("bbox, or a segmentation with polygons x1, y1, x2, y2, ...", segmentation)
    points = np.concatenate([np.array(polygon, "float64").reshape(-1, 2) for polygon in polygons])
    left_top, right_bottom = points.min(axis=0), points.max(axis=0)
    return [*left_top.tolist(), *(right_bottom - left_top).tolist()]


def _is_polygon(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) % 2 == 0
        and all(isinstance(x, (int, float)) and abs(x) <= MAX_COORDINATE for x in values)
    )


def _box_of_rle(segmentation: dict[str, Any]) -> list[float] | None:
    """Return the box of a run-length encoded mask.

    All is checked: pycocotools reads past the end of malformed counts, and divides by the sides.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(map(_is_side, size))):
        raise _unexpected("an RLE with size [height, width]", size)
    height, width = map(int, size)
    if isinstance(counts, list) and all(type(run) is int and 0 <= run < 2**32 for run in counts):
        rle = mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    elif isinstance(counts, str) and _COMPRESSED.fullmatch(counts):
        rle = {"size": [height, width], "counts": counts.encode()}
    else:
        raise _unexpected("an RLE with counts: whole numbers, or compressed text", counts)
    x, y, box_width, box_height = mask.toBbox(rle).tolist()
    if not (box_width and box_height):
        return None
    if not (min(x, y) >= 0 and x + box_width <= width and y + box_height <= height):
        raise _unexpected(f"an RLE whose counts stay in {width} x {height} pixels", counts)
    return [x, y, box_width, box_height]


def _is_side(value: Any) -> bool:
    return isinstance(value, (int, float)) and 1 <= value < 2**31 and value == int(value)


def _unexpected(expected: str, value: Any) -> ValueError:
    return ValueError(f"expected {expected}, got {shorten(repr(value), 60)}")


def drop_boxless(dataset: dict[str, Any]) -> str:
    """Leave out the annotations that have no box."""
    annotations = dataset["annotations"]
    kept = [entry for entry in annotations if entry["bbox"] is not NO_BOX]
    if len(kept) == len(annotations):
        return ""
    first = next(number for number, entry in enumerate(annotations) if entry["bbox"] is NO_BOX)
    dataset["annotations"] = kept
    return (
        f"left out {len(annotations) - len(kept)} annotations with an empty bbox and segmentation, "
        f"the first: annotations[{first}]"
    )


def drop_repeated_categories(dataset: dict[str, Any]) -> str:
    """Leave out categories that repeat another's name and have no annotation.

    Roboflow writes the supercategory first, often with the name of a class. Of several categories
    of one name without annotations the last one stays.
    """
    used = {entry.get("category_id") for entry in dataset["annotations"]}
    by_name: dict[str, list[dict[str, Any]]] = {}
    for category in dataset["categories"]:
        by_name.setdefault(category["name"], []).append(category)
    dropped = []
    for same in by_name.values():
        if len(same) > 1:
            unused = [category for category in same if category["id"] not in used]
            dropped += unused[: len(same) - 1]
    if not dropped:
        return ""
    gone = {id(category) for category in dropped}
    dataset["categories"] = [item for item in dataset["categories"] if id(item) not in gone]
    listed = ", ".join(f"{category['name']!r} ({category['id']})" for category in dropped)
    return (
        f"left out {len(dropped)} categories without annotations that repeat a name: "
        f"{shorten(listed, 80)}"
    )
