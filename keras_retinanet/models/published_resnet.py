"""ResNet and ResNeXt as PyTorch's detection libraries build them (arXiv 1512.03385, 1611.05431).

They differ from the ResNets of `models.resnet`, which have weights of the same shapes: the pooling
is padded on every side, and in most of them the 3x3 convolution of a block has its stride. So the
layers have other names, and weights of one cannot be loaded into the other by mistake.
"""

from dataclasses import dataclass

import keras

from keras_retinanet.models import blocks
from keras_retinanet.models.normalization import batch_norm


@dataclass(frozen=True)
class ResNetDesign:
    """What a ResNet is built of.

    Attributes:
        counts: number of blocks of each of the four stages.
        basic: whether a block has two 3x3 convolutions, as in ResNet-18 and -34; otherwise it is a
            bottleneck of 1x1, 3x3 and 1x1 convolutions.
        groups: number of groups of the 3x3 convolutions; 1 for ResNet.
        width: channels of the 3x3 convolutions of the first stage; each later one has twice as
            many as the stage before.
        stride_in_1x1: whether the first 1x1 convolution of a bottleneck has its stride, as in
            Caffe; otherwise the 3x3 convolution has it.
        epsilon: of batch normalisation.
    """

    counts: tuple[int, ...]
    basic: bool = False
    groups: int = 1
    width: int = 64
    stride_in_1x1: bool = False
    epsilon: float = 1e-5

    def name(self) -> str:
        """Return a name such as "resnet50_v1.5", "resnet50_caffe" or "resnext101_64x4d_v1.5".

        No backbone of the table has such a name: its network would be another one.
        """
        depth = sum(self.counts) * (2 if self.basic else 3) + 2
        end = "caffe" if self.stride_in_1x1 else "v1.5"
        if self.groups > 1:
            return f"resnext{depth}_{self.groups}x{self.width // self.groups}d_{end}"
        return f"resnet{depth}_{end}"


def published_resnet(
    inputs: keras.KerasTensor, design: ResNetDesign
) -> dict[str, keras.KerasTensor]:
    """Return the outputs of the stages of a ResNet without its classifier.

    Batch normalisation keeps its statistics, and its scale and offset.

    Args:
        inputs: tensor of normalised images.
        design: what it is built of.

    Returns:
        Dictionary of "C2" (stride 4), "C3", "C4" and "C5" (stride 32).
    """

    def unit(
        x: keras.KerasTensor, filters: int, size: int, name: str, strides: int = 1, groups: int = 1
    ) -> keras.KerasTensor:
        x = blocks.convolution(x, filters, size, f"{name}_conv", strides=strides, groups=groups)
        return batch_norm(f"{name}_norm", epsilon=design.epsilon, frozen=True)(x)

    def bottleneck(x: keras.KerasTensor, stage: int, name: str, strides: int) -> keras.KerasTensor:
        width = design.width * 2**stage
        first, second = (strides, 1) if design.stride_in_1x1 else (1, strides)
        y = blocks.relu(unit(x, width, 1, f"{name}_1", first), f"{name}_1_relu")
        y = unit(y, width, 3, f"{name}_2", second, design.groups)
        return unit(blocks.relu(y, f"{name}_2_relu"), 256 * 2**stage, 1, f"{name}_3")

    def basic(x: keras.KerasTensor, stage: int, name: str, strides: int) -> keras.KerasTensor:
        width = design.width * 2**stage
        y = blocks.relu(unit(x, width, 3, f"{name}_1", strides), f"{name}_1_relu")
        return unit(y, width, 3, f"{name}_2")

    block, expansion = (basic, 1) if design.basic else (bottleneck, 4)
    x = blocks.relu(unit(inputs, 64, 7, "stem", strides=2), "stem_relu")
    x = blocks.pool(x, "stem_pool")
    outputs = {}
    for stage, count in enumerate(design.counts):
        for i in range(count):
            name, strides = f"stage{stage + 1}_{i}", 2 if stage and not i else 1
            y = block(x, stage, name, strides)
            if not i and (strides > 1 or expansion > 1):
                x = unit(x, 64 * expansion * 2**stage, 1, f"{name}_shortcut", strides)
            x = blocks.relu(keras.layers.Add(name=f"{name}_add")([y, x]), f"{name}_relu")
        outputs[f"C{stage + 2}"] = x
    return outputs
