"""Data sets in PASCAL VOC form: an XML file for each image.

The format is that of http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/: pixel coordinates
that count from 1. `annotations.voc_layouts` says where the files may be.
"""

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.text import finite_number, naming_file
from keras_retinanet.annotations.voc_layouts import (
    VocLayout,
    find_layout,
    read_class_names,
)
from keras_retinanet.annotations.voc_layouts import (
    read_image_set as read_image_set,
)
from keras_retinanet.preprocessing.labelled import LabelledGenerator, drop_empty_boxes
from keras_retinanet.system.files import read_file
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
    _check_classes(_first_places([path], [found]), classes)
    return [_with_label(entry, classes) for entry in found.objects]


def _with_label(entry: Mapping[str, Any], classes: Mapping[str, int]) -> dict[str, Any]:
    rest = {key: entry[key] for key in ("truncated", "difficult")}
    return {"box": entry["box"], "label": classes[entry["name"]], **rest}


_YOUR_CLASSES = "list yours in a file for --classes"


def _first_places(
    files: Sequence[StrPath], annotations: Sequence[_Annotation]
) -> dict[str, tuple[StrPath, int]]:
    """Return class name -> the file with its first object, and which of its objects, from 0."""
    places: dict[str, tuple[StrPath, int]] = {}
    for file, found in zip(files, annotations, strict=True):
        for number, entry in enumerate(found.objects):
            places.setdefault(entry["name"], (file, number))
    return places


def _check_classes(
    places: Mapping[str, tuple[StrPath, int]],
    classes: Collection[str],
    cure: str = _YOUR_CLASSES,
) -> None:
    """Raise ValueError if there are objects of unknown classes, naming all of these."""
    unknown = [name for name in places if name not in classes]
    if unknown:
        file, number = places[unknown[0]]
        raise ValueError(
            f"{_INVALID}: {file}: could not parse object #{number}: class name "
            f"'{shorten(unknown[0], 40)}' not found in classes: {shorten(list(classes), 40)} "
            f"({len(unknown)} unknown in all: {shorten(', '.join(unknown), 60)}; {cure})"
        )


def _find_classes(
    layout: VocLayout, places: Mapping[str, tuple[StrPath, int]]
) -> tuple[dict[str, int], bool]:
    """Return the classes of a data set, and whether they are just the names in its files.

    They are those of a file of class names in its folder; or else VOC's twenty, if there are no
    others; or else the names that there are, sorted.

    Raises:
        OSError: if a file of class names cannot be read.
        ValueError: naming the file, if one of class names is malformed, or lacks some of them.
    """
    for file in layout.class_files():
        classes = {name: label for label, name in enumerate(read_class_names(file))}
        if not places or not classes.keys().isdisjoint(places):
            cure = f"the classes are those of {shorten(file, 60)}; --classes names another file"
            _check_classes(places, classes, cure)
            return classes, False
        warnings.warn(
            f"{file}: not used as the file of class names, since no annotation has one of them",
            stacklevel=4,
        )
    if voc_classes.keys() >= places.keys():
        return voc_classes, False
    return {name: label for label, name in enumerate(sorted(places))}, True


def _read_all(
    files: Mapping[str, str], holds_others: bool
) -> tuple[list[str], list[str], list[_Annotation]]:
    """Return image names, annotation files and their contents.

    Args:
        files: image name -> annotation file.
        holds_others: whether to leave out XML files that are no annotations, with a warning.

    Raises:
        OSError: if a file cannot be read.
        ValueError: see `_read`.
    """
    found: list[tuple[str, str, _Annotation]] = []
    others: list[str] = []
    for name, file in files.items():
        annotation = _read_document(file) if holds_others else _read(file)
        if isinstance(annotation, str):
            others.append(file)
        else:
            found.append((name, file, annotation))
    if others:
        warnings.warn(
            f"left out {len(others)} XML files that are no annotations, the first: {others[0]}",
            stacklevel=3,
        )
    names, paths, annotations = map(list, zip(*found, strict=True)) if found else ([], [], [])
    return names, paths, annotations


def _read(path: StrPath) -> _Annotation:
    """Return the contents of an annotation file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, and the object from 0, if something is missing or malformed.
    """
    found = _read_document(path)
    if isinstance(found, str):
        with naming_file(path, _INVALID):
            raise ValueError(f"expected the element 'annotation', got '{found}'")
    return found


