"""Pascal VOC evaluation after each epoch."""

from __future__ import annotations

import keras

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import format_pascal, mean_average_precision
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.progress import progress_bar
from keras_retinanet.system.types import StrPath


class Evaluate(Evaluation):
    """A callback that logs `mAP`, the mean of the average precisions of the classes.

    Args:
        generator: the data set.
        iou_threshold: minimum IoU of a true positive.
        score_threshold: detections with scores up to this are left out.
        max_detections: maximum number of detections per image.
        save_path: folder for pictures of the detections, replaced each epoch; None for none.
        tensorboard: a `TensorBoard` callback that shows mAP and the precision of each class.
        weighted_average: whether to weight the classes by their number of boxes.
        verbose: 1 to print the numbers.

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
    ) -> None:
        super().__init__(generator, tensorboard, score_threshold, max_detections)
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.save_path = save_path
        self.weighted_average = weighted_average
        self.verbose = verbose
        self.mean_ap: float | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluate; add `mAP` to the logs."""
        with progress_bar(
            "Running network", self.generator.size(), transient=True, shown=self.verbose == 1
        ) as progress:
            precisions, _ = measure.evaluate(
                self.generator,
                self.detector(),
                iou_threshold=self.iou_threshold,
                score_threshold=self.score_threshold,
                max_detections=self.max_detections,
                save_path=self.save_path,
                progress=progress,
            )
        mean_ap = self.mean_ap = mean_average_precision(precisions, self.weighted_average)
        if logs is not None:
            logs["mAP"] = mean_ap
        names = {label: self.generator.label_to_name(label) for label in precisions}
        classes = {f"AP_{names[label]}": ap for label, (ap, _) in precisions.items()}
        self.log({"mAP": mean_ap, **classes}, epoch)
        if self.verbose == 1:
            # Keras's own line for the epoch is not finished yet.
            print(f"\n{format_pascal(precisions, names)}\nmAP: {mean_ap:.4f}")
