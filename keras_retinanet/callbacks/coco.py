"""COCO evaluation after each epoch."""

from __future__ import annotations

import keras

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import COCO_KEYS
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.progress import progress_bar


class CocoEval(Evaluation):
    """A callback that prints and logs the COCO numbers: `mAP`, then `AP`, `AP50`, ...

    The names are those of `metrics.COCO_KEYS`. `mAP` equals `AP`, so that `EarlyStopping("mAP")`
    works with this callback as with `Evaluate`. A number without ground truth to measure it by
    is -1.

    Args:
        generator: the data set; any `Generator`, not just a COCO one.
        tensorboard: a `TensorBoard` callback that shows the numbers.
        threshold: detections with scores up to this are left out.
        max_detections: maximum number of detections of a class in an image; at least 100.
        verbose: 1 to print the table.
    """

    def __init__(
        self,
        generator: Generator,
        tensorboard: keras.callbacks.TensorBoard | None = None,
        threshold: float = 0.05,
        *,
        max_detections: int = measure.DEFAULT_LIMIT,
        verbose: int = 1,
    ) -> None:
        super().__init__(generator, tensorboard, threshold, max_detections)
        self.threshold = threshold
        self.max_detections = max_detections
        self.verbose = verbose

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluate; add the numbers to the logs."""
        if self.verbose:
            print()  # Keras's own line for the epoch is not finished yet
        with progress_bar(
            "COCO evaluation", self.generator.size(), transient=True, shown=self.verbose == 1
        ) as progress:
            stats = measure.evaluate_coco(
                self.generator,
                self.detector(),
                self.threshold,
                max_detections=self.max_detections,
                progress=progress,
                verbose=self.verbose,
            )
        values = dict(zip(COCO_KEYS, map(float, stats), strict=True))
        values = {"mAP": values["AP"], **values}
        if logs is not None:
            logs.update(values)
        self.log(values, epoch)
