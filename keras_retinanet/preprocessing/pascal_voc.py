"""Data sets in PASCAL VOC form: `ImageSets/Main/SET.txt`, `Annotations/*.xml`, `JPEGImages/`.

The format is that of http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/: pixel coordinates
that count from 1.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.image_files import ImageFinder
from keras_retinanet.annotations.text import finite_number, naming_file, read_text
from keras_retinanet.preprocessing.labelled import LabelledGenerator, drop_empty_boxes
from keras_retinanet.system.files import read_file
from keras_retinanet.system.image_kinds import IMAGE_EXTENSIONS
from keras_retinanet.system.limits import MAX_LABEL_BYTES
from keras_retinanet.system.machine import gc_paused
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
voc_classes = {name: label for label, name in enumerate(_NAMES.split())}
_INVALID = "invalid annotations file"


@dataclass(frozen=True)
class _Annotation:
    """The contents of an annotation file.

    Attributes:
        objects: for each object `{"name", "box", "truncated", "difficult"}`.
        filename: the name of the image file; empty if there is none.
        size: width and height of the image; None if they are not there or make no sense.
    """

    objects: list[dict[str, Any]]
    filename: str
    size: tuple[int, int] | None


def read_image_set(path: StrPath, folder: StrPath | None = None) -> list[str]:
    """Return the image names in a file of an image set: one in each line.

    A last word that is 1, 0 or -1 is left out, as in VOC's sets of one class, and so are the
    extension of an image and `.xml`; except where they are part of a name that is annotated.

    Args:
        path: the file.
        folder: folder of the annotation files `NAME.xml`; None if it is not known.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it names no image, or one of them twice, or is not UTF-8.
    """
    lines = io.StringIO(read_text(path), newline=None)
    names = [_image_name(line.strip(), folder) for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{path}: expected an image name in each line, got none")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path}: duplicate image name: '{shorten(name)}'")
        if os.path.isabs(name):
            raise ValueError(
                f"{path}: expected names below Annotations/ and JPEGImages/, got the path "
                f"{shorten(name, 80)}"
            )
        seen.add(name)
    return names


def _image_name(line: str, folder: StrPath | None) -> str:
    """Return the image name in a line: of the possible ones the first that is annotated."""
    head, *flag = line.rsplit(maxsplit=1)
    without_flag = head if flag and flag[0] in ("1", "0", "-1") else line
    names = list(dict.fromkeys((line, without_flag)))
    names += [
        stem
        for stem, suffix in map(os.path.splitext, names)
        if suffix.lower() in (".xml", *IMAGE_EXTENSIONS)
    ]
    if folder is not None and len(names) > 1:
        for name in names:
            if os.path.isfile(os.path.join(folder, f"{name}.xml")):
                return name
    return without_flag


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
    found = _read(path)
    _check_classes([path], [found], classes)
    return [_with_label(entry, classes) for entry in found.objects]


def _with_label(entry: Mapping[str, Any], classes: Mapping[str, int]) -> dict[str, Any]:
    rest = {key: entry[key] for key in ("truncated", "difficult")}
    return {"box": entry["box"], "label": classes[entry["name"]], **rest}


def _check_classes(
    files: Sequence[StrPath], annotations: Sequence[_Annotation], classes: Mapping[str, int]
) -> None:
    """Raise ValueError if some files have objects of unknown classes, naming all of these."""
    unknown: dict[str, str] = {}
    for file, found in zip(files, annotations, strict=True):
        for number, entry in enumerate(found.objects):
            name = entry["name"]
            if name not in classes and name not in unknown:
                unknown[name] = f"{_INVALID}: {file}: could not parse object #{number}"
    if unknown:
        (name, place), *_ = unknown.items()
        raise ValueError(
            f"{place}: class name '{shorten(name, 40)}' not found in classes: "
            f"{shorten(list(classes), 40)} ({len(unknown)} unknown in all: "
            f"{shorten(', '.join(unknown), 60)}; list yours in a file for --classes)"
        )


def _read(path: StrPath) -> _Annotation:
    """Return the contents of an annotation file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, and the object from 0, if something is missing or malformed.
    """
    with naming_file(path, _INVALID):
        root = _parse_xml(read_file(path, MAX_LABEL_BYTES))
        nodes = root.findall("object")
        if len(nodes) != sum(1 for _ in root.iter("object")):
            nodes = list(_outer(root, "object"))
        if not nodes and root.tag != "annotation":
            raise ValueError(f"expected the element 'annotation', got '{root.tag}'")
        objects = [_parse_object(node, number) for number, node in enumerate(nodes)]
        return _Annotation(objects, (root.findtext("filename") or "").strip(), _declared_size(root))


def _parse_xml(content: bytes) -> ElementTree.Element:
    """Return the root of an XML document without entities of its own.

    Annotations have none, and a few lines of them can stand for gigabytes.
    """
    # UTF-16 and UTF-32 have zero bytes between the letters.
    if b"<!ENTITY" in content.replace(b"\0", b""):
        raise ValueError("expected no entities (<!ENTITY)")
    try:
        with gc_paused():
            return ElementTree.fromstring(content)
    # An unknown encoding is a LookupError; other decoders of Python have errors of their own.
    except (ElementTree.ParseError, LookupError, TypeError) as error:
        raise ValueError(str(error)) from None


def _outer(root: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a tag that are not inside another one, in their order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.tag == tag:
            yield node
        else:
            waiting += reversed(node)


def _declared_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return the width and height that an annotation file declares; None for none, 0 or nonsense.

    Training does not need them, so they are no reason to refuse a file.
    """
    with contextlib.suppress(ValueError):
        width, height = (_number(root, f"size/{key}") for key in ("width", "height"))
        if width >= 1 and height >= 1:
            return int(width), int(height)
    return None


