"""Image files from what a person names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def find_images(sources: Sequence[str]) -> list[str]:
    """Return the image files that the sources name, each once.

    Args:
        sources: files, used as they are; folders, whose images are chosen by extension and sorted,
            without subfolders; patterns of `glob`, in which ** matches any number of folders.

    Raises:
        ValueError: if a source names no image.
    """
    paths: dict[str, str] = {}
    for source in sources:
        named = _expand(source)
        if not named:
            raise ValueError(f"no image found: {source} ({_why_empty(source)})")
        for path in named:
            paths.setdefault(os.path.realpath(path), path)
    return list(paths.values())


def _expand(source: str) -> list[str]:
    if os.path.isdir(source):
        return [
            os.path.join(source, name)
            for name in sorted(os.listdir(source))
            if name.lower().endswith(EXTENSIONS) and os.path.isfile(os.path.join(source, name))
        ]
    if os.path.isfile(source):
        return [source]
    return sorted(path for path in glob.glob(source, recursive=True) if os.path.isfile(path))


def _why_empty(source: str) -> str:
    if os.path.isdir(source):
        return f"a folder without files ending in {', '.join(EXTENSIONS)}"
    return "no file matches" if glob.has_magic(source) else "no such file or folder"
