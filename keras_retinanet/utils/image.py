"""Images and their random changes under their old import path."""

from keras_retinanet.augmentation.colours import *  # noqa: F403
from keras_retinanet.augmentation.transforms import (  # noqa: F401
    TransformParameters,
    adjust_transform_for_image,
    apply_transform,
)
from keras_retinanet.images import (  # noqa: F401
    compute_resize_scale,
    preprocess_image,
    read_image_bgr,
    resize_image,
)
