"""Boxes, captions and sheets of pictures, drawn with OpenCV on BGR images; writing a picture.

As in keras-retinanet 1.0.0, the `draw_*` functions paint on the image they get. Line widths and
text scale with the image, so both thumbnails and large photos stay readable; where many boxes share
an image, they scale with the boxes.
"""

from __future__ import annotations

import colorsys
import os
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from keras_retinanet.system.files import atomic_write
from keras_retinanet.system.types import Annotations, StrPath

GREEN = (0, 255, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Height of a capital letter at font scale 1, in pixels.
_LETTER = 22
# Letters and lines are those of an image whose side is this many sides of a box: a caption such as
# "cat: 0.95" is then about as wide as the box.
_SIDES_OF_BOX = 6.5
_GOLDEN_RATIO = 0.6180339887498949


def label_color(label: int) -> list[int]:
    """Return the colour of a class, always the same for the same label.

    Hues step by the golden ratio, so that neighbouring labels differ clearly; saturation and
    brightness vary too, so that hundreds of labels stay distinct.

    Args:
        label: class number from 0.

    Returns:
        [blue, green, red], each 0 to 255; green, with a warning, for a negative label.
    """
    if label < 0:
        warnings.warn(f"label {label} has no colour, using green", stacklevel=2)
        return list(GREEN)
    return list(_color(int(label)))


@lru_cache(maxsize=1024)
def _color(label: int) -> tuple[int, int, int]:
    saturation = (1.0, 0.55, 0.8)[label % 3]
    value = (1.0, 0.95, 0.7, 0.85)[label // 3 % 4]
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN_RATIO % 1.0, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_box(
    image: np.ndarray, box: Sequence[float] | np.ndarray, color: Sequence[int], thickness: int = 2
) -> None:
    """Draw one box on the image.

    Args:
        image: (h, w, 3) BGR uint8, painted on.
        box: x1, y1, x2, y2 in pixels; edges outside the image are drawn on its border.
        color: blue, green, red.
        thickness: width of the lines in pixels.
    """
    x1, y1, x2, y2 = _inside(image, box)
    cv2.rectangle(image, (x1, y1), (x2, y2), [int(part) for part in color], thickness)


def draw_boxes(
    image: np.ndarray, boxes: np.ndarray, color: Sequence[int], thickness: int = 2
) -> None:
    """Draw boxes (n, 4) in one colour, as `draw_box` does."""
    for box in boxes:
        draw_box(image, box, color, thickness)


def draw_caption(image: np.ndarray, box: Sequence[float] | np.ndarray, caption: str) -> None:
    """Write white text with a dark outline above a box, or inside it if there is no room above.

    Args:
        image: (h, w, 3) BGR uint8, painted on.
        box: x1, y1, x2, y2 in pixels; the text starts at its left side.
        caption: one line; letters beyond ASCII need OpenCV 5.
    """
    _draw_text(image, box, caption, _letter_height(_side(image)))


def draw_detections(
    image: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    color: Sequence[int] | None = None,
    label_to_name: Callable[[int], str | None] | None = None,
    score_threshold: float = 0.5,
) -> None:
    """Draw the detections above a score, each with its name and score, the best on top.

    Args:
        image: (h, w, 3) BGR uint8, painted on.
        boxes: (n, 4) in pixels.
        scores: (n,).
        labels: (n,).
        color: one colour for all; None for the colour of each label.
        label_to_name: label -> name; None to write the label.
        score_threshold: scores must be above this.
    """
    scores = np.asarray(scores)
    order = np.argsort(scores, kind="stable")
    chosen = order[scores[order] > score_threshold]
    captions = [f"{_name(labels[i], label_to_name)}: {scores[i]:.2f}" for i in chosen]
    _draw_labelled(image, np.asarray(boxes)[chosen], np.asarray(labels)[chosen], captions, color)


def draw_annotations(
    image: np.ndarray,
    annotations: Annotations | np.ndarray,
    color: Sequence[int] | None = GREEN,
    label_to_name: Callable[[int], str | None] | None = None,
) -> None:
    """Draw ground truth boxes, each with its name.

    Args:
        image: (h, w, 3) BGR uint8, painted on.
        annotations: {"bboxes": (n, 4), "labels": (n,)}, or an array (n, 5) of box and label.
        color: one colour for all; None for the colour of each label.
        label_to_name: label -> name; None to write the label.

    Raises:
        ValueError: if the number of labels is not the number of boxes.
    """
    if isinstance(annotations, np.ndarray):
        annotations = {"bboxes": annotations[:, :4], "labels": annotations[:, 4]}
    boxes, labels = annotations["bboxes"], annotations["labels"]
    if len(boxes) != len(labels):
        raise ValueError(f"expected a label for each of {len(boxes)} boxes, got {len(labels)}")
    captions = [_name(label, label_to_name) for label in labels]
    _draw_labelled(image, boxes, labels, captions, color)


def contact_sheet(
    panels: Sequence[np.ndarray],
    columns: int,
    titles: Sequence[str] | None = None,
    cell: tuple[int, int] | None = None,
    gap: int = 4,
) -> np.ndarray:
    """Arrange images in a grid of equal cells, row by row, keeping their proportions.

    Args:
        panels: images (h, w, 3) BGR uint8 of any sizes, at least one.
        columns: number of cells in a row, at least 1.
        titles: a line of text above each panel; None for none.
        cell: (height, width) of a cell; None for the largest height and width among the panels.
        gap: pixels between the cells and around the sheet.

    Returns:
        A new BGR uint8 image.

    Raises:
        ValueError: without panels or columns, or if the number of titles is not that of panels.
    """
    if not len(panels) or columns < 1:
        raise ValueError(
            f"expected panels and columns, got {len(panels)} panels, {columns} columns"
        )
    if titles is not None and len(titles) != len(panels):
        raise ValueError(f"expected {len(panels)} titles, got {len(titles)}")
    height, width = cell or np.max([panel.shape[:2] for panel in panels], axis=0)
    tiles = [_letterbox(panel, int(height), int(width)) for panel in panels]
    if titles is not None:
        tiles = [_titled(tile, title) for tile, title in zip(tiles, titles, strict=True)]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(shape, 32, "uint8")
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def write_picture(path: StrPath, picture: np.ndarray) -> None:
    """Write a picture atomically; its folder is created if needed.

    Args:
        path: the file; its extension chooses the format.
        picture: BGR uint8 (h, w, 3).

    Raises:
        OSError: if it cannot be written.
    """
    try:
        done, data = cv2.imencode(os.path.splitext(path)[1], picture)
    except cv2.error:
        done = False
    if not done:
        height, width = picture.shape[:2]
        raise OSError(f"cannot write {path}: OpenCV does not encode {width} x {height} pixels so")
    atomic_write(path, data.tobytes())


def _letterbox(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fit an image into a black frame of a given size, centred."""
    rows, columns = image.shape[:2]
    scale = min(height / rows, width / columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = image if size == (columns, rows) else cv2.resize(image, size, interpolation=method)
    frame = np.zeros((height, width, 3), "uint8")
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = fitted
    return frame


def _titled(tile: np.ndarray, title: str) -> np.ndarray:
    text, _ = _caption_masks(title, _letter_height(_side(tile)))
    bar = np.full((len(text), tile.shape[1], 3), 32, "uint8")
    shown = text[:, : tile.shape[1], None]
    bar[:, : shown.shape[1]] = np.maximum(bar[:, : shown.shape[1]], np.rint(shown * 255)).astype(
        "uint8"
    )
    return np.concatenate([bar, tile])


def _draw_labelled(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    captions: Sequence[str],
    color: Sequence[int] | None,
) -> None:
    """Draw all boxes, then all captions, so that no line is drawn over a caption."""
    side = _drawing_side(image, np.asarray(boxes, "float64").reshape(-1, 4))
    thickness = max(1, round(side / 300))
    for box, label in zip(boxes, labels, strict=True):
        draw_box(image, box, label_color(int(label)) if color is None else color, thickness)
    for box, caption in zip(boxes, captions, strict=True):
        _draw_text(image, box, caption, _letter_height(side))


def _draw_text(
    image: np.ndarray, box: Sequence[float] | np.ndarray, caption: str, letter: int
) -> None:
    """Write a caption as `draw_caption` does, with capital letters of a given height."""
    text, outline = _caption_masks(caption, letter)
    (height, width), (rows, columns) = text.shape, image.shape[:2]
    x1, y1, _, _ = _inside(image, box)
    top = y1 - height if y1 >= height else y1
    top, left = max(0, min(top, rows - height)), max(0, min(x1, columns - width))
    patch = image[top : top + height, left : left + width]
    text, outline = (mask[: len(patch), : patch.shape[1], None] for mask in (text, outline))
    # The outline darkens the image, then the letters are drawn over it.
    shaded = patch * (1 - outline) * (1 - text) + 255 * text
    patch[...] = np.rint(shaded).astype(image.dtype)


def _name(label: float, label_to_name: Callable[[int], str | None] | None) -> str:
    name = label_to_name(int(label)) if label_to_name else int(label)
    return f"label {int(label)}" if name is None else str(name)


def _side(image: np.ndarray) -> float:
    """Return the side of the square with the image's area."""
    return float(np.sqrt(image.shape[0] * image.shape[1]))


def _drawing_side(image: np.ndarray, boxes: np.ndarray) -> float:
    """Return the side of the image that lines and letters are sized for.

    It is that of the image, unless the image has many boxes and they are small: then letters would
    cover what lies between them. A few small boxes have room around them.
    """
    side = _side(image)
    if not len(boxes):
        return side
    box_side = np.median(np.abs(boxes[:, 2:] - boxes[:, :2]).min(axis=1))
    room = max(box_side, side / np.sqrt(len(boxes)) / 2)
    return min(side, _SIDES_OF_BOX * room)


def _letter_height(side: float) -> int:
    """Return the height of capital letters in pixels, for an image of this side."""
    return max(8, round(side / 38))


def _inside(image: np.ndarray, box: Sequence[float] | np.ndarray) -> list[int]:
    """Return a box rounded to pixels of the image."""
    rows, columns = image.shape[:2]
    limits = [columns - 1, rows - 1] * 2
    return [int(value) for value in np.clip(np.rint(np.asarray(box, "float64")), 0, limits)]


@lru_cache(maxsize=256)
def _caption_masks(caption: str, letter: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage (h, w) in [0, 1] of a line of text, and of the text with its outline.

    The outline is the text dilated by a pixel or two: OpenCV 5 ignores the stroke width with which
    older versions drew one.
    """
    scale, edge = letter / _LETTER, max(1, round(letter / 10))
    stroke = 1 if letter < 12 else 2
    (width, height), below = cv2.getTextSize(caption, _FONT, scale, stroke)
    margin = edge + 1
    # Letters such as g reach up to half a capital below the line, whatever the font reports.
    below = max(below, letter // 3)
    canvas = np.zeros((height + below + 2 * margin, width + 2 * margin), "uint8")
    cv2.putText(canvas, caption, (margin, margin + height), _FONT, scale, 255, stroke, cv2.LINE_AA)
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
    return canvas / 255.0, cv2.dilate(canvas, ball) / 255.0
