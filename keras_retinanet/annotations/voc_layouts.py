"""Find the files of a data set in PASCAL VOC's XML form, in the layouts that tools write.

Either lists name the images of each set, as in VOC itself and in what CVAT and VoTT export, or all
XML files in a folder and its subfolders count, as LabelImg, Roboflow and Label Studio leave them.
"""

import contextlib
import io
import os
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from keras_retinanet.annotations.image_files import ImageFinder, folded
from keras_retinanet.annotations.text import naming_file, read_text
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.image_kinds import IMAGE_EXTENSIONS
from keras_retinanet.system.limits import MAX_LABEL_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# Names of folders are compared in lower case.
_ANNOTATION_FOLDERS = (
    *("annotations", "annotation", "annots", "xmls", "xml", "labels", "label"),
    *("annotations_xml", "pascal_voc", "voc"),
)
_IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
_KIND_FOLDERS = frozenset(("", os.pardir, *_ANNOTATION_FOLDERS, *_IMAGE_FOLDERS))
_SETS = ("train", "training", "trainval", "val", "valid", "validation", "test", "testing")
_CLASS_FILES = ("labels.txt", "classes.txt", "labelmap.txt", "predefined_classes.txt", "obj.names")
# What macOS puts into archives.
_NOT_DATA = ("__macosx",)
_NOT_FOLDERS = frozenset((*IMAGE_EXTENSIONS, ".txt", ".xml", ".json", ".csv"))
# To recognise a data set, so many folders are listed and so many files in each looked into.
_MAX_LOOKS = 50, 3
_MAX_DEPTH = 3
# With images of the same name in more folders than this, none of them is meant.
_MAX_FAR = 20
# The name of an element that begins, at the start of a file.
_ELEMENT = re.compile(rb"<\s*([A-Za-z_][\w.:-]*)")
_COMMENT = re.compile(rb"<!--.*?(-->|$)", re.DOTALL)


class VocLayout(ABC):
    """Where the files of a data set are.

    Attributes:
        root: the folder of the data set.
        sets: the names of its sets.
        holds_others: whether there may be XML files of another form.
    """

    root: str
    sets: list[str]
    holds_others: ClassVar[bool] = False

    def find_set(self, name: str) -> str:
        """Return the name of a set as it is written, if there is one in another case only."""
        if name in self.sets:
            return name
        return next((each for each in self.sets if each.lower() == name.lower()), name)

    @abstractmethod
    def source(self, set_name: str) -> str:
        """Return the file or folder that says what belongs to a set."""

    @abstractmethod
    def annotation_files(self, set_name: str) -> dict[str, str]:
        """Return the annotation file of each image name in a set.

        Raises:
            OSError: if there is no such set, or its list cannot be read.
            ValueError: naming the list, if it is malformed.
        """

    @abstractmethod
    def image(self, name: str, suffix: str | None, recorded: str) -> str:
        """Return the path of an image; if there is none, the path where it was expected.

        Args:
            name: an image name of `annotation_files`.
            suffix: its extension if a file has that; None for no preference.
            recorded: its file name as the annotations record it.
        """

    @abstractmethod
    def left_out(self, images: Collection[str]) -> list[str]:
        """Return what is beside the images of a set but belongs to none, in words."""

    @abstractmethod
    def class_files(self) -> list[str]:
        """Return the files that likely name the classes, the most likely one first."""


