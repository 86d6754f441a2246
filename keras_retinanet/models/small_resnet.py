"""ResNet-18 (arXiv 1512.03385) with half the channels, for small images and random weights.

A shallow network learns in hundreds of steps what deeper ones take thousands for, and few wide
layers run faster on a CPU than many narrow ones. There are no ImageNet weights for it.
"""

import keras

from keras_retinanet.models.normalization import batch_norm

# Channels of the four stages, each of two blocks.
STAGES = (32, 64, 128, 256)


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = False) -> keras.Model:
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).
    """

    def unit(
        x: keras.KerasTensor, filters: int, size: int, name: str, strides: int = 1
    ) -> keras.KerasTensor:
        x = keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"res{name}",
        )(x)
        return batch_norm(f"bn{name}", epsilon=1e-5, frozen=freeze_bn)(x)

    def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.Activation("relu", name=f"{name}_relu")(x)

    x = relu(unit(inputs, STAGES[0], 7, "_conv1", strides=2), "conv1")
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    outputs = []
    for stage, filters in enumerate(STAGES):
        for block in "ab":
            name = f"{stage + 2}{block}"
            strides = 2 if stage and block == "a" else 1
            y = relu(unit(x, filters, 3, f"{name}_branch2a", strides), f"res{name}_branch2a")
            y = unit(y, filters, 3, f"{name}_branch2b")
            if strides == 2:
                x = unit(x, filters, 1, f"{name}_branch1", strides)
            x = relu(keras.layers.Add(name=f"res{name}")([y, x]), f"res{name}")
        outputs.append(x)
    return keras.Model(inputs, outputs, name="resnet18_half")
