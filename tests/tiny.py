"""A backbone of four small convolutions, so that tests of whole commands take seconds."""

from dataclasses import replace

import cv2
import keras
import numpy as np

from keras_retinanet.backbone_table import Entry

NAME = "tiny"
# Stands in the table of backbones while a test has put it there.
ENTRY = Entry("tests.tiny", parameters=0, normalisation="tf_rgb")

SIZES = [(64, 80), (72, 64), (64, 64), (80, 64)]


def train_eagerly(patch):
    """Let models train without a graph, which takes longer to trace than these runs of few steps.

    Args:
        patch: pytest's `monkeypatch`.
    """
    always = property(lambda model: True, lambda model, value: None)
    patch.setattr(keras.Model, "run_eagerly", always)


def save_model(path, **info):
    """Save an untrained snapshot with one class; return its path."""
    from keras_retinanet import models  # processes that import this file may not yet use TensorFlow

    model = models.backbone("tiny").retinanet(num_classes=1)
    models.set_info(model, replace(model.info, image_min_side=64, image_max_side=96, **info))
    models.save_model(model, path)
    return str(path)


def write_squares(folder, sizes=SIZES):
    """Write a CSV data set of images with a bright square each; return its two files."""
    rows = []
    for i, (height, width) in enumerate(sizes):
        image = np.full((height, width, 3), 40, "uint8")
        image[16:48, 12:52] = 220
        cv2.imwrite(str(folder / f"{i}.png"), image)
        rows.append(f"{i}.png,12,16,52,48,square\n")
    (folder / "ann.csv").write_text("".join(rows))
    (folder / "cls.csv").write_text("square,0\n")
    return str(folder / "ann.csv"), str(folder / "cls.csv")


def features(name, inputs, *, freeze_bn=True):
    """Return a model with the outputs C2 to C5."""
    outputs, x = [], inputs
    for stage, filters in ((2, 8), (3, 16), (4, 16), (5, 16)):
        strides = 4 if stage == 2 else 2
        x = keras.layers.Conv2D(
            filters, 5, strides=strides, padding="same", activation="relu", name=f"C{stage}"
        )(x)
        outputs.append(x)
    return keras.Model(inputs, outputs)
