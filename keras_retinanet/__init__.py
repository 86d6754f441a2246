"""RetinaNet object detection on Keras 3: train, evaluate, convert, detect."""

__version__ = "2.0.0"
