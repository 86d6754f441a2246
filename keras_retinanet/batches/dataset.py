"""What every data set says of itself: its images, boxes and classes."""

import keras
import numpy as np


class ImageSet(keras.utils.PyDataset):
    """The methods that a data set overrides; `Generator` makes batches of what they return."""

    def size(self) -> int:
        """Return the number of images."""
        raise NotImplementedError("size method not implemented")

    def num_classes(self) -> int:
        """Return the number of classes: the greatest label + 1."""
        raise NotImplementedError("num_classes method not implemented")

    def has_label(self, label) -> bool:
        """Return whether a label is in use."""
        raise NotImplementedError("has_label method not implemented")

    def has_name(self, name) -> bool:
        """Return whether a class name is known."""
        raise NotImplementedError("has_name method not implemented")

    def name_to_label(self, name) -> int:
        """Return the label of a class name."""
        raise NotImplementedError("name_to_label method not implemented")

    def label_to_name(self, label) -> str:
        """Return the class name of a label."""
        raise NotImplementedError("label_to_name method not implemented")

    def image_aspect_ratio(self, image_index) -> float:
        """Return the width of an image over its height."""
        raise NotImplementedError("image_aspect_ratio method not implemented")

    def image_path(self, image_index) -> str:
        """Return the file of an image, or what stands for it in messages."""
        raise NotImplementedError("image_path method not implemented")

    def load_image(self, image_index) -> np.ndarray:
        """Return an image as BGR uint8 `(h, w, 3)`."""
        raise NotImplementedError("load_image method not implemented")

    def load_annotations(self, image_index) -> dict:
        """Return `{"labels": (n,), "bboxes": (n, 4)}` of an image."""
        raise NotImplementedError("load_annotations method not implemented")

    def dropped_boxes(self, image_index) -> int:
        """Return how many invalid boxes of an image the reader left out, as far as it says."""
        return 0

    def class_names(self) -> list[str | None]:
        """Return the name of each label from 0; None for a label not in use."""
        labels = range(self.num_classes())
        return [self.label_to_name(label) if self.has_label(label) else None for label in labels]

    def load_annotations_group(self, group) -> list[dict]:
        """Return the annotations of some indices.

        Raises:
            TypeError: if `load_annotations` returns no dictionary with `labels` and `bboxes`.
        """
        annotations_group = [self.load_annotations(image_index) for image_index in group]
        for annotations in annotations_group:
            if not isinstance(annotations, dict) or not {"labels", "bboxes"} <= set(annotations):
                raise TypeError(
                    f"{type(self).__name__}.load_annotations: expected a dictionary with 'labels' "
                    f"and 'bboxes', got {annotations!r}"
                )
        return annotations_group
