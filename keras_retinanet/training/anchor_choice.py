"""Boxes of a data set from which its anchor sizes are chosen."""

import numpy as np

from keras_retinanet.preprocessing.generator import Generator


def sample_boxes(
    generator: Generator, max_images: int = 300, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of randomly chosen images, at the size the images are resized to.

    Unreadable images are left out.

    Args:
        generator: the data set.
        max_images: maximum number of images to read.
        seed: seed of the choice of images.

    Returns:
        boxes: array `(n, 4)`; `n` may be 0.
        labels: array `(n,)`.
    """
    rng = np.random.default_rng(seed)
    indices = rng.permutation(generator.size())[:max_images]
    boxes, labels = [np.zeros((0, 4))], [np.zeros(0, int)]
    for index in indices.tolist():
        try:
            _, scale = generator.resize_image(generator.load_image(index))
            annotations = generator.load_annotations(index)
        except (OSError, ValueError):
            continue
        boxes.append(np.asarray(annotations["bboxes"]).reshape(-1, 4) * scale)
        labels.append(np.asarray(annotations["labels"]))
    return np.concatenate(boxes), np.concatenate(labels)