def _parse_object(node: ElementTree.Element, number: int) -> dict[str, Any]:
    try:
        name = _text(node, "name").strip()
        count = len(node.findall("bndbox"))
        if count != 1:
            raise ValueError(
                f"expected one element 'bndbox', got {count}"
                if count
                else "missing element 'bndbox'"
            )
        box = tuple(_number(node, f"bndbox/{key}") - 1 for key in ("xmin", "ymin", "xmax", "ymax"))
        # Many tools leave these two out.
        flags = {key: bool(_number(node, key, "0")) for key in ("truncated", "difficult")}
        return {"name": name, "box": box, **flags}
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
        image_extension: str | None = ".jpg",
        skip_truncated: bool = False,
        skip_difficult: bool = False,
        **kwargs: Any,
    ) -> None:
        """Read the image set and its annotations.

        Args:
            data_dir: folder with `ImageSets/Main/`, `Annotations/` and `JPEGImages/`.
            set_name: such as `trainval`.
            classes: class name -> label.
            image_extension: extension of the image files. Where there is no such file, the file
                with another usual extension is used, or the one that the annotations name. None for
                no preference.
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
        folder = os.path.join(data_dir, "Annotations")
        self.image_names = read_image_set(source, folder)
        files = [os.path.join(folder, f"{name}.xml") for name in self.image_names]
        found = [_read(file) for file in files]
        _check_classes(files, found, classes)
        self._declared_sizes = [annotation.size for annotation in found]
        images = ImageFinder(os.path.join(data_dir, "JPEGImages"))
        paths = [
            images.find(name, image_extension, annotation.filename)
            for name, annotation in zip(self.image_names, found, strict=True)
        ]
        rows = [
            self._rows([_with_label(entry, classes) for entry in annotation.objects])
            for annotation in found
        ]
        self._skipped = sum(len(annotation.objects) for annotation in found) - sum(map(len, rows))
        kept, dropped = drop_empty_boxes(BoxTable.of(rows), files.__getitem__)
        super().__init__(classes, paths, kept, source=source, dropped=dropped, **kwargs)

    def declared_size(self, image_index: int) -> tuple[int, int] | None:
        """Return width and height of an image as its annotation file declares them, if it does."""
        return self._declared_sizes[image_index]

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        if self._skipped:
            return f"all {self._skipped} objects are truncated or difficult, and skipped"
        return super().why_no_boxes()

    def _rows(self, objects: list[dict[str, Any]]) -> list[tuple]:
        """Return rows `x1, y1, x2, y2, label`, without the objects to skip."""
        return [
            (*entry["box"], entry["label"])
            for entry in objects
            if not (entry["truncated"] and self.skip_truncated)
            and not (entry["difficult"] and self.skip_difficult)
        ]
