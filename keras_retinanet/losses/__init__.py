"""The losses of RetinaNet, for `model.compile`.

All sum over the anchors of a batch and divide by its number of positive anchors (at least 1), as
keras-retinanet 1.0.0 did, or normalise each image by itself. They take compact and dense targets
(see `geometry.targets`), and tell them apart by the last dimension.
"""

import keras

from keras_retinanet.losses.boxes import BOX_LOSSES, BoxDecoder, box_loss, giou, l1, smooth_l1
from keras_retinanet.losses.classification import (
    CLASSIFICATION_LOSSES,
    balanced_cross_entropy,
    classification_loss,
    cross_entropy,
    focal,
    focal_star,
    focal_star_terms,
    focal_terms,
)
from keras_retinanet.losses.common import NORMALISERS, Loss

# `keras` is among what `from keras_retinanet.losses import *` gave in 1.0.0.
__all__ = [
    "BOX_LOSSES",
    "CLASSIFICATION_LOSSES",
    "NORMALISERS",
    "BoxDecoder",
    "Loss",
    "balanced_cross_entropy",
    "box_loss",
    "classification_loss",
    "cross_entropy",
    "focal",
    "focal_star",
    "focal_star_terms",
    "focal_terms",
    "giou",
    "keras",
    "l1",
    "smooth_l1",
]
