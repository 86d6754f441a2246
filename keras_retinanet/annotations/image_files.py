"""Find the image files of a data set whose annotations name them without an extension."""

import os
from collections import defaultdict

from keras_retinanet.system.image_kinds import IMAGE_EXTENSIONS


class ImageFinder:
    """The image files in a folder, by name; each folder is listed once."""

    def __init__(self, folder: str) -> None:
        """Look in a folder; names may have subfolders."""
        self.folder = folder
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str, suffix: str | None = None, recorded: str = "") -> str:
        """Return the path of an image; if there is none, the path where it was expected.

        Args:
            name: its name without an extension, perhaps with subfolders.
            suffix: its extension if a file has that; otherwise the usual ones are tried, in any
                case. None tries them at once.
            recorded: its file name as the annotations record it: tells which is meant if the name
                has several extensions, and is used if it has none.
        """
        folder, stem = os.path.split(os.path.join(self.folder, name))
        listed = self._list(folder)
        recorded = os.path.basename(recorded.replace("\\", "/"))
        expected = stem + (IMAGE_EXTENSIONS[0] if suffix is None else suffix)
        named = listed.get(stem, [])
        wanted = [] if suffix is None else [expected]
        if any(os.path.isfile(os.path.join(folder, file)) for file in wanted):
            chosen = expected
        elif named:
            chosen = recorded if recorded in named else named[0]
        elif recorded in listed.get(os.path.splitext(recorded)[0], []):
            chosen = recorded
        else:
            chosen = expected
        return os.path.join(folder, chosen)

    def _list(self, folder: str) -> dict[str, list[str]]:
        """Return stem -> names of the images in a folder, the most usual extension first."""
        if folder not in self._listed:
            self._listed[folder] = defaultdict(list)
            for name in _names(folder):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in IMAGE_EXTENSIONS:
                    self._listed[folder][stem].append(name)
            for names in self._listed[folder].values():
                names.sort(key=_preference)
        return self._listed[folder]


def _preference(name: str) -> tuple[int, str]:
    return IMAGE_EXTENSIONS.index(os.path.splitext(name)[1].lower()), name


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # a zero byte in the name
        return []
