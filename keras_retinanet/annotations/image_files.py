"""Find the image files of a data set whose annotations name them without an extension."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from keras_retinanet.system.image_kinds import IMAGE_EXTENSIONS


class ImageFinder:
    """The image files in a folder, by name; each folder is listed once."""

    def __init__(self, folder: str) -> None:
        """Look in a folder; names may have subfolders."""
        self.folder = folder
        self._listed: dict[str, dict[str, list[str]]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str, suffix: str | None = None, recorded: str = "") -> str:
        """Return the path of an image; if there is none, the path where it was expected.

        Args:
            name: its name without an extension, perhaps with subfolders.
            suffix: its extension if a file has that; otherwise the usual ones are tried, in any
                case. None tries them at once.
            recorded: its file name as the annotations record it: tells which is meant if the name
                has several extensions, and is used if it has none.
        """
        expected = name + (IMAGE_EXTENSIONS[0] if suffix is None else suffix)
        return self.look(name, suffix, recorded) or os.path.join(self.folder, expected)

    def look(self, name: str, suffix: str | None = None, recorded: str = "") -> str | None:
        """Return the path of an image, None if there is none; arguments of `find`.

        Names that differ in case, or in how accents are written, are the same if no file has the
        exact one. Either name may have an extension, also another than the file.
        """
        folder, stem = os.path.split(os.path.join(self.folder, name))
        if suffix is not None:
            exact = os.path.join(folder, stem + suffix)
            if os.path.isfile(exact):
                return exact
        recorded = os.path.basename(recorded.replace("\\", "/"))
        for wanted in (stem, recorded):
            if files := self._files(folder, wanted):
                chosen = next((file for file in (recorded, wanted) if file in files), files[0])
                return os.path.join(folder, chosen)
        return None

    def _files(self, folder: str, name: str) -> list[str]:
        """Return the images of a name in a folder, the most usual extension first."""
        listed = self._list(folder)
        stem, suffix = os.path.splitext(name)
        stems = (name, stem) if suffix.lower() in IMAGE_EXTENSIONS else (name,)
        for each in stems:
            if each in listed:
                return listed[each]
        if not name or not listed:
            return []
        if folder not in self._folded:
            self._folded[folder] = _by_folded_name(listed)
        for each in stems:
            if files := self._folded[folder].get(folded(each)):
                return files
        return []

    def _list(self, folder: str) -> dict[str, list[str]]:
        """Return stem -> names of the images in a folder, the most usual extension first."""
        if folder not in self._listed:
            listed = defaultdict(list)
            for name in _names(folder):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in IMAGE_EXTENSIONS:
                    listed[stem].append(name)
            for names in listed.values():
                names.sort(key=_preference)
            self._listed[folder] = dict(listed)
        return self._listed[folder]


def folded(name: str) -> str:
    """Return a name without its case and the two ways to write accents."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _by_folded_name(listed: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return folded stem -> names of images, the most usual extension first."""
    found: dict[str, list[str]] = defaultdict(list)
    for stem, names in listed.items():
        found[folded(stem)] += names
    for names in found.values():
        names.sort(key=_preference)
    return dict(found)


def _preference(name: str) -> tuple[int, str]:
    return IMAGE_EXTENSIONS.index(os.path.splitext(name)[1].lower()), name


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # a zero byte in the name
        return []
