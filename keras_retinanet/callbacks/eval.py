"""Pascal VOC evaluation after each epoch."""

from __future__ import annotations

import keras

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.callbacks.history import WriteHistory
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import mean_average_precision
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.numbers import format_classes
from keras_retinanet.system.types import StrPath


class Evaluate(Evaluation):
    """A callback that logs `mAP`, the mean of the average precisions of the classes.

    Args:
        generator: the data set.
        iou_threshold: minimum IoU of a true positive.
        score_threshold: detections with scores up to this are left out.
        max_detections: maximum number of detections per image.
        save_path: folder for pictures of the detections, replaced each epoch; None for none.
        tensorboard: a `TensorBoard` callback that shows mAP, the precision of each class, and
            pictures of some images.
        weighted_average: whether to weight the classes by their number of boxes.
        verbose: 1 to print the numbers; of more than twenty classes, only the best and the worst.
        class_history: writes the precision of each class, as `AP_` and its name; None for nobody.

    Attributes:
        mean_ap: the latest mAP; None before the first evaluation.
    """

    def __init__(
        self,
        generator: Generator,
        iou_threshold: float = 0.5,
        score_threshold: float = 0.05,
        max_detections: int = 100,
        save_path: StrPath | None = None,
        tensorboard: keras.callbacks.TensorBoard | None = None,
        weighted_average: bool = False,
        verbose: int = 1,
        *,
        class_history: WriteHistory | None = None,
    ) -> None:
        super().__init__(generator, tensorboard, score_threshold, max_detections, class_history)
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.save_path = save_path
        self.weighted_average = weighted_average
        self.verbose = verbose
        self.mean_ap: float | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluate; add `mAP` to the logs."""
        measure.warn_if_crowded(self.generator, self.max_detections)
        detections = self.detect(
            "Running network", self.score_threshold, self.max_detections, shown=self.verbose == 1
        )
        if self.save_path is not None:
            measure.save_pictures(self.generator, detections, self.save_path, self.score_threshold)
        precisions = measure.pascal_numbers(self.generator, detections, self.iou_threshold)
        mean_ap = self.mean_ap = mean_average_precision(precisions, self.weighted_average)
        if logs is not None:
            logs["mAP"] = mean_ap
        known = {label: ap for label, (ap, count) in precisions.items() if count}
        self.log({"mAP": mean_ap}, epoch, known, detections)
        if self.verbose == 1:
            names = {label: self.generator.label_to_name(label) for label in precisions}
            place = str(self.class_history.path) if self.class_history else None
            # Keras's own line for the epoch is not finished yet.
            print(f"\n{format_classes(precisions, names, place)}\nmAP: {mean_ap:.4f}")
