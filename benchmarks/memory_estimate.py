"""Estimate the memory of a training step from its parameters and from what its backward pass needs.

Counted is what is alive when the backward pass begins, which is when most is:

- the parameters, in float32, and the optimizer's state: one more copy with momentum, two with Adam;
  with mixed precision a copy of the kernels in the precision of the computation, too;
- the images, and each tensor that a gradient is computed from, once, see `kept`;
- what the focal loss needs: tensors of one number for each anchor and class.

Not counted are the runtime of TensorFlow, the workspace of convolutions, and what an allocator
leaves unused between its blocks. `docs/coco.md` says how far this is from what was measured.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

CLASSES = 80
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# Tensors `(B, N, C)` in float32 that the focal loss holds at once, see losses/compact_focal.py: the
# logits with their negative, 1 - p_t, the entropy, the factor and two intermediate products of it.
# Its gradient needs fewer.
LOSS_TENSORS = 6
COPIES = {"SGD": 2, "Adam": 3}  # parameters and the state of the optimizer


@dataclass(frozen=True)
class Estimate:
    """What a training step needs.

    Attributes:
        parameters: number of parameters.
        cast: bytes of the kernels in the precision of the computation; 0 if that is float32.
        activations: bytes for an image: the image and what the backward pass needs.
        loss: bytes for an image: what the loss needs.
    """

    parameters: int
    cast: int
    activations: int
    loss: int

    def bytes(self, batch, optimizer) -> int:
        """Return the bytes of a step."""
        constant = 4 * COPIES[optimizer] * self.parameters + self.cast
        return constant + batch * (self.activations + self.loss)


def kept(layer, inputs, outputs) -> list:
    """Return the tensors of a layer that its gradient is computed from."""
    import keras

    if isinstance(layer, keras.layers.BatchNormalization):
        # With fixed statistics it is a product with a constant.
        return inputs if layer.trainable else []
    if isinstance(layer, keras.layers.Conv2D):  # the gradient of a kernel takes the input
        rectified = layer.activation is not keras.activations.linear
        return inputs + outputs if rectified else inputs
    if isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.GroupNormalization)):
        return inputs + outputs
    # The gradient of a sigmoid is that of the loss, which takes the logits.
    if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.relu:
        return outputs
    return []


def calls(model) -> Iterator[tuple]:
    """Yield each layer of a model with its inputs and outputs, for a head those of each level."""
    import keras

    for layer in model.layers:
        for node in list(layer._inbound_nodes):
            inputs, outputs = list(node.input_tensors), list(node.output_tensors)
            if not isinstance(layer, keras.Model):
                yield layer, inputs, outputs
                continue
            # Its own tensors have no size: call its layers again, on those of the level.
            x = inputs[0]
            for part in layer.layers[1:]:
                before, x = x, part(x)
                yield part, [before], [x]


def size_of(tensor) -> int:
    """Return the bytes of a symbolic tensor for one image."""
    import numpy as np

    item = {"float32": 4, "bfloat16": 2, "float16": 2, "uint8": 1}[tensor.dtype]
    return item * int(np.prod(tensor.shape[1:]))


def estimate(network, height, width, precision) -> Estimate:
    """Return the estimate for a network at a size of images."""
    import keras

    from keras_retinanet import models

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(PRECISIONS[precision])
    try:
        model = models.backbone(network).retinanet(
            CLASSES, inputs=keras.Input((height, width, 3), dtype="float32"), freeze_bn=True
        )
    finally:
        keras.config.set_dtype_policy(before)
    tensors = {id(model.inputs[0]): model.inputs[0]}  # some are kept by several layers
    for layer, inputs, outputs in calls(model):
        tensors |= {id(tensor): tensor for tensor in kept(layer, inputs, outputs)}
    parameters = model.count_params()
    anchors = model.outputs[1].shape[1]
    return Estimate(
        parameters,
        0 if precision == "float32" else 2 * parameters,
        sum(map(size_of, tensors.values())),
        4 * LOSS_TENSORS * anchors * CLASSES,
    )


def figures(found, batches) -> str:
    """Return the cells of a row after its first two."""
    constants = [found.bytes(0, optimizer) for optimizer in COPIES]
    image = found.activations + found.loss
    cells = [f"{found.parameters / 1e6:.1f}"]
    cells += [f"{value / 1e9:.2f}" for value in (*constants, image)]
    cells += [f"{found.bytes(batch, 'SGD') / 1e9:.1f}" for batch in batches]
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    networks = ["resnet50", "resnet101", "resnext101", "resnext101_32x8d"]
    parser.add_argument("--networks", nargs="+", default=networks)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)[:2])
    parser.add_argument("--size", default="800x1344", help="height x width")
    options = parser.parse_args()
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
    height, width = map(int, options.size.split("x"))
    names = ["network", "precision", "parameters, M", "SGD", "Adam", "an image"]
    names += [f"batch {batch}" for batch in options.batches]
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|", flush=True)
    for network, precision in product(options.networks, options.precisions):
        found = estimate(network, height, width, precision)
        print(f"| `{network}` | {precision} | {figures(found, options.batches)} |", flush=True)


if __name__ == "__main__":
    main()
