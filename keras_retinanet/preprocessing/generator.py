"""The base of all data sets: samples by index in, batches with training targets out."""

import numpy as np

from keras_retinanet.augmentation import crops
from keras_retinanet.augmentation.transforms import TransformParameters, adjust_transform_for_image
from keras_retinanet.batches import padding
from keras_retinanet.batches.grouping import Groups
from keras_retinanet.batches.reading import ReadingSet
from keras_retinanet.batches.sample_context import (
    draw,
    drawing_with,
    each,
    resizing_by,
    rng_in_hand,
    scale_in_hand,
)
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import anchors_for_shape, guess_shapes
from keras_retinanet.geometry.targets import HALF_PRECISION, anchor_targets_compact
from keras_retinanet.images import preprocess_image, resize_image

_DEFAULT_PREPROCESSING = preprocess_image


class Generator(ReadingSet):
    """A data set for `model.fit`; subclasses say what its images and boxes are.

    A subclass overrides `size`, `num_classes`, `has_label`, `has_name`, `name_to_label`,
    `label_to_name`, `image_path`, `image_aspect_ratio`, `load_image` and `load_annotations`, and
    calls this constructor last, since it groups the images. It may override any other method:
    training goes through all of them.

    A batch is `(images, (regression, classification))`: images float32 `(B, h, w, 3)`, padded with
    0 at the right and bottom, and the targets of `compute_anchor_targets`. What a batch holds
    depends on the seed, the epoch and the image alone, not on threads or earlier draws.
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
        normalise_on_device=False,
        pad_to_buckets=False,
        cache="none",
        workers=1,
        use_multiprocessing=False,
        max_queue_size=10,
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
            preprocess_image: function that normalises a BGR image; where it is not given, a
                subclass's method of that name.
            config: a `Config` or what `read_config_file` returns, for anchors and levels.
            random_crop: a `RandomCrop`; None for none.
            scale_range: least and greatest factor on both sides of the resized images, drawn for
                each batch, since images of several scales in one batch would be mostly padding;
                None for 1.
            seed: what all random draws start from.
            strict: whether an unreadable image raises an error; else it is named in a warning,
                counted in `skipped`, and another image takes its place.
            normalise_on_device: whether images stay uint8, for a model that normalises them itself;
                `preprocess_image` is not called then, and compact targets are float16 and int16.
            pad_to_buckets: whether batches are padded to one of a few shapes, as
                `padding.bucket_shapes` lists them; else to the largest image.
            cache: where decoded images are kept for later epochs: "ram", "disk" (and for later
                runs) or "none".
            workers: threads that make batches in `model.fit`.
            use_multiprocessing: processes instead of threads, in a `fit` that is Keras's own.
            max_queue_size: most batches made ahead in `model.fit`.

        Raises:
            ValueError: for a batch size below 1, an unknown group method or cache, an empty data
                set, or a range of scales without resizing.
        """
        super().__init__(strict, cache, workers, use_multiprocessing, max_queue_size)
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
        if preprocess_image is not _DEFAULT_PREPROCESSING or not hasattr(
            type(self), "preprocess_image"
        ):
            self.preprocess_image = preprocess_image
        self.config = Config.of(config)
        self.random_crop = random_crop
        self.scale_range = scale_range
        self.seed = seed
        self.normalise_on_device = normalise_on_device
        self.pad_to_buckets = pad_to_buckets
        self.epoch = 0
        self.failure: Exception | None = None  # what stopped a thread of the pipeline
        if no_resize and scale_range is not None:
            raise ValueError("a range of scales needs images that are resized")
        self._drawn = None  # `groups`, unless somebody changed them
        self.group_images()
        self.start_epoch(0)

    def group_images(self) -> None:
        """Make `groups`, the image indices of each batch of this epoch."""
        ratios = self._aspect_ratios() if self.group_method == "ratio" else None
        self._groups = Groups(
            self.size(), self.batch_size, self.group_method, self.shuffle_groups, self.seed, ratios
        )
        self._draw_groups()

    def _aspect_ratios(self):
        """Return the aspect ratio of every image."""
        return [self.image_aspect_ratio(image_index) for image_index in range(self.size())]

    def epoch_groups(self, epoch) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        return self._groups.of(epoch)

    def start_epoch(self, epoch) -> None:
        """Take up the draws and groups of an epoch; groups that were set by hand are shuffled."""
        self.epoch = epoch
        if [list(group) for group in self.groups] == self._drawn:
            self._draw_groups()
        elif self.shuffle_groups:
            np.random.default_rng([self.seed, epoch]).shuffle(self.groups)

    def _draw_groups(self):
        self._drawn = self.epoch_groups(self.epoch)
        self.groups = list(self._drawn)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch: other draws, and other groups if they are shuffled."""
        self.start_epoch(self.epoch + 1)

    def __len__(self):
        """Return the number of batches in an epoch."""
        return len(self.groups)

    def __getitem__(self, index):
        """Return batch `index` of this epoch."""
        return self.compute_input_output(self.groups[index])

    def batch(self, epoch, index):
        """Return batch `index` of an epoch, whichever comes before it."""
        return self.compute_input_output(self.epoch_groups(epoch)[index], epoch=epoch)

    def compute_input_output(self, group, *, epoch=None):
        """Return the batch of the images `group`, drawn as in an epoch (None: this one)."""
        images, annotations = self.samples(group, self.epoch if epoch is None else epoch)
        return self.compute_inputs(images), self.compute_targets(images, annotations)

    def sample(self, image_index, epoch):
        """Return the one image and annotations of `samples([image_index], epoch)`."""
        (image,), (annotations,) = self.samples([image_index], epoch)
        return image, annotations

    def samples(self, group, epoch):
        """Return normalised images and their annotations, changed at random as drawn for an epoch.

        An unreadable image is replaced by the next readable one, unless `strict`.
        """
        scale = self.sample_scale(group[0], epoch)
        group, images, annotations = self._load(group)
        images, annotations = self.filter_annotations(images, annotations, group)
        images, annotations = self.augment_group(images, annotations, group, epoch)
        with resizing_by(scale):
            return self.preprocess_group(images, annotations)

    def sample_scale(self, image_index, epoch) -> float:
        """Return the factor on the image sides in the batch that an image begins."""
        if self.scale_range is None:
            return 1.0
        # The 1 keeps this draw apart from those of the sample.
        rng = np.random.default_rng([self.seed, epoch, image_index, 1])
        return float(rng.uniform(*self.scale_range))

    def augment_group(self, image_group, annotations_group, group, epoch):
        """Return images and annotations changed at random, each as drawn for an epoch."""
        rngs = [np.random.default_rng([self.seed, epoch, index]) for index in group]
        with drawing_with(rngs):
            return self.random_transform_group(
                *self.random_visual_effect_group(image_group, annotations_group)
            )

    def random_visual_effect_group(self, image_group, annotations_group):
        """Return `random_visual_effect_group_entry` of each image, if there are effects."""
        if self.visual_effect_generator is None:
            return image_group, annotations_group
        return each(self.random_visual_effect_group_entry, image_group, annotations_group)

    def random_visual_effect_group_entry(self, image, annotations):
        """Return an image with random colours, and its annotations."""
        return draw(self.visual_effect_generator)(image), annotations

    def random_transform_group(self, image_group, annotations_group):
        """Return `random_transform_group_entry` of each image."""
        return each(self.random_transform_group_entry, image_group, annotations_group)

    def random_transform_group_entry(self, image, annotations, transform=None):
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
                    draw(self.transform_generator), image, parameters.relative_translation
                )
            if self.random_crop is not None:
                window = self.random_crop.sample(rng_in_hand(), image.shape)
        return crops.warp_and_crop(image, annotations, transform, parameters, window)

    def resize_image(self, image):
        """Return an image resized as this data set, and the batch in hand, is, and the factor."""
        if self.no_resize:
            return image, 1.0
        scale = scale_in_hand()
        return resize_image(image, self.image_min_side * scale, self.image_max_side * scale)

    def preprocess_group(self, image_group, annotations_group):
        """Return `preprocess_group_entry` of each image."""
        return each(self.preprocess_group_entry, image_group, annotations_group)

    def preprocess_group_entry(self, image, annotations):
        """Return an image resized and, unless the model does it, normalised; and its boxes."""
        image, scale = self.resize_image(image)
        if not self.normalise_on_device:
            image = np.asarray(self.preprocess_image(image), "float32")
        return image, {**annotations, "bboxes": annotations["bboxes"] * scale}

    def padded_shape(self, image_group):
        """Return height, width and channels of the batch of some images."""
        *size, channels = padding.largest(image_group)
        if self.pad_to_buckets:
            size = padding.bucket_of(*size, self._bucket_shapes())
        return (*size, channels)

    def _bucket_shapes(self):
        if self.no_resize:
            return ()
        low, high = self.scale_range or (1.0, 1.0)
        return padding.bucket_shapes(
            self.image_min_side, self.image_max_side, ((low + high) / 2, high)
        )

    def compute_inputs(self, image_group):
        """Return images as one array, padded at the right and bottom to `padded_shape`."""
        dtype = "uint8" if self.normalise_on_device else "float32"
        return padding.pad(image_group, self.padded_shape(image_group), dtype)

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
        anchors = self.generate_anchors(self.padded_shape(image_group))
        small = self.normalise_on_device and self.compute_anchor_targets is anchor_targets_compact
        return tuple(
            self.compute_anchor_targets(
                anchors,
                image_group,
                annotations_group,
                self.num_classes(),
                **({"dtypes": HALF_PRECISION} if small else {}),
            )
        )
