"""Images in, detections out.

Every caller gets from an image to its detections in the same way: resize, normalise, run the
network on a batch of images of equal size (nothing is padded, so it does not matter which images
share a batch, unless the network takes a single size), undo the resizing, clip to the image.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar, cast

import numpy as np

from keras_retinanet.batches.padding import MEAN_PIXEL
from keras_retinanet.detection.class_names import shown_names
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.formats import exported_format
from keras_retinanet.detection.inputs import ImageLike, as_image, is_one_image
from keras_retinanet.detection.runners import Runner, open_exported
from keras_retinanet.detection.tiles import OVERLAPPING_PART, merge, tiles_of
from keras_retinanet.geometry.anchors import guess_shapes
from keras_retinanet.geometry.boxes import clip
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.geometry.suppression import filter_boxes
from keras_retinanet.images import resize_image, to_uint8
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.system.resizing import Scale
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    import keras

# Images wait for others of their size until they could fill this many batches.
WAITING_BATCHES = 8

# Image -> resized image, resized pixels per original pixel.
Resize = Callable[[np.ndarray], tuple[np.ndarray, Scale]]
# Image -> normalised image.
Normalise = Callable[[np.ndarray], np.ndarray]


class InferenceModel(Protocol):
    """A model that returns boxes, scores and labels, in Keras or not."""

    def predict_on_batch(self, batch: np.ndarray, /) -> Sequence[np.ndarray]:
        """Return boxes (b, n, 4), scores (b, n), labels (b, n), padded with -1."""


# What tells an image in `Detector.detect_in_order`.
Key = TypeVar("Key")


@dataclass(frozen=True)
class Prepared:
    """An image at the network's size, not yet normalised.

    Attributes:
        image: (h, w, 3), resized.
        scale: resized pixels per original pixel: a number, or `(4,)` for x, y, x, y.
        size: (height, width) of the original.
    """

    image: np.ndarray
    scale: Scale
    size: tuple[int, int]


@dataclass
class _Waiting(Generic[Key]):
    """An image that waits for a batch, or for those before it.

    Attributes:
        key: what tells the image.
        sample: the image; None once it has been run, or if it is not.
        result: its detections, or the error of the network.
    """

    key: Key
    sample: Prepared | None
    result: Detections | Exception | None = None


class Detector:
    """A model together with the preparation of its images.

    Args:
        model: a training model, which is converted here and shares its weights; an inference model,
            of Keras or any other with `predict_on_batch`; or the runner of an exported file.
        resize_image: image -> (image, scale), the scale a number or `(4,)` for x, y, x, y; None to
            resize as the model was trained.
        preprocess_image: image -> normalised float image; None to normalise as the model was
            trained.
        tile: pixels; larger images are cut into square tiles of this side, each of which is resized
            as an image is. None for whole images.
        overlap: pixels that neighbouring tiles share at least; objects up to this size are whole in
            one of them. None for a quarter of a tile.
        **convert_options: for `convert_model`, if the model has to be converted.

    Attributes:
        runner: what runs the network.
        info: what the model knows about itself; None if it knows nothing.
        class_names: the name of each label, None for one without; None if no names are known.
        devices: number of batches that it can run at once: that of this process's devices, if the
            model has a strategy with several.

    Raises:
        ValueError: for a model without info, unless both functions are given.
    """

    def __init__(
        self,
        model: keras.Model | InferenceModel | Runner,
        resize_image: Resize | None = None,
        preprocess_image: Normalise | None = None,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        **convert_options: Any,
    ) -> None:
        info: ModelInfo | None = getattr(model, "info", None)
        if resize_image is None or preprocess_image is None:
            if info is None:
                raise ValueError(
                    "expected a model that knows how its images are prepared (model.info), "
                    "or both functions resize_image and preprocess_image"
                )
            resize_image = resize_image or resizing(info)
            preprocess_image = preprocess_image or info.preprocess_image
        self.info = info
        self.class_names = info.class_names if info is not None else None
        self._resize, self._normalise = resize_image, preprocess_image
        if tile is None and overlap is not None:
            raise ValueError(f"overlap: {overlap} has no effect without tile")
        self.tile = tile
        self.overlap = overlap if overlap is not None else (tile or 0) // OVERLAPPING_PART
        if tile is not None:
            tiles_of(1, 1, tile, self.overlap)  # refuses an overlap that is too large
        self.runner = as_runner(model, **convert_options)
        self.devices = self.runner.devices

    @classmethod
    def load(
        cls,
        model: StrPath,
        *,
        min_side: int | None = None,
        max_side: int | None = None,
        score_threshold: float = 0.05,
        max_detections: int | None = None,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> Detector:
        """Return the detector of a model in a file; a training snapshot is converted.

        Args:
            model: an exported model, .onnx, .xml, .tflite or the folder of a SavedModel; or what
                `models.load_model` takes: a training snapshot or a converted model, .keras or .h5;
                a checkpoint of another library, such as .pth; or the name of a published model,
                such as "coco".
            min_side: pixels of the shorter side of images; None for that of the training.
            max_side: maximum pixels of the longer side; None for that of the training.
            score_threshold: scores above this are kept when a snapshot is converted. A converted
                model has its own threshold, and a warning tells if that is higher.
            max_detections: maximum number of detections per image that the caller wants; None for
                those that the model keeps, 300 for a snapshot of our own. A converted model has its
                own maximum, and a warning tells if that is lower.
            tile: see `Detector`.
            overlap: see `Detector`.

        Raises:
            OSError: if there is no such file.
            ValueError: if it holds no model that can be read, or its runtime is not installed; or
                if `max_detections` is less than 1.
        """
        if max_detections is not None and max_detections < 1:
            raise ValueError(f"max_detections: expected at least 1, got {max_detections}")
        loaded: Any
        if exported_format(model) is not None:
            loaded, is_converted = open_exported(model), True
        else:
            from keras_retinanet import models

            loaded = models.load_model(model)
            is_converted = not models.is_training_model(loaded)
        info: ModelInfo | None = getattr(loaded, "info", None)
        size = getattr(loaded, "input_size", None)
        resize = None
        if info is not None:
            resize = resizing(with_sides(info, min_side, max_side, input_size=size))
        if info is not None and is_converted:
            warn_of_limits(model, info, score_threshold, max_detections or 0)
        kept = filter_for(score_threshold, max_detections or 0, info)
        detector = cls(loaded, resize, tile=tile, overlap=overlap, **kept)
        detector.class_names = shown_names(info)
        return detector

    @property
    def model(self) -> Any:
        """The inference model, or the runner of an exported file."""
        return getattr(self.runner, "model", self.runner)

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or sent to another process: a compiled network cannot be."""
        raise TypeError(
            "a Detector cannot be pickled, copied or sent to another process: hand over the path "
            "of its model, and load it there (keras_retinanet.Detector.load)"
        )

    def run_network(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run the network.

        Args:
            batch: (b, h, w, 3) normalised float32; uint8 for a model that normalises its images.

        Returns:
            boxes (b, n, 4) in pixels of the batch, scores (b, n), labels (b, n); -1 where there are
            fewer than n detections.
        """
        outputs = [np.asarray(output) for output in self.runner.run(batch)]
        if self.runner.is_raw and self.info is not None:
            height, width = batch.shape[1:3]
            return filter_raw(outputs[0], outputs[1], self.info, (height, width))
        boxes, scores, labels = outputs[:3]
        return boxes, scores, labels

    def __call__(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        score_threshold: float = 0.5,
        max_detections: int | None = None,
        batch_size: int = 1,
        order: str = "bgr",
        max_pixels: int = MAX_PIXELS,
    ) -> Detections | Iterator[Detections]:
        """Return the detections of an image, or yield those of several, in their order.

        Of several images a few are in memory at a time, however many there are. An error of one is
        raised after the detections of those before it.

        Example:
            detector = Detector.load("coco")
            found = detector("photo.jpg")
            for found in detector(Path("photos").glob("*.jpg")):
                print(found.names, found.boxes)

        Args:
            images: an image, or an iterable of images, as `inputs.as_image` takes them: a path, a
                URL, the bytes of a file, a PIL image, an array.
            score_threshold: minimum score.
            max_detections: maximum number of detections per image, the best ones; None for all that
                the model gives.
            batch_size: maximum number of images in a batch; it changes speed and memory, not
                results.
            order: "bgr" or "rgb", that of the channels of arrays.
            max_pixels: maximum number of pixels that the header of a file may declare.

        Raises:
            OSError: if a file cannot be opened.
            ValueError: if something is no image.
        """
        is_one = is_one_image(images)
        many = cast("Iterable[ImageLike]", [images] if is_one else images)
        read = (as_image(one, order=order, max_pixels=max_pixels) for one in many)
        everything = (
            (self.detect_large(image, batch_size) for image in read)
            if self.tile is not None
            else self._in_order(read, batch_size)
        )
        found = (one.filter(score=score_threshold).best(max_detections) for one in everything)
        return next(found) if is_one else found

    def _in_order(self, images: Iterable[np.ndarray], batch_size: int) -> Iterator[Detections]:
        """Yield all detections of each image, in their order; an error is raised in its turn."""

        def prepared() -> Iterator[tuple[Exception | None, Prepared | None]]:
            try:
                for image in images:
                    yield None, self.prepare(image)
            except Exception as error:
                yield error, None

        for error, found in self.detect_in_order(prepared(), batch_size):
            if isinstance(found, Detections):
                yield found
            elif problem := error or found:
                raise problem

    def detect_in_order(
        self, samples: Iterable[tuple[Key, Prepared | None]], batch_size: int
    ) -> Iterator[tuple[Key, Detections | Exception | None]]:
        """Run prepared images in batches of equal size, and yield what becomes of each, in order.

        Few images wait at a time: if some of rare sizes hold up the others, their batches are run
        with fewer images. An image that fails costs no other: where a batch does, its images are
        run one by one.

        Args:
            samples: (anything that tells the image, prepared image); None for one that is not run.
            batch_size: maximum number of images in a batch.

        Yields:
            What told the image, with all detections, the error of the network, or None if it was
            not run.
        """
        waiting: deque[_Waiting[Key]] = deque()
        by_shape: dict[tuple[int, ...], list[_Waiting[Key]]] = {}
        limit = batch_size * WAITING_BATCHES if batch_size > 1 else 1
        for key, sample in samples:
            entry = _Waiting(key, sample)
            waiting.append(entry)
            if sample is not None:
                group = by_shape.setdefault(sample.image.shape, [])
                group.append(entry)
                if len(group) == batch_size:
                    self._run_group(by_shape.pop(sample.image.shape))
            while waiting and (waiting[0].sample is None or len(waiting) >= limit):
                first = waiting.popleft()
                if first.sample is not None:
                    self._run_group(by_shape.pop(first.sample.image.shape))
                yield first.key, first.result
        for group in by_shape.values():
            self._run_group(group)
        yield from ((entry.key, entry.result) for entry in waiting)

    def _run_group(self, group: list[_Waiting[Any]]) -> None:
        """Give waiting images of one size their detections, or the error of the network."""
        try:
            results: Sequence[Detections | Exception]
            results, _ = self.detect_batch([one.sample for one in group if one.sample is not None])
        except Exception as error:
            if len(group) > 1:  # one image may fit into the memory where a batch does not
                for one in group:
                    self._run_group([one])
                return
            results = [error]
        for entry, result in zip(group, results, strict=True):
            entry.sample, entry.result = None, result

    def prepare(self, image: np.ndarray) -> Prepared:
        """Resize a BGR image (h, w, 3) to the network's size."""
        size = self.runner.input_size
        resized, scale = self._resize(image) if size is None else fit(image, size, self.info)
        # A function of the caller's may return any kind of number.
        return Prepared(resized, scale if np.ndim(scale) else float(scale), image.shape[:2])

    def detect(
        self,
        images: Sequence[np.ndarray],
        score_threshold: float = 0.05,
        max_detections: int | None = None,
    ) -> list[Detections]:
        """Return the detections of each image; images of equal size after resizing share a batch.

        A warning tells if an image has as many as the model can return.

        Args:
            images: BGR uint8 (h, w, 3) of any sizes.
            score_threshold: scores must be above this.
            max_detections: maximum number of detections per image, the best ones; None for all.
        """
        found: dict[int, Detections] = {}
        if self.tile is not None:
            found.update(enumerate(self.detect_large(image, len(images)) for image in images))
        else:
            samples = enumerate(self.prepare(image) for image in images)
            for indices, results, _ in self.detect_batches(samples, len(images)):
                found.update(zip(indices, results, strict=True))
        above = [found[i].above(score_threshold) for i in range(len(images))]
        full = [len(one) for one in above if one.capped]
        if full and (max_detections is None or max_detections > max(full)):
            # The same text each time, which Python shows once.
            warnings.warn(
                f"an image has {max(full)} detections, the maximum of this model: there may be "
                "more; give Detector or convert_model a higher max_detections",
                stacklevel=2,
            )
        return [one.best(max_detections) for one in above]

    def detect_large(self, image: np.ndarray, batch_size: int = 1) -> Detections:
        """Return all detections of an image, tile by tile if it is larger than a tile.

        Args:
            image: BGR uint8 (h, w, 3).
            batch_size: maximum number of tiles in a batch.
        """
        height, width = image.shape[:2]
        tiles = tiles_of(height, width, self.tile or max(height, width), self.overlap)
        first = self.prepare(tiles[0].crop(image))
        others = (self.prepare(tile.crop(image)) for tile in tiles[1:])
        samples = enumerate(itertools.chain([first], others))
        found: dict[int, Detections] = {}
        for indices, results, _ in self.detect_batches(samples, batch_size):
            found.update(zip(indices, results, strict=True))
        if len(tiles) == 1:
            return found[0]
        settings = self.info.filter_settings if self.info is not None else FilterSettings()
        ordered = [found[i] for i in range(len(tiles))]
        # How many pixels of a tile become one of the network's.
        pixel = 1 / float(np.min(first.scale))
        return merge(ordered, tiles, (height, width), settings, pixel)

    def detect_batches(
        self, samples: Iterable[tuple[int, Prepared]], batch_size: int
    ) -> Iterator[tuple[list[int], list[Detections], float]]:
        """Run prepared images in batches of equal size.

        Args:
            samples: (index, image) in any order.
            batch_size: maximum number of images in a batch.

        Yields:
            For each batch: the indices, all detections of each image, seconds that the network
            took.
        """
        groups = equal_sizes(samples, batch_size)
        while at_once := list(itertools.islice(groups, self.devices)):
            batches = [[sample for _, sample in group] for group in at_once]
            results, seconds = self._detect_at_once(batches)
            for group, found in zip(at_once, results, strict=True):
                yield [index for index, _ in group], found, seconds / len(at_once)

    def detect_batch(self, samples: Sequence[Prepared]) -> tuple[list[Detections], float]:
        """Run prepared images of equal size as one batch.

        Returns:
            All detections of each image, seconds that the network took.
        """
        (found,), seconds = self._detect_at_once([samples])
        return found, seconds

    def _detect_at_once(
        self, batches: Sequence[Sequence[Prepared]]
    ) -> tuple[list[list[Detections]], float]:
        """Run as many batches as there are devices, or fewer one after the other."""
        arrays = [self._to_array(samples) for samples in batches]
        start = time.perf_counter()
        if len(arrays) == self.devices > 1:
            outputs = [tuple(map(np.asarray, one)) for one in self.runner.run_all(arrays)]
        else:
            outputs = [self.run_network(array) for array in arrays]
        seconds = time.perf_counter() - start
        found = [
            [
                replace(_to_original(*one), class_names=self.class_names)
                for one in zip(samples, *output[:3], strict=True)
            ]
            for samples, output in zip(batches, outputs, strict=True)
        ]
        return found, seconds

    def _to_array(self, samples: Sequence[Prepared]) -> np.ndarray:
        """Return prepared images of equal size as the network takes them."""
        batch = np.stack([self._normalise(sample.image) for sample in samples])
        # Not every rule resizes to uint8, which a network that normalises its images takes.
        kind = self.runner.input_type
        return to_uint8(batch) if kind == "uint8" else batch.astype(kind, copy=False)


class _OtherRunner(Runner):
    """A caller's own model, as a runner."""

    def __init__(self, model: InferenceModel) -> None:
        self.model = model
        self.info = getattr(model, "info", None)

    def run(self, batch: np.ndarray) -> Sequence[Any]:
        return self.model.predict_on_batch(batch)


def as_runner(model: keras.Model | InferenceModel | Runner, **convert_options: Any) -> Runner:
    """Return what runs a model; a training model is converted with the options."""
    if isinstance(model, Runner):
        return model
    keras = sys.modules.get("keras")  # not imported for what needs no Keras
    if keras is not None and isinstance(model, keras.Model):
        from keras_retinanet.detection.keras_runner import KerasRunner

        return KerasRunner(model, **convert_options)
    return _OtherRunner(cast("InferenceModel", model))


def filter_raw(
    boxes: np.ndarray, scores: np.ndarray, info: ModelInfo, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the detections among all boxes of a batch, as a network that filters does.

    Args:
        boxes: (b, n, 4).
        scores: (b, n, classes).
        info: what the model knows, its filter settings among it.
        size: height and width of the images of the batch.

    Returns:
        boxes (b, k, 4), scores (b, k), labels (b, k), padded with -1; k is `max_detections`.
    """
    settings = info.filter_settings
    sizes = level_sizes(info, size) if settings.pre_nms_top_k is not None else None
    count = settings.max_detections
    found = np.full((len(boxes), count, 4), -1, "float32")
    found_scores = np.full((len(boxes), count), -1, "float32")
    labels = np.full((len(boxes), count), -1, "int32")
    for i in range(len(boxes)):
        kept = filter_boxes(boxes[i], scores[i], settings, sizes)
        if settings.clip == "last":
            clipped = np.clip(kept[0], 0, np.tile(size[::-1], 2))
            inside = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
            kept = clipped[inside], kept[1][inside], kept[2][inside]
        n = len(kept[1])
        found[i, :n], found_scores[i, :n], labels[i, :n] = kept
    return found, found_scores, labels


def level_sizes(info: ModelInfo, size: tuple[int, int]) -> list[int]:
    """Return how many anchors each pyramid level has for images of a height and width.

    Raises:
        ValueError: if the anchors are not known.
    """
    if info.anchors is None:
        raise ValueError("expected a model that knows its anchors")
    padded = [-(-side // info.pad_multiple) * info.pad_multiple for side in size]
    shapes = guess_shapes(padded, info.pyramid_levels)
    return [int(np.prod(shape)) * info.anchors.num_anchors() for shape in shapes]


def fit(
    image: np.ndarray, size: tuple[int, int], info: ModelInfo | None
) -> tuple[np.ndarray, Scale]:
    """Return an image resized so that it fits into a size, padded to it, and the factor.

    Args:
        image: BGR (h, w, 3).
        size: height and width of the result.
        info: what the model knows, whose rule of resizing is used.
    """
    height, width = image.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    sides = sorted(max(1, round(side * factor)) for side in (height, width))
    rule = info.resize_rule if info is not None else "keras_retinanet"
    resized, scale = resize_image(image, *sides, rule=rule)
    padded = np.empty((*size, 3), resized.dtype)
    padded[:] = MEAN_PIXEL
    rows, columns = (min(pair) for pair in zip(resized.shape, size, strict=False))
    padded[:rows, :columns] = resized[:rows, :columns]
    return padded, scale


def resizing(info: ModelInfo) -> Resize:
    """Return the function that resizes an image as a model's info says."""

    def resize(image: np.ndarray) -> tuple[np.ndarray, Scale]:
        if info.no_resize:
            return image, 1.0
        sides = info.image_min_side, info.image_max_side
        return resize_image(image, *sides, rule=info.resize_rule)

    return resize


def with_sides(
    info: ModelInfo,
    min_side: int | None = None,
    max_side: int | None = None,
    no_resize: bool = False,
    input_size: tuple[int, int] | None = None,
) -> ModelInfo:
    """Return a model's info with given sides of images, and warn if it was trained with others.

    Args:
        info: the model's info.
        min_side: pixels of the shorter side; None for that of the training.
        max_side: maximum pixels of the longer side; None for that of the training.
        no_resize: whether images keep their size; takes precedence over the sides.
        input_size: height and width of all images that the network takes; sides have no effect
            then, and a warning says so. None if it takes any size.
    """
    if input_size is not None:
        if min_side is not None or max_side is not None or no_resize:
            warnings.warn(
                "sides of images have no effect on a model that takes images of "
                f"{input_size[0]}x{input_size[1]} pixels only",
                stacklevel=2,
            )
        return info
    given = min_side is not None or max_side is not None
    chosen = replace(
        info,
        image_min_side=info.image_min_side if min_side is None else min_side,
        image_max_side=info.image_max_side if max_side is None else max_side,
        no_resize=no_resize or (info.no_resize and not given),
    )
    using, trained = (
        "unresized images"
        if one.no_resize
        else f"sides {one.image_min_side} and {one.image_max_side}"
        for one in (chosen, info)
    )
    if using != trained:
        warnings.warn(f"detecting with {using}; the model was trained with {trained}", stacklevel=2)
    return chosen


def filter_for(
    score_threshold: float, max_detections: int = 0, info: ModelInfo | None = None
) -> dict[str, Any]:
    """Return arguments of `convert_model` for a model that keeps at least the detections asked for.

    Args:
        score_threshold: threshold on the scores that the caller will apply.
        max_detections: number of detections per image that the caller will keep.
        info: what the model knows about itself, which says what it keeps otherwise; None for the
            defaults of `FilterSettings`.
    """
    default = FilterSettings() if info is None else info.filter_settings
    return {
        "score_threshold": min(default.score_threshold, score_threshold),
        "max_detections": max(default.max_detections, max_detections),
    }


def warn_of_limits(
    path: StrPath, info: ModelInfo, score_threshold: float, max_detections: int
) -> None:
    """Warn if a converted model keeps fewer detections than the caller asks for.

    Args:
        path: the file of the model.
        info: what the model knows about itself.
        score_threshold: threshold on the scores that the caller will apply.
        max_detections: number of detections per image that the caller will keep.
    """
    kept = info.filter_settings
    if kept.score_threshold > score_threshold:
        warnings.warn(
            f"{path}: converted with a score threshold of {kept.score_threshold:g}, so detections "
            f"between {score_threshold:g} and that are missing; convert its training snapshot with "
            f"--score-threshold {score_threshold:g}, or detect with the snapshot",
            stacklevel=3,
        )
    if kept.max_detections < max_detections:
        warnings.warn(
            f"{path}: converted to keep at most {kept.max_detections} detections per image, fewer "
            f"than the {max_detections} asked for; convert its training snapshot with "
            f"--max-detections {max_detections}, or detect with the snapshot",
            stacklevel=3,
        )


def equal_sizes(
    samples: Iterable[tuple[int, Prepared]], batch_size: int
) -> Iterator[list[tuple[int, Prepared]]]:
    """Group a stream of images by size; the most common size goes first when too many wait."""
    waiting: defaultdict[tuple[int, ...], list[tuple[int, Prepared]]] = defaultdict(list)
    for index, sample in samples:
        group = waiting[sample.image.shape]
        group.append((index, sample))
        if len(group) == batch_size:
            yield waiting.pop(sample.image.shape)
        elif sum(len(other) for other in waiting.values()) >= batch_size * WAITING_BATCHES:
            yield waiting.pop(max(waiting, key=lambda shape: len(waiting[shape])))
    yield from waiting.values()


def _to_original(
    sample: Prepared, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> Detections:
    """Return the network's output for one image in pixels of the original, best first."""
    order = np.argsort(-scores, kind="stable")
    order = order[labels[order] >= 0]
    height, width = sample.size
    # Annotated boxes reach the far edge of the last pixel, one more than `clip` allows.
    corners = clip(boxes[order] / sample.scale, height + 1, width + 1)
    # The network pads its results: without padding, it may have cut some off.
    capped = 0 < len(labels) == len(order)
    return Detections(corners, scores[order], labels[order].astype(int), capped)
