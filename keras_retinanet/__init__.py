"""RetinaNet object detection on Keras 3: train, evaluate, convert, detect."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_retinanet.detection.detector import Detector as Detector

__version__ = "2.0.0"


def __getattr__(name: str) -> Any:
    if name == "Detector":  # not before it is needed: `--help` has to be quick
        from keras_retinanet.detection.detector import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
