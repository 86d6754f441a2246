"""The network that is exported: it takes images as they are read, and filters in fixed shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_retinanet.detection.exported import ExportRecord
from keras_retinanet.detection.runners import OUTPUTS
from keras_retinanet.geometry.filter_settings import FIXED_TOP_K
from keras_retinanet.images import IN_NETWORK
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models import RetinaNet, RetinaNetBBox, convert_model, set_info
from keras_retinanet.models.device_normalisation import normalise_on_device
from keras_retinanet.models.folding import fold_batch_norm
from keras_retinanet.models.precision import set_precision
from keras_retinanet.models.retinanet import extract_training_model


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        model: from BGR images `(b, h, w, 3)` of values 0..255 to boxes, scores and labels, or to
            the boxes and scores of all anchors.
        exact: the inference model that it has to agree with: with the exact filter, of as many
            candidates.
        unlimited: the inference model as Keras runs it, whose filter looks at all scores; the same
            as `exact` if that does.
        record: what the file will say of itself.
        one_image: whether it takes batches of one image.
    """

    model: keras.Model
    exact: keras.Model
    unlimited: keras.Model
    record: ExportRecord
    one_image: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return OUTPUTS[:2] if self.record.is_raw else OUTPUTS

    def signature(self) -> tf.TensorSpec:
        """Return the specification of the images."""
        shape = (1 if self.one_image else None, *(self.record.input_size or (None, None)), 3)
        return tf.TensorSpec(shape, self.record.input_type, name="images")

    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs by name."""
        outputs = self.model(images, training=False)
        # Those of further submodels are left out, as everywhere in detection.
        return dict(zip(self.outputs, outputs, strict=False))


def build(
    model: keras.Model,
    *,
    is_raw: bool = False,
    input_size: tuple[int, int] | None = None,
    precision: str = "float32",
    one_image: bool = False,
    **convert_options: Any,
) -> Network:
    """Return the network to export of a training or inference model.

    Args:
        model: a model with an info.
        is_raw: whether to leave the filter out.
        input_size: height and width of the images; None for any.
        precision: see `ExportRecord`.
        one_image: whether it takes batches of one image.
        **convert_options: for `convert_model`, such as `score_threshold`.

    Raises:
        ValueError: if the model knows nothing about itself, or a setting is out of range.
    """
    info: ModelInfo | None = getattr(model, "info", None)
    if info is None:
        raise ValueError(
            "expected a training snapshot or a converted model, which know how their images are "
            "prepared (model.info), got another model"
        )
    set_precision(model, "float32")
    if isinstance(model, RetinaNetBBox):
        convert_options = {**info.filter_settings.to_dict(), **convert_options}
        model = extract_training_model(model)
    unlimited = exact = convert_model(model, **convert_options)
    known = cast("ModelInfo", exact.info)
    settings = known.filter_settings
    if settings.pre_nms_top_k is None:
        settings = replace(settings, pre_nms_top_k=FIXED_TOP_K)
        if not is_raw:
            exact = convert_model(model, **{**convert_options, **settings.to_dict()})
    fixed = convert_model(model, **{**convert_options, **settings.to_dict(), "fixed_shapes": True})
    network = fold_batch_norm(_all_anchors(fixed) if is_raw else fixed)
    # Images that are resized to whole numbers lose nothing as uint8.
    input_type = "float32" if info.resize_rule == "torchvision" else "uint8"
    if info.normalisation != IN_NETWORK:
        network = normalise_on_device(network, input_type)
    else:
        input_type = network.inputs[0].dtype
    stored = known if is_raw else replace(known, filter_settings=settings)
    record = ExportRecord(
        info=replace(stored, normalisation=IN_NETWORK),
        is_raw=is_raw,
        precision=precision,
        input_type=input_type,
        input_size=input_size,
    )
    return Network(network, exact, unlimited, record, one_image)


def _all_anchors(model: RetinaNetBBox) -> RetinaNet:
    """Return an inference model without its filter: the box and the scores of each anchor."""
    names = [layer.name for layer in model.layers]
    boxes = model.get_layer("clipped_boxes" if "clipped_boxes" in names else "boxes").output
    scores = model.get_layer("classification").output
    raw = RetinaNet(inputs=model.inputs[0], outputs=[boxes, scores], name="retinanet-raw")
    set_info(raw, cast("ModelInfo", model.info))
    return raw


def save_frozen(network: Network, folder: str) -> None:
    """Write a network to a folder as a SavedModel whose weights are constants.

    Converters do not read weights that are variables.
    """
    traced = tf.function(network.serve, input_signature=[network.signature()])
    constant = convert_variables_to_constants_v2(traced.get_concrete_function())
    # It returns a list, in the order of the names.
    named = tf.function(
        lambda images: dict(zip(sorted(network.outputs), constant(images), strict=True)),
        input_signature=[network.signature()],
    )
    holder = tf.Module()
    holder.serve = named
    tf.saved_model.save(holder, folder, signatures={"serve": named.get_concrete_function()})