def _read_document(path: StrPath) -> _Annotation | str:
    """Return the contents of an annotation file, or the root element of another XML document.

    Raises:
        OSError: if the file cannot be read.
        ValueError: as `_read`.
    """
    with naming_file(path, _INVALID):
        root = _parse_xml(read_file(path, MAX_LABEL_BYTES))
        nodes = root.findall("object")
        if len(nodes) != sum(1 for _ in root.iter("object")):
            nodes = list(_outer(root, "object"))
        if not nodes and root.tag != "annotation":
            return root.tag
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
        classes: Mapping[str, int] | None = voc_classes,
        image_extension: str | None = ".jpg",
        skip_truncated: bool = False,
        skip_difficult: bool = False,
        *,
        known_classes: Mapping[str, int] | None = None,
        skip_unknown: bool = False,
        layout: VocLayout | None = None,
        **kwargs: Any,
    ) -> None:
        """Read the annotations of a set.

        Args:
            data_dir: folder with `ImageSets/Main/`, `Annotations/` and `JPEGImages/`, or any folder
                with XML files in it or below; see `annotations.voc_layouts`.
            set_name: such as `trainval`. In a folder without sets the only one is `train`.
            classes: class name -> label; None for `known_classes`, or if that is None too, for the
                classes that the data set says or has: see `found_classes`.
            image_extension: extension of the image files. Where there is no such file, the file
                with another usual extension is used, or the one that the annotations name. None for
                no preference.
            skip_truncated: whether to leave out objects marked as truncated.
            skip_difficult: whether to leave out objects marked as difficult.
            known_classes: the classes of the training set or of the model, if `classes` is None.
            skip_unknown: whether to leave out objects of classes that are not in `known_classes`,
                with a warning, if there are others. Otherwise they are an error.
            layout: what `find_layout(data_dir)` returned; None to call it.
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
        layout = layout or find_layout(data_dir)
        set_name = layout.find_set(set_name)
        self.image_names, files, found = _read_all(
            layout.annotation_files(set_name), layout.holds_others
        )
        places = _first_places(files, found)
        self.found_classes = False
        if classes is None and known_classes is None:
            classes, self.found_classes = _find_classes(layout, places)
        elif classes is None:
            classes = dict(known_classes or {})
            some_known = not classes.keys().isdisjoint(places)
            if not (skip_unknown and some_known):
                _check_classes(
                    places, classes, "the classes are those of the training set or model"
                )
        else:
            _check_classes(places, classes)
        self._declared_sizes = [annotation.size for annotation in found]
        paths = [
            layout.image(name, image_extension, annotation.filename)
            for name, annotation in zip(self.image_names, found, strict=True)
        ]
        objects = [annotation.objects for annotation in found]
        if unknown := sorted(places.keys() - classes.keys()):
            objects = self._without(unknown, objects)
        rows = [
            self._rows([_with_label(entry, classes) for entry in entries]) for entries in objects
        ]
        self._skipped = sum(map(len, objects)) - sum(map(len, rows))
        kept, dropped = drop_empty_boxes(BoxTable.of(rows), files.__getitem__)
        source = layout.source(set_name)
        super().__init__(classes, paths, kept, source=source, dropped=dropped, **kwargs)
        self.image_names = self.kept(self.image_names)
        self._declared_sizes = self.kept(self._declared_sizes)
        for remark in layout.left_out(paths):
            warnings.warn(f"{layout.root}: {remark}", stacklevel=2)

    def _without(
        self, names: Sequence[str], objects: Sequence[list[dict[str, Any]]]
    ) -> list[list[dict[str, Any]]]:
        """Return the objects of each image without those of some classes; warn about them."""
        unknown = {*names}
        kept = [[entry for entry in entries if entry["name"] not in unknown] for entries in objects]
        number = sum(map(len, objects)) - sum(map(len, kept))
        warnings.warn(
            f"{self.data_dir}: left out {number} objects of the set {self.set_name!r} whose "
            "classes are not in the training set, or not known to the model: "
            f"{shorten(', '.join(names), 100)}",
            stacklevel=3,
        )
        return kept

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
