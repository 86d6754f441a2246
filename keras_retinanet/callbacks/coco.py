"""COCO evaluation after each epoch."""

from __future__ import annotations

import keras

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.callbacks.history import WriteHistory
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import format_coco
from keras_retinanet.preprocessing.generator import Generator


class CocoEval(Evaluation):
    """A callback that prints and logs the COCO numbers: `mAP`, then `AP`, `AP50`, ...

    The names are those of `metrics.COCO_KEYS`. `mAP` equals `AP`, so that `EarlyStopping("mAP")`
    works with this callback as with `Evaluate`. A number without ground truth to measure it by
    is -1.

    Args:
        generator: the data set; any `Generator`, not just a COCO one.
        tensorboard: a `TensorBoard` callback that shows the numbers, the AP of each class, and
            pictures of some images.
        threshold: detections with scores up to this are left out.
        max_detections: maximum number of detections of a class in an image; at least 100.
        verbose: 1 to print the table.
        class_history: writes the AP of each class, as `AP_` and its name; None for nobody.
    """

    def __init__(
        self,
        generator: Generator,
        tensorboard: keras.callbacks.TensorBoard | None = None,
        threshold: float = 0.05,
        *,
        max_detections: int = measure.DEFAULT_LIMIT,
        verbose: int = 1,
        class_history: WriteHistory | None = None,
    ) -> None:
        super().__init__(generator, tensorboard, threshold, max_detections, class_history)
        self.threshold = threshold
        self.max_detections = max_detections
        self.verbose = verbose

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluate; add the numbers to the logs."""
        if self.verbose:
            print()  # Keras's own line for the epoch is not finished yet
        measure.warn_if_crowded(self.generator, max(measure.DEFAULT_LIMIT, self.max_detections))
        detections = self.detect("COCO evaluation", self.threshold, None, shown=self.verbose == 1)
        summary, precisions = measure.coco_evaluation(
            self.generator, detections, self.max_detections
        )
        if self.verbose:
            print(format_coco(summary, self.max_detections))
        values = {"mAP": summary["AP"], **summary}
        if logs is not None:
            logs.update(values)
        self.log(values, epoch, precisions, detections)
