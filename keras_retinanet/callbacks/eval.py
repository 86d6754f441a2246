"""Pascal style evaluation after each epoch."""

from __future__ import annotations

from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.metrics import format_pascal, mean_average_precision


class Evaluate(Evaluation):
    """Logs `mAP`, the mean of the average precisions of the classes.

    Args:
        generator: the data set.
        iou_threshold: least overlap of a true positive.
        score_threshold: detections up to this score are left out.
        max_detections: most detections of an image.
        save_path: folder for pictures of the detections, overwritten each epoch; None for none.
        tensorboard: a `TensorBoard` callback that shows mAP and each class's precision.
        weighted_average: weigh the classes by their number of boxes.
        verbose: 1 to print the numbers.
    """

    def __init__(
        self,
        generator: object,
        iou_threshold: float = 0.5,
        score_threshold: float = 0.05,
        max_detections: int = 100,
        save_path: str | None = None,
        tensorboard: object | None = None,
        weighted_average: bool = False,
        verbose: int = 1,
    ) -> None:
        super().__init__(generator, tensorboard)
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.save_path = save_path
        self.weighted_average = weighted_average
        self.verbose = verbose
        self.mean_ap = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Evaluate; add `mAP` to the logs."""
        with measure.progress_bar(
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
        self.mean_ap = mean_average_precision(precisions, self.weighted_average)
        if logs is not None:
            logs["mAP"] = self.mean_ap
        names = {label: self.generator.label_to_name(label) for label in precisions}
        classes = {f"AP_{names[label]}": ap for label, (ap, _) in precisions.items()}
        self.log({"mAP": self.mean_ap, **classes}, epoch)
        if self.verbose == 1:
            # Keras's own line for the epoch is still open.
            print(f"\n{format_pascal(precisions, names)}\nmAP: {self.mean_ap:.4f}")
