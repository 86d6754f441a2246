"""Write core_goldens.npz: what keras-retinanet 1.0.0 computes for small seeded inputs.

Run with a Python in which keras-retinanet 1.0.0 imports (it needs Keras 2):

    python make_core_goldens.py core_goldens.npz
"""

import contextlib
import sys

import numpy as np
import tensorflow as tf

with contextlib.suppress(ImportError):
    import legacy  # noqa: F401  where Keras 2 has to be made importable first
from keras_retinanet import losses
from keras_retinanet.utils import anchors as old
from keras_retinanet.utils import image as old_image


def main(path):
    goldens = {"anchors": old.anchors_for_shape((75, 130, 3))}
    boxes = np.array([[10.0, 12, 60, 50], [70, 5, 128, 74], [20, 20, 45, 44]])
    labels = np.array([2.0, 0, 1])
    goldens["regression"], goldens["classification"] = old.anchor_targets_bbox(
        goldens["anchors"],
        [np.zeros((70, 120, 3)), np.zeros((75, 130, 3))],
        [
            {"bboxes": boxes, "labels": labels},
            {"bboxes": np.zeros((0, 4)), "labels": np.zeros(0)},
        ],
        num_classes=3,
    )
    rng = np.random.default_rng(3)
    n = len(goldens["anchors"])
    predicted_boxes = rng.normal(0, 0.5, (2, n, 4)).astype("float32")
    predicted_classes = rng.uniform(0.001, 0.999, (2, n, 3)).astype("float32")
    y_regression = tf.constant(goldens["regression"])
    y_classification = tf.constant(goldens["classification"])
    goldens["smooth_l1"] = losses.smooth_l1()(y_regression, predicted_boxes)
    for name, arguments in {"focal": {}, "focal_1_5": {"alpha": 0.5, "gamma": 1.5}}.items():
        goldens[name] = losses.focal(**arguments)(y_classification, tf.constant(predicted_classes))
    image = rng.integers(0, 256, (37, 91, 3)).astype("uint8")
    goldens["resized"], goldens["scale"] = old_image.resize_image(image, 50, 110)
    for mode in ("caffe", "tf"):
        goldens[mode] = old_image.preprocess_image(image[:9].astype("float32"), mode)
    np.savez_compressed(path, **{key: np.asarray(value) for key, value in goldens.items()})


if __name__ == "__main__":
    main(sys.argv[1])
