"""Numbers that keras-retinanet 1.0.0 computes; see data/make_*_goldens.py for its inputs."""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
GOLDENS = dict(np.load(DATA / "core_goldens.npz"))
AUGMENTATION = dict(np.load(DATA / "augmentation_goldens.npz"))

BOXES = np.array([[10.0, 12, 60, 50], [70, 5, 128, 74], [20, 20, 45, 44]])
LABELS = np.array([2.0, 0, 1])


def targets_input():
    """The images and annotations behind `regression` and `classification`."""
    images = [np.zeros((70, 120, 3)), np.zeros((75, 130, 3))]
    annotations = [
        {"bboxes": BOXES, "labels": LABELS},
        {"bboxes": np.zeros((0, 4)), "labels": np.zeros(0)},
    ]
    return GOLDENS["anchors"], images, annotations


def predictions():
    """The predicted offsets and probabilities behind the losses, then the image."""
    rng = np.random.default_rng(3)
    n = len(GOLDENS["anchors"])
    offsets = rng.normal(0, 0.5, (2, n, 4)).astype("float32")
    probabilities = rng.uniform(0.001, 0.999, (2, n, 3)).astype("float32")
    image = rng.integers(0, 256, (37, 91, 3)).astype("uint8")
    return offsets, probabilities, image