class ListedSets(VocLayout):
    """Sets from lists of image names: `ImageSets/Main/SET.txt`, `Annotations/`, `JPEGImages/`."""

    def __init__(self, root: str, folder: str) -> None:
        """Look for the lists in a folder, `ImageSets/Main`."""
        self.root = root
        self._folder = folder
        annotations = _subfolder(root, "Annotations", _ANNOTATION_FOLDERS)
        images = _subfolder(root, "JPEGImages", _IMAGE_FOLDERS)
        # Where there is only one of these folders, or none, it holds both.
        self._annotations = _first_with((".xml",), root, (annotations, images, ""))
        self._images = ImageFinder(_first_with(IMAGE_EXTENSIONS, root, (images, annotations, "")))
        names = _lists(folder)
        self._parts = _sets_in_parts(names)
        parts_of = tuple(f"_{name}" for name in (*names, *self._parts))
        own = [name for name in names if not name.endswith(parts_of)]
        self.sets = sorted({*own, *self._parts}) or names

    def source(self, set_name: str) -> str:
        """Return the list of a set, the first if it has several."""
        return os.path.join(self._folder, f"{self._parts.get(set_name, [set_name])[0]}.txt")

    def annotation_files(self, set_name: str) -> dict[str, str]:
        """Return image name -> annotation file, in the order of the lists."""
        names: dict[str, str] = {}
        for part in self._parts.get(set_name, [set_name]):
            path = os.path.join(self._folder, f"{part}.txt")
            if self.sets and not os.path.exists(path):
                raise FileNotFoundError(f"{path}: no such set ({_described(self.sets)})")
            for name in read_image_set(path, self._annotations):
                names[name] = os.path.join(self._annotations, f"{name}.xml")
        return names

    def image(self, name: str, suffix: str | None, recorded: str) -> str:
        """Return the path of an image."""
        return self._images.find(name, suffix, recorded)

    def left_out(self, images: Collection[str]) -> list[str]:
        """Return nothing: the lists say what counts."""
        return []

    def class_files(self) -> list[str]:
        """Return the files of class names in the folder."""
        return _class_files([self.root])


