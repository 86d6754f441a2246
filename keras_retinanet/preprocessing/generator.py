"""The base of all data sets: samples by index in, batches with training targets out."""

import threading
import warnings
from collections import Counter

import keras
import numpy as np

from keras_retinanet import samples
from keras_retinanet.anchors import anchors_for_shape, guess_shapes
from keras_retinanet.augmentation import TransformParameters, adjust_transform_for_image
from keras_retinanet.boxes import are_valid
from keras_retinanet.config import Config
from keras_retinanet.images import preprocess_image, resize_image
from keras_retinanet.preprocessing.groups import Groups
from keras_retinanet.targets import anchor_targets_compact


class Generator(keras.utils.PyDataset):
    """A data set for `model.fit`; subclasses say what its images and boxes are.

    A subclass overrides `size`, `num_classes`, `has_label`, `has_name`, `name_to_label`,
    `label_to_name`, `image_path`, `image_aspect_ratio`, `load_image` and `load_annotations`, and
    calls this constructor last, since it groups the images.

    A batch is `(images, (regression, classification))`: images float32 `(B, h, w, 3)`, padded with
    0 at the right and bottom to the largest, and the targets of `compute_anchor_targets`. What a
    batch holds depends on the seed, the epoch and the image alone, not on threads or earlier draws.
    """

    def __init__(
        self,
        transform_generator=None,
        visual_effect_generator=None,
        batch_size=1,
        group_method="ratio",
        shuffle_groups=True,
        image_min_side=800,
        image_max_side=1333,
        no_resize=False,
        transform_parameters=None,
        compute_anchor_targets=anchor_targets_compact,
        compute_shapes=guess_shapes,
        preprocess_image=preprocess_image,
        config=None,
        *,
        random_crop=None,
        scale_range=None,
        seed=0,
        strict=False,
    ):
        """Group the images into batches.

        Args:
            transform_generator: iterator of transforms, such as `random_transform_generator`
                returns; None for no transforms.
            visual_effect_generator: iterator of colour effects; None for none.
            batch_size: images a batch; the last batch is filled up from the first images.
            group_method: which images share a batch: "ratio" those of like aspect ratio, "random",
                or "none" for those that follow each other.
            shuffle_groups: whether each epoch has the batches in another order.
            image_min_side: pixels of the shortest side after resizing.
            image_max_side: most pixels of the longest side; it wins.
            no_resize: whether images keep their size.
            transform_parameters: a `TransformParameters`.
            compute_anchor_targets: `anchor_targets_compact`, `anchor_targets_bbox` or a function
                with their arguments.
            compute_shapes: function of image shape and levels that returns each level's shape.
            preprocess_image: function that normalises a BGR image.
            config: a `Config` or what `read_config_file` returns, for anchors and levels.
            random_crop: a `RandomCrop`; None for none.
            scale_range: least and greatest factor on both sides of the resized images, drawn for
                each batch, since images of several scales in one batch would be mostly padding;
                None for 1.
            seed: what all random draws start from.
            strict: whether an unreadable image raises an error; else it is named in a warning,
                counted in `skipped`, and another image takes its place.

        Raises:
            ValueError: for a batch size below 1, an unknown group method, an empty data set, or a
                range of scales without resizing.
        """
        super().__init__()
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
        self.preprocess_image = preprocess_image
        self.config = Config.of(config)
        self.random_crop = random_crop
        self.scale_range = scale_range
        self.seed = seed
        self.strict = strict
        self.epoch = 0
        self.skipped = Counter()
        self.failure: Exception | None = None  # what stopped a thread of the pipeline
        self._lock = threading.Lock()
        if no_resize and scale_range is not None:
            raise ValueError("a range of scales needs images that are resized")
        self.group_images()

    def size(self) -> int:
        """Return the number of images."""
        raise NotImplementedError("size method not implemented")

    def num_classes(self) -> int:
        """Return the number of classes: the greatest label + 1."""
        raise NotImplementedError("num_classes method not implemented")

    def has_label(self, label) -> bool:
        """Return whether a label is in use."""
        raise NotImplementedError("has_label method not implemented")

    def has_name(self, name) -> bool:
        """Return whether a class name is known."""
        raise NotImplementedError("has_name method not implemented")

    def name_to_label(self, name) -> int:
        """Return the label of a class name."""
        raise NotImplementedError("name_to_label method not implemented")

    def label_to_name(self, label) -> str:
        """Return the class name of a label."""
        raise NotImplementedError("label_to_name method not implemented")

    def image_aspect_ratio(self, image_index) -> float:
        """Return the width of an image over its height."""
        raise NotImplementedError("image_aspect_ratio method not implemented")

    def image_path(self, image_index) -> str:
        """Return the file of an image, or what stands for it in messages."""
        raise NotImplementedError("image_path method not implemented")

    def load_image(self, image_index) -> np.ndarray:
        """Return an image as BGR uint8 `(h, w, 3)`."""
        raise NotImplementedError("load_image method not implemented")

    def load_annotations(self, image_index) -> dict:
        """Return `{"labels": (n,), "bboxes": (n, 4)}` of an image."""
        raise NotImplementedError("load_annotations method not implemented")

    def dropped_boxes(self, image_index) -> int:
        """Return how many invalid boxes of an image the reader left out, as far as it says."""
        return 0

    def class_names(self) -> list[str | None]:
        """Return the name of each label from 0; None for a label not in use."""
        labels = range(self.num_classes())
        return [self.label_to_name(label) if self.has_label(label) else None for label in labels]

    def group_images(self) -> None:
        """Make `groups`, the image indices of each batch of this epoch."""
        ratios = None
        if self.group_method == "ratio":
            ratios = [self.image_aspect_ratio(i) for i in range(self.size())]
        self._groups = Groups(
            self.size(), self.batch_size, self.group_method, self.shuffle_groups, self.seed, ratios
        )
        self.groups = self.groups_of(self.epoch)

    def groups_of(self, epoch) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        return self._groups.of(epoch)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch: other draws, and other groups if they are shuffled."""
        self.epoch += 1
        self.groups = self.groups_of(self.epoch)

    def __len__(self):
        """Return the number of batches in an epoch."""
        return len(self.groups)

    def __getitem__(self, index):
        """Return batch `index` of this epoch."""
        return self.batch(self.epoch, index)

    def batch(self, epoch, index):
        """Return batch `index` of an epoch, whichever comes before it."""
        return self.compute_input_output(self.groups_of(epoch)[index], epoch)

    def compute_input_output(self, group, epoch=None):
        """Return the batch of the images `group`, drawn as in an epoch (None: this one)."""
        epoch = self.epoch if epoch is None else epoch
        scale = self.draw_scale(group[0], epoch)
        drawn = [self.sample(image_index, epoch, scale) for image_index in group]
        images = [image for image, _ in drawn]
        annotations = [annotation for _, annotation in drawn]
        return self.compute_inputs(images), self.compute_targets(images, annotations)

    def draw_scale(self, image_index, epoch) -> float:
        """Return the factor on the image sides in the batch that an image begins."""
        if self.scale_range is None:
            return 1.0
        # The 1 keeps this draw apart from those of the sample.
        rng = np.random.default_rng([self.seed, epoch, image_index, 1])
        return float(rng.uniform(*self.scale_range))

    def sample(self, image_index, epoch, scale=None):
        """Return a normalised image and its annotations, changed at random as drawn for an epoch.

        An unreadable image is replaced by the next readable one, unless `strict`. The `scale` is
        that of the batch; None means that of a batch which the image begins.
        """
        scale = self.draw_scale(image_index, epoch) if scale is None else scale
        for offset in range(self.size()):
            index = (image_index + offset) % self.size()
            try:
                image, annotations = self.load_image(index), self.load_annotations(index)
            except (OSError, ValueError) as error:
                if self.strict:
                    raise
                self._skip(index, error)
                continue
            annotations = self.filter_annotations(image, annotations, index)
            return self.preprocess(*self.augment(image, annotations, index, epoch), scale)
        raise ValueError(f"none of the {self.size()} images can be read")

    def _skip(self, image_index, error):
        path = self.image_path(image_index)
        with self._lock:
            self.skipped[path] += 1
            first = self.skipped[path] == 1
        if first:
            warnings.warn(f"skipped an image that cannot be read: {error}", stacklevel=2)

    def filter_annotations(self, image, annotations, image_index):
        """Return annotations without boxes that are empty or leave the image, with a warning."""
        boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
        good = are_valid(boxes, *image.shape[:2])
        if not good.all():
            warnings.warn(
                f"Image {self.image_path(image_index)} with id {image_index} (shape {image.shape}) "
                f"contains the following invalid boxes: {boxes[~good].tolist()}.",
                stacklevel=2,
            )
        return samples.select({**annotations, "bboxes": boxes}, good)

    def augment(self, image, annotations, image_index, epoch):
        """Return an image and its annotations, changed at random as drawn for an epoch."""
        rng = np.random.default_rng([self.seed, epoch, image_index])
        image = self.random_visual_effect(image, rng)
        return self.random_transform(image, annotations, rng)

    def random_visual_effect(self, image, rng):
        """Return an image with random colours."""
        if self.visual_effect_generator is None:
            return image
        return _draw(self.visual_effect_generator, rng, self._lock)(image)

    def random_transform(self, image, annotations, rng):
        """Return an image and its boxes, moved by one random transform and cropped."""
        transform, window = np.eye(3), None
        parameters = self.transform_parameters
        if self.transform_generator is not None:
            transform = _draw(self.transform_generator, rng, self._lock)
            relative = parameters.relative_translation
            transform = adjust_transform_for_image(transform, image, relative)
        if self.random_crop is not None:
            window = self.random_crop.draw(rng, image.shape)
        return samples.move(image, annotations, transform, parameters, window)

    def resize_image(self, image):
        """Return an image resized as this data set is, and the factor."""
        if self.no_resize:
            return image, 1.0
        return resize_image(image, self.image_min_side, self.image_max_side)

    def preprocess(self, image, annotations, scale=1.0):
        """Return an image resized, `scale` times, and normalised, and its boxes at that size."""
        if scale == 1:
            image, factor = self.resize_image(image)
        else:
            sides = self.image_min_side * scale, self.image_max_side * scale
            image, factor = resize_image(image, *sides)
        image = np.asarray(self.preprocess_image(image), "float32")
        return image, {**annotations, "bboxes": annotations["bboxes"] * factor}

    def compute_inputs(self, image_group):
        """Return images as one array, padded with 0 at the right and bottom to the largest."""
        height, width, channels = np.max([image.shape for image in image_group], axis=0)
        inputs = np.zeros((len(image_group), height, width, channels), "float32")
        for i, image in enumerate(image_group):
            inputs[i, : image.shape[0], : image.shape[1]] = image
        return inputs

    def generate_anchors(self, image_shape):
        """Return the anchors `(N, 4)` of a padded image shape."""
        return anchors_for_shape(
            image_shape,
            pyramid_levels=self.config.pyramid_levels,
            anchor_params=self.config.anchor_params,
            shapes_callback=self.compute_shapes,
        )

    def compute_targets(self, image_group, annotations_group):
        """Return the targets of a batch: `(regression, classification)`."""
        padded_shape = tuple(np.max([image.shape for image in image_group], axis=0))
        anchors = self.generate_anchors(padded_shape)
        return tuple(
            self.compute_anchor_targets(anchors, image_group, annotations_group, self.num_classes())
        )


def _draw(source, rng, lock):
    """Return the next value of an iterator, drawn with `rng` if it can be."""
    if hasattr(source, "draw"):
        return source.draw(rng)
    with lock:
        return next(source)
