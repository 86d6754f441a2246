"""Which images `retinanet-detect` reads, and where their annotated copies go."""

from __future__ import annotations

import glob
import os

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_WRITABLE = (*EXTENSIONS[:7], ".ppm")  # .pgm has no colours


def find_images(sources: list[str]) -> list[str]:
    """List the image files that the sources name, each once.

    Args:
        sources: Files, taken as they are; folders, whose images are taken by extension, sorted,
            without their subfolders; patterns of `glob`, in which ** stands for any folders.

    Raises:
        ValueError: When a source names no image; nothing is left out silently.
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


def choose_targets(paths: list[str], directory: str) -> dict[str, str]:
    """Choose where the annotated copy of each image goes.

    A copy has its image's name; when two images from different folders have one name, the later one
    gets a number. Formats that OpenCV does not write become PNG.

    Args:
        paths: Image files.
        directory: Folder of the copies.

    Returns:
        Path of the image -> path of its copy.

    Raises:
        ValueError: When a copy would replace one of the images.
    """
    originals = {os.path.realpath(path) for path in paths}
    targets: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        stem, extension = os.path.splitext(os.path.basename(path))
        extension = extension if extension.lower() in _WRITABLE else f"{extension}.png"
        name, number = stem + extension, 1
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}{extension}"
        taken.add(name.lower())
        targets[path] = os.path.join(directory, name)
        if os.path.realpath(targets[path]) in originals:
            raise ValueError(f"--output {directory}: the copy of {path} would replace an image")
    return targets
