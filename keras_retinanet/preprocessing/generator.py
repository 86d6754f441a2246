"""The base of all data sets: samples by index in, batches with training targets out."""

import configparser
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_retinanet.augmentation import crops
from keras_retinanet.augmentation.mixing import RandomMix, Sample
from keras_retinanet.augmentation.transforms import TransformParameters, adjust_transform_for_image
from keras_retinanet.batches import padding
from keras_retinanet.batches.grouping import Groups
from keras_retinanet.batches.reading import BoxClipper, ImageReader, load_annotations
from keras_retinanet.batches.sample_context import (
    current_context,
    make_contexts,
    map_samples,
    next_random,
    use_contexts,
)
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchor_index import AnchorIndex
from keras_retinanet.geometry.anchors import ShapesCallback, anchor_index_for_shape, guess_shapes
from keras_retinanet.geometry.coders import BoxCoder
from keras_retinanet.geometry.targets import (
    DEFAULT_CODER,
    FULL_PRECISION,
    HALF_PRECISION,
    anchor_targets_bbox,
    anchor_targets_compact,
)
from keras_retinanet.images import RESIZE_RULES, preprocess_image, resize_image, to_uint8
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.resizing import Scale
from keras_retinanet.system.types import Annotations

Images = Sequence[np.ndarray]
AnnotationsGroup = Sequence[Annotations]
Samples = tuple[Images, AnnotationsGroup]
Batch = tuple[np.ndarray, tuple[np.ndarray, ...]]

_DEFAULT_PREPROCESSING = preprocess_image


