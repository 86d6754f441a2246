"""A backbone of four small convolutions, so that tests of whole commands take seconds."""

import keras

from keras_retinanet.backbone_table import Entry

NAME = "tiny"
# Stands in the table of backbones while a test has put it there.
ENTRY = Entry("tests.tiny", parameters=0, normalisation="tf_rgb")


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
