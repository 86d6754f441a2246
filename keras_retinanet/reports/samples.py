"""One image of a data set as training sees it, and a picture with its boxes and anchors."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.geometry.boxes import clip_to_image
from keras_retinanet.geometry.targets import positive_anchors
from keras_retinanet.preprocessing.generator import Generator

# Blue, green, red.
ANCHORED, NOT_ANCHORED, ANCHOR = (0, 255, 0), (0, 0, 255), (255, 255, 0)


@dataclass(frozen=True)
class Sample:
    """An image and its boxes, resized for the network.

    Attributes:
        image: BGR uint8 `(h, w, 3)`.
        size: width and height before resizing.
        bboxes: array `(n, 4)` in pixels of `image`; all boxes of the data set. Those that leave the
            image a little are clipped to it, as in training.
        labels: int array `(n,)`.
        valid: bool array `(n,)`: False for boxes without area or further outside the image, which
            training drops.
        clipped: bool array `(n,)`: True for boxes that were clipped.
        scale: the factor by which the image was resized; the mean of two that differ by rounding.
        anchors: array `(p, 4)`: the anchors that are matched to a valid box.
        anchored: bool array `(n,)`: whether an anchor is matched to the box.
    """

    image: np.ndarray
    size: tuple[int, int]
    bboxes: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    clipped: np.ndarray
    scale: float
    anchors: np.ndarray
    anchored: np.ndarray


def load_sample(generator: Generator, image_index: int, epoch: int | None = None) -> Sample:
    """Return an image of a data set and its boxes.

    Args:
        generator: the data set.
        image_index: the image.
        epoch: the epoch whose random changes are made; None for no changes.

    Raises:
        OSError: if the image cannot be opened.
        ValueError: if it cannot be read.
    """
    image, annotations = generator.load_image(image_index), generator.load_annotations(image_index)
    boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
    boxes, valid, clipped = clip_to_image(boxes, *image.shape[:2])
    annotations = {
        "bboxes": boxes,
        "labels": np.asarray(annotations["labels"], int),
        # Those of other images, which have no such flags, get False.
        "dropped": ~valid,
        "clipped": clipped,
    }
    if epoch is not None:
        (image,), (annotations,) = generator.augment_group(
            [image], [annotations], [image_index], epoch
        )
    height, width = image.shape[:2]
    image, scale = generator.resize_image(image)
    boxes, valid = annotations["bboxes"] * scale, ~annotations["dropped"]
    padded = generator.padded_shape([image])
    anchors, index = generator.generate_anchors(padded), generator.anchor_index(padded)
    positive, assigned = positive_anchors(
        anchors,
        boxes[valid],
        index=index,
        match_every_box_in=image.shape if generator.match_every_box else None,
    )
    anchored = np.zeros(len(boxes), bool)
    anchored[np.flatnonzero(valid)[assigned]] = True
    return Sample(
        image,
        (width, height),
        boxes,
        annotations["labels"],
        valid,
        annotations["clipped"],
        float(np.mean(scale)),
        anchors[positive],
        anchored,
    )


def draw_sample(
    generator: Generator,
    sample: Sample,
    *,
    anchors: bool = False,
    annotations: bool = False,
    name: str | None = None,
) -> np.ndarray:
    """Return a picture of a sample.

    Args:
        generator: the data set, for the names of its classes.
        sample: the sample.
        anchors: whether to draw the anchors that are matched to a box, in cyan.
        annotations: whether to draw the boxes: green if an anchor is matched to the box, else red:
            training has its best anchor at most.
        name: path whose last part is written into the lower left corner; None for no text.

    Returns:
        New BGR uint8 array, as large as the sample's image.
    """
    picture = sample.image.copy()
    if anchors:
        drawing.draw_boxes(picture, sample.anchors, ANCHOR, thickness=1)
    if annotations:
        for chosen, colour in ((~sample.anchored, NOT_ANCHORED), (sample.anchored, ANCHORED)):
            boxes = {"bboxes": sample.bboxes[chosen], "labels": sample.labels[chosen]}
            drawing.draw_annotations(picture, boxes, colour, generator.label_to_name)
    if name is not None:
        height = len(picture)
        drawing.draw_caption(picture, [0, height, 0, height], os.path.basename(name))
    return picture