class Generator(keras.utils.PyDataset):
    """A data set for `model.fit`; subclasses provide its images and boxes.

    A subclass overrides `size`, `num_classes`, `has_label`, `has_name`, `name_to_label`,
    `label_to_name`, `image_path`, `image_aspect_ratio`, `load_image` and `load_annotations`, and
    calls this constructor last, since it groups the images. It may override any other method of
    keras-retinanet 1.0.0: training goes through all of them.

    A batch is `(images, (regression, classification))`: images float32 `(B, h, w, 3)`, padded with
    0 at the right and bottom, and the targets of `compute_anchor_targets`. What a batch holds
    depends on the seed, the epoch and the image alone, not on threads or earlier batches.

    Attributes:
        groups: image indices of each batch of the current epoch.
        epoch: number of the current epoch.
        skipped: path of each unreadable image that was replaced -> how often.
        clipped: path of each image with boxes that left it a little and were clipped -> number of
            these boxes.
        dropped_in_training: path of each image with boxes without area, or that left it further,
            and were dropped -> number of these boxes.
        failure: the error that stopped a thread of the pipeline, if one did.
    """

    def __init__(
        self,
        transform_generator: Iterator[np.ndarray] | None = None,
        visual_effect_generator: Iterator[Callable[[np.ndarray], np.ndarray]] | None = None,
        batch_size: int = 1,
        group_method: str = "ratio",
        shuffle_groups: bool = True,
        image_min_side: int = 800,
        image_max_side: int = 1333,
        no_resize: bool = False,
        transform_parameters: TransformParameters | None = None,
        compute_anchor_targets: Callable[..., Sequence[np.ndarray]] = anchor_targets_compact,
        compute_shapes: ShapesCallback = guess_shapes,
        preprocess_image: Callable[[np.ndarray], np.ndarray] = preprocess_image,
        config: Config | configparser.ConfigParser | None = None,
        *,
        coder: BoxCoder = DEFAULT_CODER,
        random_crop: crops.RandomCrop | None = None,
        random_mix: RandomMix | None = None,
        scale_range: tuple[float, float] | None = None,
        seed: int = 0,
        strict: bool = False,
        normalise_on_device: bool = False,
        pad_to_buckets: bool = False,
        resize_rule: str = "keras_retinanet",
        pad_multiple: int = 1,
        match_every_box: bool = False,
        cache: str = "none",
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        """Group the images into batches.

        Args:
            transform_generator: iterator of transforms, such as `random_transform_generator`
                returns; None for no transforms.
            visual_effect_generator: iterator of colour effects; None for none.
            batch_size: images per batch; the last batch is filled up from the first images.
            group_method: which images share a batch: "ratio" for images of similar aspect ratio,
                "random", or "none" for consecutive images.
            shuffle_groups: whether the batches come in another order in each epoch.
            image_min_side: pixels of the shorter side after resizing.
            image_max_side: maximum pixels of the longer side; it takes precedence.
            no_resize: whether images keep their size.
            transform_parameters: how pixels are filled in; None for the defaults.
            compute_anchor_targets: `anchor_targets_compact`, `anchor_targets_bbox` or a function
                with their first four arguments.
            compute_shapes: function of image shape and levels that returns each level's shape.
            preprocess_image: function that normalises a BGR image; the default gives way to a
                subclass's method of that name.
            config: anchors and pyramid levels: a `Config`, or what `read_config_file` returns.
            coder: how boxes are coded in the targets, if one of our two functions computes them.
            random_crop: None for no crops.
            random_mix: mosaics and other mixtures with images of the same set; None for none.
            scale_range: minimum and maximum factor on both sides of the resized images, sampled
                for each batch, since images of several scales in one batch would be mostly
                padding; None for 1.
            seed: seed of all random numbers.
            strict: whether an unreadable image raises an error; else it is named in a warning,
                counted in `skipped`, and replaced by another image.
            normalise_on_device: whether images stay uint8, for a model that normalises them itself;
                `preprocess_image` is not called then, and compact targets are float16 and int16.
                Images that resizing or an effect made float are rounded.
            pad_to_buckets: whether batches are padded to one of a few shapes, as
                `padding.bucket_shapes` lists them; else to the largest image.
            resize_rule: how images are resized: a rule of `images.resize_image`.
            pad_multiple: both sides of a batch are padded to a multiple of so many pixels.
            match_every_box: whether a box that no anchor overlaps enough is matched to its best
                one, if one of our two functions computes the targets.
            cache: where decoded images are kept for later epochs: "ram", "disk" (also for later
                runs) or "none".
            workers: threads that make batches in `model.fit`.
            use_multiprocessing: processes instead of threads, in a `fit` that is Keras's own.
            max_queue_size: maximum number of prefetched batches in `model.fit`.

        Raises:
            ValueError: for a batch size or a multiple below 1, an unknown group method, resize rule
                or cache, an empty data set, or a range of scales without resizing.
        """
        super().__init__(workers, use_multiprocessing, max_queue_size)
        self.transform_generator = transform_generator
        self.visual_effect_generator = visual_effect_generator
        self.batch_size = int(batch_size)
        self.group_method = group_method
        self.shuffle_groups = shuffle_groups
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.no_resize = no_resize
        self.transform_parameters = transform_parameters or TransformParameters()
        self.compute_anchor_targets = compute_anchor_targets
        self.compute_shapes = compute_shapes
        has_own_method = hasattr(type(self), "preprocess_image")
        if preprocess_image is not _DEFAULT_PREPROCESSING or not has_own_method:
            self.preprocess_image = preprocess_image
        self.config = Config.of(config)
        self.coder = coder
        self.random_crop = random_crop
        self.random_mix = random_mix
        self.scale_range = scale_range
        self.seed = seed
        self.strict = strict
        self.normalise_on_device = normalise_on_device
        self.pad_to_buckets = pad_to_buckets
        self.resize_rule = resize_rule
        self.pad_multiple = pad_multiple
        self.match_every_box = match_every_box
        self.epoch = 0
        self.failure: Exception | None = None
        self._reader = ImageReader(cache)
        self.skipped = self._reader.skipped
        self._box_clipper = BoxClipper()
        self.clipped = self._box_clipper.clipped
        self.dropped_in_training = self._box_clipper.dropped
        if no_resize and scale_range is not None:
            raise ValueError("a range of scales needs images that are resized")
        if resize_rule not in RESIZE_RULES:
            raise ValueError(
                f"expected a resize rule of {sorted(RESIZE_RULES)}, got {shorten(resize_rule)!r}"
            )
        if pad_multiple < 1:
            raise ValueError(
                f"expected to pad images to a multiple of at least 1 pixel, got {pad_multiple}"
            )
        self._made_groups: list[list[int]] | None = None  # `groups`, unless somebody changed them
        self.group_images()
        self.start_epoch(0)

    # What a data set says of itself; `DetectionDataset` lists these methods too.

    def size(self) -> int:
        """Return the number of images."""
        raise NotImplementedError("size method not implemented")

    def num_classes(self) -> int:
        """Return the number of classes: the maximum label + 1."""
        raise NotImplementedError("num_classes method not implemented")

    def has_label(self, label: int) -> bool:
        """Return whether a label is in use."""
        raise NotImplementedError("has_label method not implemented")

    def has_name(self, name: str) -> bool:
        """Return whether a class name is known."""
        raise NotImplementedError("has_name method not implemented")

    def name_to_label(self, name: str) -> int:
        """Return the label of a class name."""
        raise NotImplementedError("name_to_label method not implemented")

    def label_to_name(self, label: int) -> str:
        """Return the class name of a label."""
        raise NotImplementedError("label_to_name method not implemented")

    def image_aspect_ratio(self, image_index: int) -> float:
        """Return the width of an image divided by its height."""
        raise NotImplementedError("image_aspect_ratio method not implemented")

    def image_path(self, image_index: int) -> str:
        """Return the file of an image, or a name for it in messages."""
        raise NotImplementedError("image_path method not implemented")

    def load_image(self, image_index: int) -> np.ndarray:
        """Return an image as BGR uint8 `(h, w, 3)`."""
        raise NotImplementedError("load_image method not implemented")

    def load_annotations(self, image_index: int) -> Annotations:
        """Return `{"labels": (n,), "bboxes": (n, 4)}` of an image."""
        raise NotImplementedError("load_annotations method not implemented")

    def dropped_boxes(self, image_index: int) -> int:
        """Return how many invalid boxes of an image the reader left out, if it counts them."""
        return 0

    def has_boxes(self) -> bool:
        """Return whether any image has a box; True if only reading all annotations would tell."""
        return True

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        return "load_annotations returns none for any image"

    def declared_size(self, image_index: int) -> tuple[int, int] | None:
        """Return width and height of an image as its annotations declare them; None if not."""
        return None

    def class_names(self) -> list[str | None]:
        """Return the name of each label from 0; None for a label not in use."""
        labels = range(self.num_classes())
        return [self.label_to_name(label) if self.has_label(label) else None for label in labels]

    # Which images share a batch.

    def group_images(self) -> None:
        """Make `groups`, the image indices of each batch of this epoch."""
        ratios = self._aspect_ratios() if self.group_method == "ratio" else None
        self._groups = Groups(
            self.size(), self.batch_size, self.group_method, self.shuffle_groups, self.seed, ratios
        )
        self._take_groups()

    def _aspect_ratios(self) -> Sequence[float] | np.ndarray:
        """Return the aspect ratio of every image."""
        return [self.image_aspect_ratio(image_index) for image_index in range(self.size())]

    def epoch_groups(self, epoch: int) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        return self._groups.for_epoch(epoch)

    def start_epoch(self, epoch: int) -> None:
        """Make an epoch the current one; groups that were set by hand are shuffled."""
        self.epoch = epoch
        if [list(group) for group in self.groups] == self._made_groups:
            self._take_groups()
        elif self.shuffle_groups:
            np.random.default_rng([self.seed, epoch]).shuffle(self.groups)

    def _take_groups(self) -> None:
        self._made_groups = self.epoch_groups(self.epoch)
        self.groups = list(self._made_groups)

    def on_epoch_end(self) -> None:
        """Start the next epoch: other random numbers, and other groups if they are shuffled."""
        self.start_epoch(self.epoch + 1)

    # Batches and samples.

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.groups)

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index` of this epoch."""
        return self.compute_input_output(self.groups[index])

    def batch(self, epoch: int, index: int) -> Batch:
        """Return batch `index` of an epoch, whatever the current epoch is."""
        return self.compute_input_output(self.epoch_groups(epoch)[index], epoch=epoch)

    def batch_part(self, index: int, part: int, parts: int) -> Batch:
        """Return one of some equal parts of batch `index` of this epoch, padded by itself."""
        group = self.groups[index]
        first, end = (len(group) * number // parts for number in (part, part + 1))
        scale = self.sample_scale(group[0], self.epoch)
        images, annotations = self.samples(group[first:end], self.epoch, scale)
        return self.compute_inputs(images), self.compute_targets(images, annotations)

    def compute_input_output(self, group: Sequence[int], *, epoch: int | None = None) -> Batch:
        """Return the batch of the images `group`, as in an epoch (None: the current one)."""
        images, annotations = self.samples(group, self.epoch if epoch is None else epoch)
        return self.compute_inputs(images), self.compute_targets(images, annotations)

    def sample(self, image_index: int, epoch: int) -> tuple[np.ndarray, Annotations]:
        """Return the one image and annotations of `samples([image_index], epoch)`."""
        (image,), (annotations,) = self.samples([image_index], epoch)
        return image, annotations

    def samples(self, group: Sequence[int], epoch: int, scale: float | None = None) -> Samples:
        """Return normalised images and their annotations, with the random changes of an epoch.

        An unreadable image is replaced by the next readable one, unless `strict`.

        Args:
            group: indices of the images.
            epoch: number of the epoch.
            scale: factor on the image sides; None for that of a batch of these images.
        """
        scale = self.sample_scale(group[0], epoch) if scale is None else scale
        group, images, annotations = self._reader.read_group(self, group, self.strict)
        images, annotations = self.filter_annotations(images, annotations, group)
        images, annotations = self.mix_group(images, annotations, group, epoch)
        with use_contexts(make_contexts(self.seed, epoch, group, scale)):
            images, annotations = self.random_visual_effect_group(images, annotations)
            images, annotations = self.random_transform_group(images, annotations)
            return self.preprocess_group(images, annotations)

    def augment_group(
        self,
        image_group: Images,
        annotations_group: AnnotationsGroup,
        group: Sequence[int],
        epoch: int,
    ) -> Samples:
        """Return images and annotations with the random changes that `samples` makes in an epoch.

        They are not resized or normalised.
        """
        images, annotations = self.mix_group(image_group, annotations_group, group, epoch)
        with use_contexts(make_contexts(self.seed, epoch, group)):
            return self.random_transform_group(
                *self.random_visual_effect_group(images, annotations)
            )

    def mix_group(
        self,
        image_group: Images,
        annotations_group: AnnotationsGroup,
        group: Sequence[int],
        epoch: int,
    ) -> Samples:
        """Return images and annotations mixed with others of the data set, if `random_mix` says so.

        The others are read and filtered as those of a batch are.
        """
        if self.random_mix is None:
            return image_group, annotations_group

        def load(indices: Sequence[int]) -> list[Sample]:
            found, images, annotations = self._reader.read_group(self, indices, self.strict)
            return list(zip(*self.filter_annotations(images, annotations, found), strict=True))

        mixed = []
        samples = zip(image_group, annotations_group, strict=True)
        for index, sample in zip(group, samples, strict=True):
            # The 2 keeps these random numbers independent of the others of the sample.
            rng = np.random.default_rng([self.seed, epoch, index, 2])
            mixed.append(self.random_mix.apply(sample, index, self.size(), load, rng))
        return [image for image, _ in mixed], [annotations for _, annotations in mixed]

    def sample_scale(self, image_index: int, epoch: int) -> float:
        """Return the factor on the image sides in the batch whose first image this is."""
        if self.scale_range is None:
            return 1.0
        # The 1 keeps this random number independent of those of the sample.
        rng = np.random.default_rng([self.seed, epoch, image_index, 1])
        return float(rng.uniform(*self.scale_range))

    # The steps from files to network inputs, in their order.

    def load_image_group(self, group: Sequence[int]) -> Images:
        """Return the images of some indices, from the cache where there is one."""
        return self._reader.load_images(self, group)

    def load_annotations_group(self, group: Sequence[int]) -> AnnotationsGroup:
        """Return the annotations of some indices."""
        return load_annotations(self, group)

    def filter_annotations(
        self, image_group: Images, annotations_group: AnnotationsGroup, group: Sequence[int]
    ) -> Samples:
        """Return annotations whose boxes lie inside their image; see `BoxClipper.fit`.

        Boxes that leave it by up to a pixel, or 0.2 % of the side if that is more, are clipped.
        Other boxes that leave it, or have no area, are dropped with a warning.
        """
        samples = zip(group, image_group, annotations_group, strict=True)
        return image_group, [self._box_clipper.fit(self, *sample) for sample in samples]

    def random_visual_effect_group(
        self, image_group: Images, annotations_group: AnnotationsGroup
    ) -> Samples:
        """Return `random_visual_effect_group_entry` of each image, if there are effects."""
        if self.visual_effect_generator is None:
            return image_group, annotations_group
        return map_samples(self.random_visual_effect_group_entry, image_group, annotations_group)

    def random_visual_effect_group_entry(
        self, image: np.ndarray, annotations: Annotations
    ) -> tuple[np.ndarray, Annotations]:
        """Return an image with random colours, and its annotations."""
        if self.visual_effect_generator is not None:
            image = next_random(self.visual_effect_generator)(image)
        return image, annotations

    def random_transform_group(
        self, image_group: Images, annotations_group: AnnotationsGroup
    ) -> Samples:
        """Return `random_transform_group_entry` of each image."""
        return map_samples(self.random_transform_group_entry, image_group, annotations_group)

    def random_transform_group_entry(
        self, image: np.ndarray, annotations: Annotations, transform: np.ndarray | None = None
    ) -> tuple[np.ndarray, Annotations]:
        """Return an image and its boxes, moved by one transform and cropped.

        Args:
            image: array `(h, w, 3)`.
            annotations: its labels and boxes.
            transform: matrix `(3, 3)` in pixels; None means the next one of `transform_generator`,
                and a random crop.
        """
        if transform is None and self.transform_generator is None and self.random_crop is None:
            return image, annotations
        parameters, window = self.transform_parameters, None
        if transform is None:
            transform = np.eye(3)
            if self.transform_generator is not None:
                transform = adjust_transform_for_image(
                    next_random(self.transform_generator), image, parameters.relative_translation
                )
            if self.random_crop is not None:
                window = self.random_crop.sample(current_context().rng, image.shape)
        return crops.warp_and_crop(image, annotations, transform, parameters, window)

    def preprocess_group(self, image_group: Images, annotations_group: AnnotationsGroup) -> Samples:
        """Return `preprocess_group_entry` of each image."""
        return map_samples(self.preprocess_group_entry, image_group, annotations_group)

    def preprocess_group_entry(
        self, image: np.ndarray, annotations: Annotations
    ) -> tuple[np.ndarray, Annotations]:
        """Return an image resized and, unless the model does it, normalised; and its boxes."""
        image, scale = self.resize_image(image)
        if self.normalise_on_device:
            image = to_uint8(image)
        else:
            image = np.asarray(self.preprocess_image(image), "float32")
        return image, {**annotations, "bboxes": annotations["bboxes"] * scale}

    def resize_image(self, image: np.ndarray) -> tuple[np.ndarray, Scale]:
        """Return an image at the size of its batch, and the factor on its sides.

        The factor is a number, or an array `(4,)` of factors on x, y, x, y: see
        `images.resize_image`.
        """
        if self.no_resize:
            return image, 1.0
        scale = current_context().scale
        sides = self.image_min_side * scale, self.image_max_side * scale
        return resize_image(image, *sides, rule=self.resize_rule)

    def padded_shape(self, image_group: Images) -> tuple[int, ...]:
        """Return height, width and channels of the batch of some images."""
        height, width, *channels = padding.largest_shape(image_group)
        if self.pad_to_buckets:
            buckets = padding.bucket_shapes(
                self.image_min_side, self.image_max_side, self.scale_range or (1.0, 1.0)
            )
            height, width = padding.smallest_bucket(
                height, width, () if self.no_resize else buckets
            )
        return *padding.multiples_of(self.pad_multiple, height, width), *channels

    def compute_inputs(self, image_group: Images) -> np.ndarray:
        """Return images as one array, padded at the right and bottom to `padded_shape`."""
        dtype = "uint8" if self.normalise_on_device else "float32"
        return padding.pad(image_group, self.padded_shape(image_group), dtype)

    def generate_anchors(self, image_shape: Sequence[int]) -> np.ndarray:
        """Return the anchors `(N, 4)` of a padded image shape."""
        return self._own_anchors(image_shape).anchors

    def anchor_index(self, image_shape: Sequence[int]) -> AnchorIndex | None:
        """Return the index of the anchors of a padded image shape.

        None if a subclass or a user replaced `generate_anchors`: its anchors can be anywhere.
        """
        if getattr(self.generate_anchors, "__func__", None) is Generator.generate_anchors:
            return self._own_anchors(image_shape)
        return None

    def _own_anchors(self, image_shape: Sequence[int]) -> AnchorIndex:
        return anchor_index_for_shape(
            image_shape, self.config.pyramid_levels, self.config.anchor_params, self.compute_shapes
        )

    def compute_targets(
        self, image_group: Images, annotations_group: AnnotationsGroup
    ) -> tuple[np.ndarray, ...]:
        """Return the targets of a batch: `(regression, classification)`."""
        shape = self.padded_shape(image_group)
        options: dict[str, Any] = {}
        if self.compute_anchor_targets is anchor_targets_compact:
            dtypes = HALF_PRECISION if self.normalise_on_device else FULL_PRECISION
            options = {"index": self.anchor_index(shape), "dtypes": dtypes}
        if self.compute_anchor_targets in (anchor_targets_compact, anchor_targets_bbox):
            options |= {"coder": self.coder, "match_every_box": self.match_every_box}
        return tuple(
            self.compute_anchor_targets(
                self.generate_anchors(shape),
                image_group,
                annotations_group,
                self.num_classes(),
                **options,
            )
        )
