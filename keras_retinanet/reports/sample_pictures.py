"""The images of a data set as training sees them, in files or in a window."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports import window
from keras_retinanet.reports.pictures import picture_paths
from keras_retinanet.reports.samples import draw_sample, load_sample


@dataclass(frozen=True)
class View:
    """What to show of each image.

    Attributes:
        anchors: whether to draw the anchors that match a box.
        annotations: whether to draw the boxes.
        names: whether to write the name of the image into its corner.
        random_transform: whether to change images at random, as the data set does in training.
    """

    anchors: bool = False
    annotations: bool = False
    names: bool = False
    random_transform: bool = False


def draw_image(generator: Generator, index: int, view: View, epoch: int = 0) -> np.ndarray:
    """Return the picture of an image, BGR uint8 `(h, w, 3)`.

    Args:
        generator: the data set.
        index: the image.
        view: what to show.
        epoch: the epoch whose random changes are shown.

    Raises:
        OSError: if the image cannot be opened.
        ValueError: if it cannot be read.
    """
    return draw_sample(
        generator,
        load_sample(generator, index, epoch if view.random_transform else None),
        anchors=view.anchors,
        annotations=view.annotations,
        name=generator.image_path(index) if view.names else None,
    )


def write_images(
    generator: Generator,
    directory: str,
    view: View,
    flatten: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Write the picture of each image to a file, `_debug` before the extension.

    Args:
        generator: the data set.
        directory: folder of the pictures.
        view: what to show.
        flatten: whether all pictures are written to `directory` itself; otherwise the folders of
            the images are kept below it.
        progress: called with the number of images just done.

    Returns:
        The errors of the images that cannot be read; the others are written.

    Raises:
        ValueError: if a picture would replace one of the images.
        OSError: if a picture cannot be written.
    """
    paths = [generator.image_path(index) for index in range(generator.size())]
    errors = []
    targets = picture_paths(paths, directory, label="_debug", flatten=flatten)
    for index, target in enumerate(targets):
        try:
            picture = draw_image(generator, index, view)
        except (OSError, ValueError) as error:
            errors.append(str(error))
        else:
            drawing.write_picture(target, picture)
        if progress is not None:
            progress(1)
    return errors


def browse_images(
    generator: Generator, view: View, back: Collection[int], forward: Collection[int]
) -> None:
    """Show the images in a window, one at a time; see `window.browse` for the keys.

    Random changes differ each time an image is shown. An image that cannot be read is named in a
    warning and on a grey picture.

    Args:
        generator: the data set.
        view: what to show.
        back: codes of the keys for the previous image.
        forward: codes of the keys for the next image.

    Raises:
        ValueError: if this OpenCV was built without windows.
    """
    shown: Counter[int] = Counter()

    def render(index: int) -> np.ndarray:
        shown[index] += 1
        try:
            return draw_image(generator, index, view, epoch=shown[index] - 1)
        except (OSError, ValueError) as error:
            warnings.warn(f"an image that cannot be read: {error}", stacklevel=2)
            return window.unreadable_picture(generator.image_path(index))

    window.browse(render, generator.size(), back, forward)
