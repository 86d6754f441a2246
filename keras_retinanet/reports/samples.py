"""One image of a data set as training sees it, and the picture that shows its boxes and anchors."""

import os
from dataclasses import dataclass

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.geometry.boxes import are_valid
from keras_retinanet.geometry.targets import positive_anchors

ANCHORED, NOT_ANCHORED, ANCHOR = (0, 255, 0), (0, 0, 255), (255, 255, 0)


@dataclass(frozen=True)
class Sample:
    """An image and its boxes at the size that the network gets.

    Attributes:
        image: BGR uint8 `(h, w, 3)`.
        bboxes: array `(n, 4)` in pixels of `image`; all that the data set has.
        labels: int array `(n,)`.
        valid: bool array `(n,)`: False for boxes without area or partly outside the image, which
            training drops.
        scale: the factor by which the image was resized.
        anchors: array `(p, 4)`: the anchors that match a valid box.
        anchored: bool array `(n,)`: whether some anchor learns the box.
    """

    image: np.ndarray
    bboxes: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    scale: float
    anchors: np.ndarray
    anchored: np.ndarray


def load_sample(generator, image_index, epoch=None) -> Sample:
    """Return an image of a data set and its boxes.

    Args:
        generator: a `Generator`.
        image_index: the image.
        epoch: the epoch whose random changes are made; None for none.

    Raises:
        OSError: if the image cannot be opened.
        ValueError: if it cannot be read.
    """
    image, annotations = generator.load_image(image_index), generator.load_annotations(image_index)
    boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
    annotations = {
        "bboxes": boxes,
        "labels": np.asarray(annotations["labels"], int),
        "valid": are_valid(boxes, *image.shape[:2]),
    }
    if epoch is not None:
        (image,), (annotations,) = generator.augment_group(
            [image], [annotations], [image_index], epoch
        )
    image, scale = generator.resize_image(image)
    boxes, valid = annotations["bboxes"] * scale, annotations["valid"]
    anchors = generator.generate_anchors(image.shape)
    positive, assigned = positive_anchors(anchors, boxes[valid])
    anchored = np.zeros(len(boxes), bool)
    anchored[np.flatnonzero(valid)[assigned]] = True
    return Sample(image, boxes, annotations["labels"], valid, scale, anchors[positive], anchored)


def draw_sample(generator, sample, *, anchors=False, annotations=False, name=None) -> np.ndarray:
    """Return a picture of a sample.

    Args:
        generator: the data set, for the names of its classes.
        sample: what to draw.
        anchors: whether to draw the anchors that match a box, in cyan.
        annotations: whether to draw the boxes: green those that an anchor learns, red those that
            none does, so that training does not see them.
        name: what to write into the lower left corner; None for nothing.

    Returns:
        New BGR uint8 array, as large as the sample's image.
    """
    picture = sample.image.copy()
    if anchors:
        drawing.draw_boxes(picture, sample.anchors, ANCHOR, thickness=1)
    if annotations:
        for chosen, colour in ((~sample.anchored, NOT_ANCHORED), (sample.anchored, ANCHORED)):
            found = {"bboxes": sample.bboxes[chosen], "labels": sample.labels[chosen]}
            drawing.draw_annotations(picture, found, colour, generator.label_to_name)
    if name is not None:
        height = len(picture)
        drawing.draw_caption(picture, [0, height, 0, height], os.path.basename(name))
    return picture
