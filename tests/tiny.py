"""A backbone of four small convolutions, so that tests of whole commands take seconds."""

import keras

from keras_retinanet.models.backbones import Backbone, image_input, retinanet_on

NAME = "tiny"
ENTRY = ("tests.tiny", "TinyBackbone")


class TinyBackbone(Backbone):
    """Stands in the table of backbones while a test has put it there."""

    normalisation = "tf_rgb"

    def retinanet(self, num_classes, *, modifier=None, freeze_bn=True, **kwargs):
        """Return a training model."""
        inputs = image_input()
        outputs, x = [], inputs
        for stage, filters in ((2, 8), (3, 16), (4, 16), (5, 16)):
            strides = 4 if stage == 2 else 2
            x = keras.layers.Conv2D(
                filters, 5, strides=strides, padding="same", activation="relu", name=f"C{stage}"
            )(x)
            outputs.append(x)
        return retinanet_on(
            keras.Model(inputs, outputs[1:]),
            name=NAME,
            normalisation=self.normalisation,
            num_classes=num_classes,
            modifier=modifier,
            **kwargs,
        )

    def download_imagenet(self):
        """Say that there are none."""
        raise ValueError("no ImageNet weights for tiny")

    def validate(self):
        """Accept any name."""