class FolderSets(VocLayout):
    """All XML files in a folder; sets from subfolders such as `train`, or one set, "train".

    Subfolders of annotation files say which set they belong to, or else those of images.
    The image of `a.xml` has its name, or the one recorded in it. It is looked for beside the file,
    then in a folder for images that corresponds to that of the file, such as `train/images` for
    `train/annotations` or `images/train` for `annotations/train`, then everywhere.
    """

    holds_others: ClassVar[bool] = True

    def __init__(self, root: str) -> None:
        """List a folder and its subfolders.

        Raises:
            OSError: if the folder cannot be listed.
        """
        self.root = root
        files = dict(_walk(root))
        images = {folder: list(filter(_is_image, names)) for folder, names in files.items()}
        self._images = {folder: names for folder, names in images.items() if names}
        annotations = {
            os.path.join(folder, os.path.splitext(name)[0]): os.path.join(folder, name)
            for folder, names in files.items()
            for name in names
            if name.lower().endswith(".xml")
        }
        if annotations and not self._images:
            self._images = _images_beside(root)
        self._finder = ImageFinder(root)
        self._places: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for folder in self._images:
            self._places[_place(folder)].append(folder)
        self._everywhere: dict[str, list[str]] = {}
        self._files = self._split(annotations)
        without_set = self._files.pop("", {})
        self._outside = sorted(without_set.values()) if self._files else []
        if without_set and not self._files:
            self._files["train"] = without_set
        self.sets = sorted(self._files)

    def _split(self, annotations: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return set name, empty for none, -> image name -> annotation file.

        If no annotation file is in the folder of a set, perhaps the images are.
        """
        set_of = {name: _set_of(os.path.dirname(name)) for name in annotations}
        if not any(set_of.values()) and any(map(_set_of, self._images)):
            for name in annotations:
                image = self._find(name, None, "") or self.root
                set_of[name] = _set_of(os.path.relpath(os.path.dirname(image), self.root))
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for name, path in sorted(annotations.items()):
            found[set_of[name]][name] = path
        return dict(found)

    def source(self, set_name: str) -> str:
        """Return the folder."""
        return self.root

    def annotation_files(self, set_name: str) -> dict[str, str]:
        """Return image name, with folders, -> annotation file, sorted."""
        if not self._files:
            raise FileNotFoundError(
                f"{os.path.join(self.root, 'ImageSets', 'Main', set_name)}.txt: no such file, and "
                f"no annotation files *.xml in the folder (it has: {self._contents()})"
            )
        if set_name not in self._files:
            raise FileNotFoundError(
                f"{self.root}: no set {shorten(repr(set_name), 60)} ({_described(self.sets)})"
            )
        files = self._files[set_name]
        return {name: os.path.join(self.root, path) for name, path in files.items()}

    def image(self, name: str, suffix: str | None, recorded: str) -> str:
        """Return the path of an image, nearest to its annotation file."""
        if found := self._find(name, suffix, recorded):
            return found
        folder, stem = os.path.split(name)
        places = self._places.get(_place(folder), [folder])
        return self._finder.find(os.path.join(places[0], stem), suffix, recorded)

    def _find(self, name: str, suffix: str | None, recorded: str) -> str | None:
        """Return the path of an image, None if there is none, or several far from the file."""
        folder, stem = os.path.split(name)
        # Beside the annotation file first.
        for place in sorted(self._places.get(_place(folder), []), key=lambda each: each != folder):
            if found := self._finder.look(os.path.join(place, stem), suffix, recorded):
                return found
        file_name = os.path.basename(recorded.replace("\\", "/"))
        for wanted in (stem, file_name):
            found_far = self._elsewhere(wanted, suffix, recorded, _set_of(folder))
            exact = [path for path in found_far if os.path.basename(path) == file_name]
            if len(exact or found_far) == 1:
                return (exact or found_far)[0]
        return None

    def _elsewhere(
        self, wanted: str, suffix: str | None, recorded: str, set_name: str
    ) -> list[str]:
        """Return the images of a name, with or without an extension, in any folder, one in each.

        The folders of other sets are left out: they may have other images of the same names.
        """
        if not self._everywhere:
            self._everywhere = defaultdict(list)
            for folder, names in self._images.items():
                for stem in dict.fromkeys(folded(os.path.splitext(name)[0]) for name in names):
                    self._everywhere[stem].append(folder)
        keys = dict.fromkeys((folded(wanted), folded(os.path.splitext(wanted)[0])))
        for folders in (self._everywhere.get(key, []) for key in keys if key):
            if len(folders) > _MAX_FAR:
                continue
            found = [
                self._finder.look(os.path.join(place, wanted), suffix, recorded)
                for place in folders
                if not set_name or _set_of(place) in ("", set_name)
            ]
            if any(found):
                return [path for path in found if path]
        return []

    def left_out(self, images: Collection[str]) -> list[str]:
        """Return what is said of annotation files outside the sets, and of other images."""
        remarks = []
        if self._outside:
            remarks.append(
                f"{len(self._outside)} annotation files are in no set ({_described(self.sets)}), "
                f"the first: {shorten(self._outside[0], 100)}"
            )
        if unlabelled := self._unlabelled(set(images)):
            remarks.append(
                f"{len(unlabelled)} images have no annotation file and are left out, the first: "
                f"{shorten(unlabelled[0], 100)}"
            )
        return remarks

    def _unlabelled(self, used: Collection[str]) -> list[str]:
        """Return the images in the folders of some others that no annotation file belongs to."""
        stems = {folded(os.path.basename(name)) for names in self._files.values() for name in names}
        folders = {os.path.dirname(path) for path in used}
        return [
            path
            for folder, names in self._images.items()
            if os.path.dirname(os.path.join(self.root, folder, "a")) in folders
            for name in names
            if (path := os.path.join(self.root, folder, name)) not in used
            and stems.isdisjoint((folded(name), folded(os.path.splitext(name)[0])))
        ]

    def _contents(self) -> str:
        return shorten(", ".join(sorted(_names(self.root))) or "nothing", 80)

    def class_files(self) -> list[str]:
        """Return the files of class names in the folder and beside the annotation files."""
        folders = dict.fromkeys(
            os.path.join(self.root, os.path.dirname(next(iter(files))))
            for files in self._files.values()
        )
        return _class_files([self.root, *folders])


def find_layout(path: StrPath) -> VocLayout:
    """Return the layout of a data set in a folder.

    Raises:
        OSError: if the folder cannot be listed.
        ValueError: if several data sets are in it.
    """
    root = os.fspath(path)
    folders = [""]
    # VOC's archive has its data set two folders below, in `VOCdevkit/VOC2012/`.
    for _ in range(3):
        found = [(folder, lists) for folder in folders if (lists := _list_folder(root, folder))]
        if len(found) > 1:
            names = ", ".join(folder for folder, _ in found)
            raise ValueError(f"{root}: holds several data sets, name one: {shorten(names, 120)}")
        if found:
            folder, lists = found[0]
            return ListedSets(os.path.join(root, folder) if folder else root, lists)
        if any(_has_xml(os.path.join(root, folder)) for folder in folders):
            break
        folders = [
            os.path.join(folder, name)
            for folder in folders[: _MAX_LOOKS[0]]
            for name in _subfolders(os.path.join(root, folder))
        ]
    return FolderSets(root)


def recognises(path: StrPath) -> bool:
    """Return whether a folder likely holds a data set in this form; a few files are looked into."""
    waiting = [(os.fspath(path), 0)]
    for _ in range(_MAX_LOOKS[0]):
        if not waiting:
            break
        folder, depth = waiting.pop(0)
        files = [name for name in _names(folder) if name.lower().endswith(".xml")]
        looks = sorted(files)[: _MAX_LOOKS[1]]
        if any(_is_annotation(os.path.join(folder, name)) for name in looks):
            return True
        if _main_folder(folder):
            return True
        if depth < _MAX_DEPTH:
            waiting += [(os.path.join(folder, name), depth + 1) for name in _subfolders(folder)]
    return False


def read_image_set(path: StrPath, folder: StrPath | None = None) -> list[str]:
    """Return the image names in a file of an image set: one in each line.

    A last word that is 1, 0 or -1 is left out, as in VOC's sets of one class, and so are the
    extension of an image and `.xml`, and the quotes that CVAT puts around names with blanks; except
    where they are part of a name that is annotated.

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
    if len(without_flag) > 2 and without_flag[0] == without_flag[-1] == '"':
        without_flag = without_flag[1:-1]
        names.append(without_flag)
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


def read_class_names(path: StrPath) -> list[str]:
    """Return the class names in a file: one in each line.

    In CVAT's `labelmap.txt` a line is `name:colour:parts:actions`, comments begin with `#`, and
    `background` is no class.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it has no name, or one of them twice, or is not UTF-8.
    """
    lines = [line.strip() for line in read_text(path, MAX_LABEL_BYTES).splitlines()]
    if os.path.basename(path).lower() == "labelmap.txt":
        lines = [line.split(":")[0].strip() for line in lines if not line.startswith("#")]
        lines = [name for name in lines if name != "background"]
    names = [name for name in lines if name]
    with naming_file(path, "invalid file of class names"):
        if not names:
            raise ValueError("expected a class name in each line, got none")
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise ValueError(
                    f"duplicate class name: '{shorten(name, 60)}' (--classes names another file)"
                )
            seen.add(name)
    return names


def _described(sets: Sequence[str]) -> str:
    return f"sets: {shorten(', '.join(sets), 100)}"


def _list_folder(root: str, folder: str) -> str | None:
    """Return the folder of the lists of a data set in a subfolder; None if there is none."""
    above = os.path.join(root, folder)
    sets = os.path.join(above, _subfolder(above, "ImageSets", ("imagesets",)))
    return _main_folder(above) or (sets if _lists(sets) else None)


def _main_folder(root: str) -> str | None:
    """Return the folder `ImageSets/Main` if there is one."""
    sets = os.path.join(root, _subfolder(root, "ImageSets", ("imagesets",)))
    main = os.path.join(sets, _subfolder(sets, "Main", ("main",)))
    return main if os.path.isdir(main) else None


def _lists(folder: str) -> list[str]:
    """Return the names of the sets that are listed in a folder, sorted."""
    names = sorted(_names(folder))
    return [name.removesuffix(".txt") for name in names if name.endswith(".txt")]


def _sets_in_parts(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the sets that have a list for each class only, such as `cat_train`, from VoTT."""
    parts = {set_name: [n for n in names if n.endswith(f"_{set_name}")] for set_name in _SETS}
    # A set that has a list of its own in any case, such as CVAT's `Train`.
    own = {name.lower() for name in names}
    return {name: lists for name, lists in parts.items() if lists and name not in own}


def _subfolder(root: str, usual: str, others: Iterable[str]) -> str:
    """Return the name of a subfolder: the usual one, or the first that is there in any case."""
    if os.path.isdir(os.path.join(root, usual)):
        return usual
    by_name = {name.lower(): name for name in _names(root)}
    for other in others:
        if other in by_name and os.path.isdir(os.path.join(root, by_name[other])):
            return by_name[other]
    return usual


def _first_with(suffixes: tuple[str, ...], root: str, names: Sequence[str]) -> str:
    """Return the first subfolder if there is one, or another that has files with some suffixes."""
    first, *others = (os.path.join(root, name) if name else root for name in names)
    if not os.path.isdir(first):
        for folder in others:
            if any(name.lower().endswith(suffixes) for name in _names(folder)):
                return folder
    return first


def _names(folder: str) -> list[str]:
    """Return the names in a folder that are not hidden; none if it cannot be listed."""
    with contextlib.suppress(OSError, ValueError):  # a zero byte in the name
        return [name for name in os.listdir(folder) if _is_data(name)]
    return []


def _has_xml(folder: str) -> bool:
    return any(name.lower().endswith(".xml") for name in _names(folder))


def _subfolders(folder: str) -> list[str]:
    """Return the names of the subfolders of a folder that likely are some, sorted."""
    # Asking the disk for each of 100,000 images would take long.
    names = [n for n in _names(folder) if os.path.splitext(n)[1].lower() not in _NOT_FOLDERS]
    return [name for name in sorted(names) if os.path.isdir(os.path.join(folder, name))]


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _NOT_DATA


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def _walk(root: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and its subfolders, relative to it, with the names of their files.

    Links are followed, but no folder is listed twice.

    Raises:
        OSError: if `root` cannot be listed; subfolders that cannot are left out.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        path = os.path.join(root, folder) if folder else root
        files: list[str] = []
        below: list[str] = []
        with contextlib.nullcontext() if not folder else contextlib.suppress(OSError):
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                for entry in filter(lambda entry: _is_data(entry.name), entries):
                    (below if _is_folder(entry) else files).append(entry.name)
        yield folder, sorted(files)
        waiting += [os.path.join(folder, name) for name in sorted(below, reverse=True)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _set_of(folder: str) -> str:
    """Return the first part of a path that is the name of a set; empty if there is none."""
    return next((part for part in folder.split(os.sep) if part.lower() in _SETS), "")


def _place(folder: str) -> tuple[str, ...]:
    """Return the parts of a path but for those that say only what kind of files are there."""
    parts = folder.lower().split(os.sep)
    return tuple(part for part in parts if part not in _KIND_FOLDERS)


def _images_beside(root: str) -> dict[str, list[str]]:
    """Return the images in the folders for images beside a folder, by their folder."""
    above = os.path.dirname(os.path.abspath(root))
    found: dict[str, list[str]] = {}
    for name in sorted(_names(above)):
        if name.lower() in _IMAGE_FOLDERS and os.path.isdir(os.path.join(above, name)):
            for folder, names in _walk(os.path.join(above, name)):
                images = list(filter(_is_image, names))
                if images:
                    found[os.path.join(os.pardir, name, folder).rstrip(os.sep)] = images
    return found


def _class_files(folders: Iterable[str]) -> list[str]:
    found = []
    for folder in dict.fromkeys(folders):
        names = {name.lower(): name for name in _names(folder)}
        found += [os.path.join(folder, names[name]) for name in _CLASS_FILES if name in names]
    return found


def _is_annotation(path: str) -> bool:
    """Return whether a file begins as an annotation file does."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return False
    # UTF-16 has zero bytes between the letters.
    found = _ELEMENT.search(_COMMENT.sub(b"", head.replace(b"\0", b"")))
    return found is not None and found[1] == b"annotation"
