"""The check of the Keras version, under the import path of keras-retinanet 0.x."""

from keras_retinanet.system.versions import check_keras_version

__all__ = ["check_keras_version"]
