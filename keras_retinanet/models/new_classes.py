"""A trained detector for other classes: everything is kept but the last classification layer."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from keras_retinanet.models.classes import RetinaNet, assert_training_model, set_info
from keras_retinanet.zoo.class_names import canonical

# The last layer of the classification head.
LAST_LAYER = "pyramid_classification"
_HEAD, _RESHAPE = "classification_submodel", f"{LAST_LAYER}_reshape"


def with_classes(
    model: RetinaNet, class_names: Sequence[str | None]
) -> tuple[RetinaNet, list[str]]:
    """Return a detector for other classes, and the names of those that it knows already.

    It shares all weights with the model except for its classification head, which is a copy. Where
    a class has the name of one of the model's, the part of the last layer that scores it is kept;
    the other parts are initialised as in a new model. Names are compared as
    `zoo.class_names.canonical` returns them.

    Args:
        model: a training model with the default heads and class names in its info.
        class_names: name of each new output, None for one without a name.

    Returns:
        The model, and the names whose part of the last layer was kept, in the order of the outputs.
        If the outputs have the same names as before, in the same order, it is the model itself.

    Raises:
        ValueError: if it is no training model, or has other heads.
    """
    assert_training_model(model)
    assert model.info is not None
    known = [canonical(name or "") for name in model.info.class_names or ()]
    wanted = [canonical(name or "") for name in class_names]
    if known == wanted:
        return model, [name for name in class_names if name]
    sources = {name: label for label, name in reversed(list(enumerate(known))) if name}
    pairs = [(sources[name], label) for label, name in enumerate(wanted) if name in sources]
    head = _copy_head(_head_of(model), model.info.num_classes, len(class_names), pairs)
    levels = [head(model.get_layer(f"P{level}").output) for level in model.info.pyramid_levels]
    scores = keras.layers.Concatenate(axis=1, dtype="float32", name="classification")(levels)
    regression = model.get_layer("regression").output
    changed = RetinaNet(inputs=model.inputs[0], outputs=[regression, scores], name=model.name)
    info = replace(model.info, num_classes=len(class_names), class_names=tuple(class_names))
    set_info(changed, info)
    return changed, [str(class_names[label]) for _, label in pairs]


def _head_of(model: RetinaNet) -> keras.Model:
    """Return the classification head of a model.

    Raises:
        ValueError: if it has none of this package.
    """
    try:
        head = model.get_layer(_HEAD)
        head.get_layer(LAST_LAYER)
        head.get_layer(_RESHAPE)
    except (ValueError, AttributeError):
        raise ValueError(
            f"expected a model with the layers {_HEAD}, {LAST_LAYER} and {_RESHAPE}, got another "
            "classification head: its classes cannot be changed"
        ) from None
    return head


def _copy_head(
    head: keras.Model, before: int, after: int, pairs: Sequence[tuple[int, int]]
) -> keras.Model:
    """Return a copy of a head with another number of classes.

    Args:
        head: the head.
        before: its number of classes.
        after: number of classes of the copy.
        pairs: output of the head, output of the copy whose weights it becomes.
    """
    num_anchors = head.get_layer(LAST_LAYER).filters // before

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name == LAST_LAYER:
            config["filters"] = num_anchors * after
        elif layer.name == _RESHAPE:
            config["target_shape"] = (-1, after)
        return type(layer).from_config(config)

    changed = keras.models.clone_model(head, clone_function=copy)
    for layer in changed.layers:
        if not layer.weights:
            continue
        values = head.get_layer(layer.name).get_weights()
        if layer.name == LAST_LAYER:
            values = [
                _with_rows(new, old, num_anchors, pairs)
                for new, old in zip(layer.get_weights(), values, strict=True)
            ]
        layer.set_weights(values)
    return changed


def _with_rows(
    new: np.ndarray, old: np.ndarray, num_anchors: int, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Return new weights `(..., anchors * classes)` with those of some classes from old ones."""
    old = old.reshape(*old.shape[:-1], num_anchors, -1)  # (..., anchors, classes)
    rows = new.reshape(*new.shape[:-1], num_anchors, -1).copy()
    for source, target in pairs:
        rows[..., target] = old[..., source]
    return rows.reshape(new.shape)
