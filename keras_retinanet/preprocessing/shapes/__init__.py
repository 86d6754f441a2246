"""The built-in data set `shapes`, drawn on the fly."""

from keras_retinanet.preprocessing.shapes.dataset import ShapesGenerator
from keras_retinanet.preprocessing.shapes.files import export, export_set

__all__ = ["ShapesGenerator", "export", "export_set"]
