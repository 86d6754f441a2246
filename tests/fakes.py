"""A data set in memory and a network that finds its rectangles, for tests of evaluation.

Each image holds at most one bright rectangle on black; its three colours tell what a detector
should say: blue 255 marks the place, green is 40 times the label + 1, red is 255 times the score.
"""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet import models
from keras_retinanet.images import BGR_MEAN
from keras_retinanet.layers import PadToMultiple
from keras_retinanet.models.heads import default_classification_model, default_regression_model
from keras_retinanet.models.retinanet import create_pyramid_features, retinanet
from keras_retinanet.preprocessing.generator import Generator


def picture(height, width, box=None, label=0, score=1.0):
    """A black image (height, width, 3) with a rectangle, or without."""
    image = np.zeros((height, width, 3), "uint8")
    if box is not None:
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = 255, 40 * (label + 1), round(255 * score)
    return image


def truth(*rows):
    """Annotations from rows of x1, y1, x2, y2, label."""
    table = np.array(rows, "float64").reshape(-1, 5)
    return {"bboxes": table[:, :4], "labels": table[:, 4].astype(int)}


class MemoryGenerator(Generator):
    """Images and annotations from lists; an image may be an exception to raise."""

    def __init__(self, images, annotations, names=("cat", "dog"), **options):
        self.images, self.annotations, self.names = images, annotations, names
        options.setdefault("preprocess_image", lambda image: image.astype("float32"))
        super().__init__(**{"group_method": "none", "no_resize": True, **options})

    def size(self):
        return len(self.images)

    def num_classes(self):
        return len(self.names)

    def has_label(self, label):
        return self.names[label] is not None

    def label_to_name(self, label):
        return self.names[label]

    def image_path(self, image_index):
        return f"memory/{image_index}"

    def load_image(self, image_index):
        image = self.images[image_index]
        if isinstance(image, Exception):
            raise image
        return image.copy()

    def load_annotations(self, image_index):
        return self.annotations[image_index]


class FindRectangle(keras.layers.Layer):
    """Boxes (b, 2, 4), scores (b, 2), labels (b, 2): the rectangle of each image, then padding."""

    traces = 0  # how often Keras or TensorFlow looked at `call`

    def call(self, images):
        """Find the smallest box around all that is bright."""
        type(self).traces += 1
        bright = images[..., 0] > 127
        corners = [
            edge
            for axis in (1, 2)  # columns that are bright in any row, then rows
            for edge in self._edges(tf.reduce_any(bright, axis=axis))
        ]
        box = tf.stack([corners[0], corners[2], corners[1], corners[3]], axis=1)
        found = tf.reduce_any(bright, axis=(1, 2))
        green, red = (tf.reduce_max(images[..., i], axis=(1, 2)) for i in (1, 2))
        score = tf.where(found, red / 255.0, -1.0)
        label = tf.where(found, tf.cast(tf.round(green / 40.0), "int32") - 1, -1)
        box = tf.where(found[:, None], box, -1.0)
        return tuple(
            tf.stack([value, -tf.ones_like(value)], axis=1) for value in (box, score, label)
        )

    @staticmethod
    def _edges(line):
        """First and one past the last True of each row of (b, n)."""
        places = tf.range(tf.shape(line)[1])
        first = tf.reduce_min(tf.where(line, places, 1 << 20), axis=1)
        last = tf.reduce_max(tf.where(line, places + 1, 0), axis=1)
        return tf.cast(first, "float32"), tf.cast(last, "float32")


def rectangle_finder():
    """The network as a Keras model without an info."""
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, FindRectangle()(inputs))


def detailed_finder(**info):
    """The network as an inference model of the package, with an info."""
    inputs = keras.Input((None, None, 3))
    mean = keras.layers.Rescaling(1.0, offset=BGR_MEAN.tolist())
    model = models.RetinaNetBBox(inputs, FindRectangle()(mean(inputs)))
    info = {"num_classes": 2, "class_names": ("cat", "dog"), "no_resize": True, **info}
    models.set_info(model, models.ModelInfo("resnet50", **info))
    return model


def tiny_retinanet(num_classes=2, seed=1, kernel=3, pad_multiple=1, levels=(3, 4, 5, 6, 7)):
    """A training model of a few thousand weights, with an info; `kernel` is that of the first."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, None, 3))
    features, x = {}, inputs
    if pad_multiple > 1:
        x = PadToMultiple(pad_multiple, name="padded")(inputs)
    for level, stride in ((3, 8), (4, 2), (5, 2)):
        sides = kernel if level == 3 else 3
        x = keras.layers.Conv2D(8, sides, strides=stride, padding="same", activation="relu")(x)
        features[f"C{level}"] = x
    model = retinanet(
        inputs,
        features,
        num_classes,
        create_pyramid_features=partial(create_pyramid_features, feature_size=8),
        pyramid_levels=levels,
        submodels=[
            ("regression", default_regression_model(4, 9, 8, 8)),
            (
                "classification",
                default_classification_model(
                    num_classes, 9, pyramid_feature_size=8, classification_feature_size=8
                ),
            ),
        ],
    )
    sides = {"image_min_side": 64, "image_max_side": 96}
    info = models.ModelInfo("resnet50", num_classes, pyramid_levels=levels, **sides)
    models.set_info(model, info)
    return model
