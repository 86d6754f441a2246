"""What a data set says of its images, boxes and classes."""

from typing import Protocol

import numpy as np

from keras_retinanet.system.types import Annotations


class DetectionDataset(Protocol):
    """The images, boxes and classes of a data set; every `Generator` has these methods."""

    def size(self) -> int:
        """Return the number of images."""

    def num_classes(self) -> int:
        """Return the number of classes: the maximum label + 1."""

    def has_label(self, label: int) -> bool:
        """Return whether a label is in use."""

    def has_name(self, name: str) -> bool:
        """Return whether a class name is known."""

    def name_to_label(self, name: str) -> int:
        """Return the label of a class name."""

    def label_to_name(self, label: int) -> str:
        """Return the class name of a label."""

    def image_aspect_ratio(self, image_index: int) -> float:
        """Return the width of an image divided by its height."""

    def image_path(self, image_index: int) -> str:
        """Return the file of an image, or a name for it in messages."""

    def load_image(self, image_index: int) -> np.ndarray:
        """Return an image as BGR uint8 `(h, w, 3)`."""

    def load_annotations(self, image_index: int) -> Annotations:
        """Return `{"labels": (n,), "bboxes": (n, 4)}` of an image."""
