"""Data sets in PASCAL VOC form: `ImageSets/Main/SET.txt`, `Annotations/*.xml`, `JPEGImages/`.

The format is that of http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/: pixel coordinates
that count from 1.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.text import finite_number, read_text
from keras_retinanet.preprocessing.labelled import LabelledGenerator, drop_empty_boxes
from keras_retinanet.system.types import StrPath

_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
voc_classes = {name: label for label, name in enumerate(_NAMES.split())}


def read_image_set(path: StrPath) -> list[str]:
    """Return the image names in a file of an image set: the first word of each line.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it names no image, or one of them twice, or is not UTF-8.
    """
    names = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path}: expected an image name in each line, got none")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path}: duplicate image name: '{name}'")
        seen.add(name)
    return names


def read_objects(path: StrPath, classes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the objects in an annotation file.

    Args:
        path: the XML file.
        classes: label of each class name.

    Returns:
        For each object `{"box": (x1, y1, x2, y2), "label", "truncated", "difficult"}`. Coordinates
        count from 0, as in keras-retinanet 1.0.0: 1 is subtracted from each.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, and the object from 0, if something is missing or malformed.
    """
    try:
        root = ElementTree.parse(path).getroot()
        return [_parse_object(node, i, classes) for i, node in enumerate(root.iter("object"))]
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # an unknown encoding
        raise ValueError(f"invalid annotations file: {path}: {error}") from None


def _parse_object(
    node: ElementTree.Element, number: int, classes: Mapping[str, int]
) -> dict[str, Any]:
    try:
        name = _text(node, "name").strip()
        if name not in classes:
            raise ValueError(f"class name '{name}' not found in classes: {list(classes)}")
        if node.find("bndbox") is None:
            raise ValueError("missing element 'bndbox'")
        box = tuple(_number(node, f"bndbox/{key}") - 1 for key in ("xmin", "ymin", "xmax", "ymax"))
        # Many tools leave these two out.
        flags = {key: bool(_number(node, key, "0")) for key in ("truncated", "difficult")}
        return {"box": box, "label": classes[name], **flags}
    except ValueError as error:
        raise ValueError(f"could not parse object #{number}: {error}") from None


def _text(node: ElementTree.Element, path: str, default: str | None = None) -> str:
    text = node.findtext(path) or ""
    if text.strip():
        return text
    if default is None:
        raise ValueError(f"missing element '{_dotted(path)}'")
    return default


def _number(node: ElementTree.Element, path: str, default: str | None = None) -> float:
    return finite_number(_text(node, path, default), f"illegal value for '{_dotted(path)}'")


def _dotted(path: str) -> str:
    return path.replace("/", ".")


def _findNode(  # noqa: N802 (public programs import it by this name of 1.0.0)
    parent: ElementTree.Element,
    name: str,
    debug_name: str | None = None,
    parse: Callable[[str], Any] | None = None,
) -> Any:
    """Return the element of a name below another one, or what `parse` makes of its text.

    Args:
        parent: where to look.
        name: tag of the element.
        debug_name: its name in errors; None for the tag.
        parse: function of the text; None to return the element.

    Raises:
        ValueError: if there is no such element, or `parse` raises one.
    """
    found = parent.find(name)
    if found is None:
        raise ValueError(f"missing element '{debug_name or name}'")
    if parse is None:
        return found
    try:
        return parse(found.text)  # type: ignore[arg-type]  # None for an empty element, as in 1.0.0
    except ValueError as error:
        raise ValueError(f"illegal value for '{debug_name or name}': {error}") from None


class PascalVocGenerator(LabelledGenerator):
    """A data set in PASCAL VOC form."""

    def __init__(
        self,
        data_dir: StrPath,
        set_name: str,
        classes: Mapping[str, int] = voc_classes,
        image_extension: str = ".jpg",
        skip_truncated: bool = False,
        skip_difficult: bool = False,
        **kwargs: Any,
    ) -> None:
        """Read the image set and its annotations.

        Args:
            data_dir: folder with `ImageSets/Main/`, `Annotations/` and `JPEGImages/`.
            set_name: such as `trainval`.
            classes: class name -> label.
            image_extension: extension of the image files.
            skip_truncated: whether to leave out objects marked as truncated.
            skip_difficult: whether to leave out objects marked as difficult.
            **kwargs: for `Generator`.

        Raises:
            OSError: if the set or an annotation file cannot be read.
            ValueError: naming the file, if one is malformed or an image does not exist. Boxes
                without area, which real sets have, are left out with a warning.
        """
        self.data_dir = data_dir
        self.set_name = set_name
        self.image_extension = image_extension
        self.skip_truncated = skip_truncated
        self.skip_difficult = skip_difficult
        source = os.path.join(data_dir, "ImageSets", "Main", f"{set_name}.txt")
        self.image_names = read_image_set(source)
        folder = os.path.join(data_dir, "JPEGImages")
        paths = [os.path.join(folder, name + image_extension) for name in self.image_names]
        folder = os.path.join(data_dir, "Annotations")
        files = [os.path.join(folder, f"{name}.xml") for name in self.image_names]
        annotations = BoxTable.of(self._rows(read_objects(file, classes)) for file in files)
        kept, dropped = drop_empty_boxes(annotations, files.__getitem__)
        super().__init__(classes, paths, kept, source=source, dropped=dropped, **kwargs)

    def _rows(self, objects: list[dict[str, Any]]) -> list[tuple]:
        """Return rows `x1, y1, x2, y2, label`, without the objects to skip."""
        return [
            (*entry["box"], entry["label"])
            for entry in objects
            if not (entry["truncated"] and self.skip_truncated)
            and not (entry["difficult"] and self.skip_difficult)
        ]
