"""Images made of several: mosaics, and objects pasted from one into another.

A sample is an image `(h, w, 3)` and its annotations; the result has the size of the first sample,
so that it fits the batch its image was grouped into.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from keras_retinanet.augmentation.crops import Window, warp_and_crop
from keras_retinanet.augmentation.transforms import TransformParameters
from keras_retinanet.geometry.boxes import area
from keras_retinanet.system.types import Annotations

Sample = tuple[np.ndarray, Annotations]

# Where the four tiles of a mosaic meet, as a share of the image's sides.
CENTRE = (0.3, 0.7)
# Factor on the size of a pasted object, beside that of its image to the other.
PASTE_SCALE = (0.75, 1.25)
# What is cut out around a box, as a share of its sides, and fades out towards the border.
MARGIN = 0.1
# Maximum share of an object's box that pasted ones cover.
MAX_COVERED = 0.25
# Random places that are tried for an object; if it fits at none, it is left out.
TRIES = 10


@dataclass(frozen=True)
class RandomMix:
    """Random mixtures of an image with others of its data set.

    Attributes:
        mosaic: probability of `mosaic`, 0 to 1.
        copy_paste: probability of `copy_paste`, afterwards.
    """

    mosaic: float = 0.0
    copy_paste: float = 0.0

    def apply(
        self,
        sample: Sample,
        index: int,
        size: int,
        load: Callable[[Sequence[int]], Sequence[Sample]],
        rng: np.random.Generator,
    ) -> Sample:
        """Return a sample, mixed or as it is.

        In a data set of one image that image takes the place of others.

        Args:
            sample: the sample.
            index: index of its image.
            size: number of images in the data set.
            load: function of indices that returns their samples.
            rng: where all random numbers come from.
        """
        if rng.uniform() < self.mosaic:
            sample = mosaic([sample, *load(sample_others(index, size, 3, rng))], rng)
        if rng.uniform() < self.copy_paste:
            (other,) = load(sample_others(index, size, 1, rng))
            sample = copy_paste(sample, other, rng)
        return sample


def sample_others(index: int, size: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return `count` random indices of `size` images other than `index`, unless it is the only one.

    They differ where there are enough.
    """
    if size == 1:
        return [index] * count
    steps = rng.choice(size - 1, count, replace=count > size - 1)
    return ((index + 1 + steps) % size).tolist()


def mosaic(samples: Sequence[Sample], rng: np.random.Generator) -> Sample:
    """Return four samples as tiles around a random centre (arXiv 2004.10934).

    Each tile shows a random part of its image around a random object, at a scale between that at
    which the image just covers the tile and that at which it would cover the full mosaic or the
    object fill the tile. Boxes are clipped to their tile, and dropped where a crop drops them.

    Args:
        samples: four; the mosaic has the size of the first.
        rng: where all random numbers come from.
    """
    mixed = np.empty_like(samples[0][0])
    height, width = mixed.shape[:2]
    x, y = (round(rng.uniform(*CENTRE) * side) for side in (width, height))
    tiles = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    parts = []
    for number, (x1, y1, x2, y2) in zip(rng.permutation(4).tolist(), tiles, strict=True):
        if x1 == x2 or y1 == y2:  # the mosaic is a pixel wide
            continue
        image, annotations = samples[number]
        tile, full = np.array([x2 - x1, y2 - y1]), np.array([width, height])
        window = _sample_window(samples[number], tile, full, rng)
        shown, annotations = resize(*crop(image, annotations, window), (x2 - x1, y2 - y1))
        mixed[y1:y2, x1:x2] = shown
        parts.append(shift(annotations, x1, y1))
    return mixed, merge(parts)


def _sample_window(
    sample: Sample, tile: np.ndarray, full: np.ndarray, rng: np.random.Generator
) -> Window:
    """Return the part of an image that a tile of a mosaic shows; sizes are width and height."""
    image, annotations = sample
    sides = np.array(image.shape[1::-1])
    boxes = annotations["bboxes"]
    box = boxes[rng.integers(len(boxes))] if len(boxes) else np.array([0, 0, *sides])
    smallest = (tile / sides).max()
    filling = (tile / np.maximum(box[2:] - box[:2], 1)).min() if len(boxes) else np.inf
    largest = max(smallest, min(filling, (full / sides).max()))
    part = np.rint(tile / rng.uniform(smallest, largest)).astype(int).clip(1, sides)
    # Where the window holds the box, or, if it is too small for that, lies in it.
    ends = np.sort([box[:2], box[2:] - part], axis=0).clip(0, sides - part)
    x, y = np.rint(rng.uniform(*ends)).astype(int).tolist()
    return x, y, x + int(part[0]), y + int(part[1])


