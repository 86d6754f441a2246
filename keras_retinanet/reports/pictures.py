"""Where pictures of image files are written."""

from __future__ import annotations

import os
from collections.abc import Sequence

# Formats in which OpenCV stores the 8-bit colours of any picture, without a palette.
_WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm")


def picture_paths(
    paths: Sequence[str],
    directory: str,
    *,
    label: str = "",
    flatten: bool = True,
    names: Sequence[str] | None = None,
    keep_names: Sequence[bool] | None = None,
) -> list[str]:
    """Return the file to which the picture of each image is written.

    A picture has the name of its image, with `label` before the extension. Pictures that would
    share a name are numbered, whether or not the file system distinguishes cases. An image in a
    format that cannot store colours, or that OpenCV may not write, gets a PNG.

    Args:
        paths: the image files.
        directory: folder of the pictures.
        label: what to add to the names, such as "_debug".
        flatten: whether all pictures are written to `directory` itself. Otherwise the folders of
            the images are kept below it, without a drive and without `..`.
        names: paths of the pictures below `directory`, without `label` and number; None for names
            by `flatten`.
        keep_names: for each image, whether its picture keeps the ending of its name whatever it is;
            None for none.

    Raises:
        ValueError: if a picture would replace one of the images.
    """
    originals = {os.path.realpath(path) for path in paths}
    targets: list[str] = []
    taken: set[str] = set()
    last_numbers: dict[str, int] = {}  # of the pictures that would share a name
    if names is None:
        names = [os.path.basename(path) if flatten else _relative(path) for path in paths]
    kept = keep_names or [False] * len(paths)
    for path, name, keep_name in zip(paths, names, kept, strict=True):
        stem, extension = os.path.splitext(name)
        if extension.lower() not in _WRITABLE and not keep_name:
            extension += ".png"
        target = os.path.join(directory, f"{stem}{label}{extension}")
        shared = target.lower()
        number = last_numbers.get(shared, 1)
        while target.lower() in taken:
            number += 1
            target = os.path.join(directory, f"{stem}{label}-{number}{extension}")
        if os.path.realpath(target) in originals:
            raise ValueError(
                f"the picture of {path} would replace an image, {target}: write to another folder"
            )
        taken.add(target.lower())
        last_numbers[shared] = number
        targets.append(target)
    return targets


def _relative(path: str) -> str:
    """Return a path that stays below any folder it is joined to."""
    _, path = os.path.splitdrive(os.path.normpath(path))
    return os.path.join(*(part for part in path.split(os.sep) if part not in ("", "..")))
