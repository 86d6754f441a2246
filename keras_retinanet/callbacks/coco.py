"""COCO evaluation after each epoch."""

from __future__ import annotations

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import COCO_KEYS


class CocoEval(Evaluation):
    """Prints the COCO numbers and logs them: `AP`, `AP50`, ... (`metrics.COCO_KEYS`), and `mAP`.

    `mAP` is `AP`, so that `EarlyStopping("mAP")` and the like fit every data set. A number that the
    data set cannot tell is -1.

    Args:
        generator: the data set, of any kind.
        tensorboard: a `TensorBoard` callback that shows the numbers.
        threshold: detections up to this score are left out.
        verbose: 1 to print the table.
    """

    def __init__(
        self,
        generator: object,
        tensorboard: object | None = None,
        threshold: float = 0.05,
        *,
        verbose: int = 1,
    ) -> None:
        super().__init__(generator, tensorboard)
        self.threshold = threshold
        self.verbose = verbose

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Evaluate; add the numbers to the logs."""
        if self.verbose:
            print()  # Keras's own line for the epoch is still open.
        with measure.progress_bar(
            "COCO evaluation", self.generator.size(), transient=True, shown=self.verbose == 1
        ) as progress:
            stats = measure.evaluate_coco(
                self.generator,
                self.detector(),
                self.threshold,
                progress=progress,
                verbose=self.verbose,
            )
        values = dict(zip(COCO_KEYS, map(float, stats), strict=True))
        values = {"mAP": values["AP"], **values}
        if logs is not None:
            logs.update(values)
        self.log(values, epoch)
