"""Pictures of a training run: its curves, and held-out images with what was found on them."""

import csv

import cv2
import numpy as np

from keras_retinanet import drawing
from keras_retinanet.system.files import replacing

# Names under which a history holds precisions; everything else but rates is a loss.
_PRECISIONS = ("mAP", "AP", "AP50", "AP75")


def read_history(path) -> dict[str, list[float]]:
    """Return the columns of a history file as lists of numbers; NaN where a cell is empty."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for name in rows[0] if rows else ():
        columns[name] = [_number(row[name]) for row in rows]
    return columns


def _number(text) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def plot_history(history_path, picture_path) -> None:
    """Draw the losses and precisions of a history file over its epochs, as a PNG."""
    from matplotlib.figure import Figure

    columns = read_history(history_path)
    epochs = columns.pop("epoch", [])
    precisions = {name: values for name, values in columns.items() if name in _PRECISIONS}
    losses = {name: values for name, values in columns.items() if name.endswith("loss")}
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, title, curves in zip(
        panels, ("loss", "precision"), (losses, precisions), strict=True
    ):
        for name, values in curves.items():
            axes.plot(epochs, values, marker="o", markersize=3, label=name)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if curves:
            axes.legend()
    panels[1].set_ylim(0, 1)
    with replacing(picture_path) as temporary:
        figure.savefig(temporary, dpi=100)


def write_detection_sheet(generator, detections, path, count=12, score_threshold=0.5) -> None:
    """Write pairs of pictures, an image's ground truth and what was found on it, as one PNG.

    Images are scaled to 320 to 800 pixels; the place of one that cannot be read stays black.

    Args:
        generator: the data set.
        detections: list with the `Detections` of each of its images.
        path: the PNG file.
        count: how many images, spread evenly over the data set.
        score_threshold: least score of a detection that is drawn.
    """
    chosen = np.unique(np.linspace(0, generator.size() - 1, count).astype(int)).tolist()
    panels = []
    for index in chosen:
        try:
            original = generator.load_image(index)
        except (OSError, ValueError):  # the evaluation has named it
            panels += [np.zeros((320, 320, 3), "uint8")] * 2
        else:
            panels += _pair(generator, index, original, detections[index], score_threshold)
    sheet = drawing.contact_sheet(panels, columns=4)
    with replacing(path) as temporary:
        cv2.imwrite(str(temporary), sheet)


def _pair(generator, index, original, detections, score_threshold):
    """Return two pictures of an image: with its ground truth, and with what was found on it."""
    image = _scaled(original)
    scale = image.shape[1] / original.shape[1]
    annotations = generator.load_annotations(index)
    truth, found = image.copy(), image.copy()
    boxes = {**annotations, "bboxes": annotations["bboxes"] * scale}
    drawing.draw_annotations(truth, boxes, label_to_name=generator.label_to_name)
    drawing.draw_detections(
        found,
        detections.boxes * scale,
        detections.scores,
        detections.labels,
        label_to_name=generator.label_to_name,
        score_threshold=score_threshold,
    )
    return [truth, found]


def _scaled(image, least=320, most=800):
    """Return an image whose longest side has `least` to `most` pixels, so that captions fit."""
    longest = max(image.shape[:2])
    factor = np.clip(longest, least, most) / longest
    size = [max(1, round(side * factor)) for side in (image.shape[1], image.shape[0])]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
