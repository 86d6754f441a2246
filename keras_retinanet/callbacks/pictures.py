"""Pictures of some validation images, for each epoch the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.detection_sheet import draw_pair

_MAX_SIDE = 512  # pixels of the longer side of each of two pictures side by side


def choose_images(generator: Generator, count: int = 4) -> list[int]:
    """Return the indices of images, evenly spread over those of a data set that have boxes.

    Args:
        generator: the data set.
        count: how many, or all if there are fewer. Images without boxes count only if no other has
            any.
    """
    size = generator.size()
    boxed = [i for i in range(size) if len(generator.load_annotations(i)["labels"])]
    indices = np.array(boxed or range(size), int)
    return indices[np.unique(np.linspace(0, len(indices) - 1, count).astype(int))].tolist()


def draw_images(
    generator: Generator, indices: Sequence[int], detections: Sequence[Detections]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield index and picture of images: left the ground truth, right detections above 0.5.

    An image that cannot be read is left out; the evaluation has already named it.

    Args:
        generator: the data set.
        indices: the images to draw.
        detections: the detections of each image of the data set.

    Returns:
        Pictures of BGR uint8, at most some 1,040 x 530 pixels in size.
    """
    for index in indices:
        try:
            image = generator.load_image(index)
        except (OSError, ValueError):
            continue
        pair = draw_pair(generator, index, image, detections[index], max_side=_MAX_SIDE)
        yield index, drawing.contact_sheet(pair, columns=2)
