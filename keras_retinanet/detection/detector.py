"""A model and images in, detections out.

One way leads from an image to its detections, whoever asks: resize, normalise, run the network on a
batch of images of equal size (none is padded, so what shares a batch does not matter), undo the
resizing, cut off at the image's border.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.detection.detections import Detections
from keras_retinanet.geometry.boxes import clip
from keras_retinanet.images import resize_image
from keras_retinanet.models import convert_model, is_training_model

# Images that wait for others of their size, at most this many batches of them.
_WAITING_BATCHES = 8


@dataclass(frozen=True)
class Prepared:
    """An image at the network's size, not yet normalised.

    Attributes:
        image: (h, w, 3), resized.
        scale: resized pixels per original pixel.
        size: (height, width) of the original.
    """

    image: np.ndarray
    scale: float
    size: tuple[int, int]


class Detector:
    """Runs a model on images of any size.

    Args:
        model: a training model, which is converted here and shares its weights, or an inference
            model. Anything with `predict_on_batch` that returns boxes, scores, labels will do.
        resize_image: image -> (image, scale); by default as the model's details say.
        preprocess_image: image -> normalised float image; by default as the details say.
        **convert_options: for `convert_model`, if the model has to be converted.

    Raises:
        ValueError: for a model without details, unless both functions are given.
    """

    def __init__(
        self,
        model: object,
        resize_image: Callable | None = None,
        preprocess_image: Callable | None = None,
        **convert_options: object,
    ) -> None:
        self.info = getattr(model, "info", None)
        if self.info is None and (resize_image is None or preprocess_image is None):
            raise ValueError(
                "expected a model that knows how its images are prepared (model.info), "
                "or the functions resize_image and preprocess_image; got neither"
            )
        self._resize = resize_image or self._resize_as_trained
        self._normalise = preprocess_image or self.info.preprocess_image
        if isinstance(model, keras.Model) and is_training_model(model):
            model = convert_model(model, **convert_options)
        self.model = model
        self._dtype = model.inputs[0].dtype if isinstance(model, keras.Model) else "float32"
        self._run = _compiled(model)

    def _resize_as_trained(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        if self.info.no_resize:
            return image, 1.0
        return resize_image(image, self.info.image_min_side, self.info.image_max_side)

    def run_network(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run the network.

        Args:
            batch: (b, h, w, 3) normalised float32; uint8 for a model that normalises it.

        Returns:
            boxes (b, n, 4) in pixels of the batch, scores (b, n), labels (b, n); -1 where there are
            fewer than n detections.
        """
        boxes, scores, labels = (np.asarray(output) for output in self._run(batch)[:3])
        return boxes, scores, labels

    def prepare(self, image: np.ndarray) -> Prepared:
        """Resize a BGR image (h, w, 3) to the network's size."""
        resized, scale = self._resize(image)
        return Prepared(resized, float(scale), image.shape[:2])

    def detect(
        self,
        images: Sequence[np.ndarray],
        score_threshold: float = 0.05,
        max_detections: int | None = 100,
    ) -> list[Detections]:
        """Find objects in images; those that have one size after resizing share a batch.

        Args:
            images: BGR uint8 (h, w, 3) of any sizes.
            score_threshold: keep what scores above this.
            max_detections: keep at most this many an image, the best; None for all.
        """
        samples = enumerate(self.prepare(image) for image in images)
        found = {}
        for indices, results, _ in self.detect_batches(samples, len(images)):
            found.update(zip(indices, results, strict=True))
        return [select(found[i], score_threshold, max_detections) for i in range(len(images))]

    def detect_batches(
        self, samples: Iterable[tuple[int, Prepared]], batch_size: int
    ) -> Iterator[tuple[list[int], list[Detections], float]]:
        """Run prepared images in batches of equal size.

        Args:
            samples: (index, image) in any order.
            batch_size: most images in a batch.

        Yields:
            For each batch: the indices, all detections of each image, seconds the network took.
        """
        for group in _batches(samples, batch_size):
            batch = np.stack([self._normalise(sample.image) for _, sample in group])
            batch = batch.astype(self._dtype, copy=False)
            start = time.perf_counter()
            outputs = self.run_network(batch)
            seconds = time.perf_counter() - start
            found = [
                _to_original(sample, *output)
                for (_, sample), *output in zip(group, *outputs, strict=True)
            ]
            yield [index for index, _ in group], found, seconds


def _compiled(model: object) -> Callable:
    """Return the model as one graph, traced once for all sizes its input allows."""
    if not isinstance(model, keras.Model):
        return model.predict_on_batch
    spec = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
    run = tf.function(lambda batch: model(batch, training=False), input_signature=[spec])
    graph = run.get_concrete_function()
    return lambda batch: graph(tf.convert_to_tensor(batch))


def _batches(
    samples: Iterable[tuple[int, Prepared]], batch_size: int
) -> Iterator[list[tuple[int, Prepared]]]:
    """Group a stream of images by size; the commonest size goes first when too many wait."""
    waiting = defaultdict(list)
    for index, sample in samples:
        group = waiting[sample.image.shape]
        group.append((index, sample))
        if len(group) == batch_size:
            yield waiting.pop(sample.image.shape)
        elif sum(map(len, waiting.values())) >= batch_size * _WAITING_BATCHES:
            yield waiting.pop(max(waiting, key=lambda shape: len(waiting[shape])))
    yield from waiting.values()


def _to_original(
    sample: Prepared, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> Detections:
    """Return the network's output for one image in pixels of the original, best first."""
    order = np.argsort(-scores, kind="stable")
    order = order[labels[order] >= 0]
    height, width = sample.size
    # Annotated boxes reach the far edge of the last pixel, one more than `clip` lets pass.
    corners = clip(boxes[order] / sample.scale, height + 1, width + 1)
    return Detections(corners, scores[order], labels[order].astype(int))


def select(found: Detections, score_threshold: float, max_detections: int | None) -> Detections:
    """Return the detections above a score, at most so many; None for all."""
    count = int(np.count_nonzero(found.scores > score_threshold))
    return found.best(count).best(max_detections)
