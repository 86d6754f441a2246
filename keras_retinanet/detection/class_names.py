"""The names that the outputs of a model are shown with."""

from __future__ import annotations

import warnings

from keras_retinanet.model_info import ModelInfo
from keras_retinanet.zoo.class_names import DATA_SETS, names_for


def shown_names(info: ModelInfo | None) -> tuple[str | None, ...] | None:
    """Return the class names of a model; a warning tells if they are assumed.

    Snapshots of keras-retinanet 1.0.0 hold no names. One with as many outputs as COCO or Open
    Images has classes was most likely trained on these.

    Args:
        info: what the model knows about itself; None if it knows nothing.

    Returns:
        The name of each label, None for one without a name; None if no names are known.
    """
    if info is None:
        return None
    names = names_for(info.num_classes)
    if info.class_names is not None or names is None:
        return info.class_names
    owner = DATA_SETS[info.num_classes]
    owner += "'" if owner.endswith("s") else "'s"
    count = sum(name is not None for name in names)
    warnings.warn(
        f"the names of {owner} {count} classes are assumed (the file has none)", stacklevel=2
    )
    return names