def copy_paste(sample: Sample, other: Sample, rng: np.random.Generator) -> Sample:
    """Return a sample with some objects of another, cut out as rectangles with a soft border.

    Their number is random. Each is scaled as its image would be to fit the other, give or take a
    quarter, and pasted at a random place where it covers at most `MAX_COVERED` of any box, or left
    out if `TRIES` places are none. What a rectangle shows of further objects comes with it, as in a
    crop. The idea is that of arXiv 1708.01642 and 2012.07177, which have masks.

    Args:
        sample: what to paste into.
        other: what to cut out of.
        rng: where all random numbers come from.
    """
    image, annotations = sample
    count = len(other[1]["bboxes"])
    if not count:
        return sample
    image = image.copy()
    covered = np.zeros(len(annotations["bboxes"]))  # pixels of each box
    chosen = rng.permutation(count)[: rng.integers(1, count + 1)]
    for box in other[1]["bboxes"][chosen]:
        patch, pasted, opacity = _cut_out(other, box, _fit(other[0], image), image, rng)
        height, width = patch.shape[:2]
        boxes = annotations["bboxes"]
        limits = MAX_COVERED * np.maximum(area(boxes), 0)
        for _ in range(TRIES):
            x, y = _sample_place(patch, image, rng)
            shared = np.minimum(boxes[:, 2:], [x + width, y + height])
            shared = np.maximum(shared - np.maximum(boxes[:, :2], [x, y]), 0).prod(axis=1)
            if (covered + shared <= limits).all():
                break
        else:
            continue
        part = image[y : y + height, x : x + width]
        part[:] = np.rint(part + opacity * (patch.astype("float32") - part))
        annotations = merge([annotations, shift(pasted, x, y)])
        covered = np.append(covered + shared, np.zeros(len(pasted["bboxes"])))
    return image, annotations


def _cut_out(
    sample: Sample, box: np.ndarray, scale: float, onto: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Annotations, np.ndarray]:
    """Return the scaled surroundings of a box, their annotations, and an opacity `(h, w, 1)`.

    The opacity is 1 in the box and falls to 0 over the margin.
    """
    image, annotations = sample
    margin = MARGIN * np.tile(box[2:] - box[:2], 2)
    outer = box + margin * [-1, -1, 1, 1]
    limits = image.shape[1], image.shape[0]
    start = np.maximum(np.floor(outer[:2]), 0).astype(int)
    end = np.minimum(np.ceil(outer[2:]), limits).astype(int)
    patch, inside = crop(image, annotations, (*start.tolist(), *end.tolist()))
    scale = min(scale * rng.uniform(*PASTE_SCALE), _fit(patch, onto))
    size = _scaled_size(patch, scale)
    factors = np.array(size) / (end - start)
    opacity = []
    for axis in range(2):
        centres = (np.arange(size[axis]) + 0.5) / factors[axis] + start[axis]
        edges = [outer[axis], box[axis], box[axis + 2], outer[axis + 2]]
        opacity.append(np.interp(centres, edges, [0, 1, 1, 0]))
    return *resize(patch, inside, size), np.outer(opacity[1], opacity[0])[..., None]


def crop(image: np.ndarray, annotations: Annotations, window: Window) -> Sample:
    """Return a window of an image, and its boxes clipped or dropped as `RandomCrop`'s are."""
    return warp_and_crop(image, annotations, np.eye(3), TransformParameters(), window)


def resize(image: np.ndarray, annotations: Annotations, size: tuple[int, int]) -> Sample:
    """Return an image at a width and height, bilinear as `resize_image` does, and its boxes."""
    height, width = image.shape[:2]
    factors = np.array([size[0] / width, size[1] / height] * 2)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return resized, {**annotations, "bboxes": annotations["bboxes"] * factors}


def shift(annotations: Annotations, x: float, y: float) -> Annotations:
    """Return annotations with their boxes moved by `x` and `y` pixels."""
    return {**annotations, "bboxes": annotations["bboxes"] + [x, y, x, y]}


def merge(parts: Sequence[Annotations]) -> Annotations:
    """Return the annotations of several images as those of one.

    A key that some of them lack is filled with zeros there.
    """
    full = [part for part in parts if len(part["bboxes"])]
    merged = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        # An empty array may be of any type.
        like = np.asarray(next(part[key] for part in (*full, *parts) if key in part))[:0]
        values = [
            part.get(key, np.zeros((len(part["bboxes"]), *like.shape[1:]), like.dtype))
            for part in full
        ]
        merged[key] = np.concatenate([like, *values])
    return merged


def _fit(image: np.ndarray, frame: np.ndarray) -> float:
    """Return the factor at which an image just fits into the frame of another."""
    return min(frame.shape[axis] / image.shape[axis] for axis in range(2))


def _scaled_size(image: np.ndarray, scale: float) -> tuple[int, int]:
    """Return width and height, at least a pixel, of an image scaled by a factor."""
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    return width, height


def _sample_place(
    small: np.ndarray, large: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Return x and y of a random place of an image inside a larger one."""
    y, x = (int(rng.integers(large.shape[i] - small.shape[i] + 1)) for i in range(2))
    return x, y
