"""How good a model is on a data set."""

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector
from keras_retinanet.evaluation.measure import detect_dataset, evaluate, evaluate_coco

__all__ = ["Detections", "Detector", "detect_dataset", "evaluate", "evaluate_coco"]
