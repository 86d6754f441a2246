"""Time from image file to batch with targets, of COCO photos at 800/1333, one thread."""

import contextlib
import statistics

from common import NEW, OLD, main, milliseconds, parser

# The ranges of --random-transform.
MOVES = {
    "min_rotation": -0.1,
    "max_rotation": 0.1,
    "min_translation": (-0.1, -0.1),
    "max_translation": (0.1, 0.1),
    "min_shear": -0.1,
    "max_shear": 0.1,
    "min_scaling": (0.9, 0.9),
    "max_scaling": (1.1, 1.1),
    "flip_x_chance": 0.5,
    "flip_y_chance": 0.5,
}
COLOURS = {
    "contrast_range": (0.9, 1.1),
    "brightness_range": (-0.1, 0.1),
    "hue_range": (-0.05, 0.05),
    "saturation_range": (0.95, 1.05),
}
LIMIT, SAMPLE = "decode + resize with OpenCV alone, ms", "sample with targets, ms"
BYTES = "the same with --normalise-on-device, MB"


def new_measures(options):
    from keras_retinanet.augmentation.colours import random_visual_effect_generator
    from keras_retinanet.augmentation.transforms import random_transform_generator

    found, data = measures(options, random_transform_generator, random_visual_effect_generator)
    as_bytes = data(normalise_on_device=True)
    images = range(min(options.images, as_bytes.size()))
    found[BYTES] = lambda: statistics.mean(size(as_bytes[i]) for i in images)
    return found


def old_measures(options):
    with contextlib.suppress(ImportError):
        import legacy  # noqa: F401
    from keras_retinanet.utils.image import random_visual_effect_generator
    from keras_retinanet.utils.transform import random_transform_generator

    return measures(options, random_transform_generator, random_visual_effect_generator)[0]


def measures(options, transforms, effects):
    """Return the measures, the same for both packages, and a function that opens the photos."""
    import cv2

    from keras_retinanet.preprocessing.coco import CocoGenerator

    cv2.setNumThreads(1)

    def data(**kwargs):
        fixed = {"group_method": "none", "shuffle_groups": False, "batch_size": 1}
        return CocoGenerator(options.data, options.set, **fixed, **kwargs)

    plain = data()
    changed = data(
        transform_generator=transforms(**MOVES), visual_effect_generator=effects(**COLOURS)
    )
    images = range(min(options.images, plain.size()))

    last = {}

    def mean(name, function):
        last[name] = statistics.mean(milliseconds(lambda i=i: function(i)) for i in images)
        return last[name]

    found = {
        LIMIT: lambda: mean(LIMIT, lambda i: decode_and_resize(plain, i)),
        SAMPLE: lambda: mean(SAMPLE, plain.__getitem__),
        "sample, of decode + resize": lambda: last[SAMPLE] / last[LIMIT],
        "the same with --random-transform, ms": lambda: mean("changed", changed.__getitem__),
        "handed to fit for an image, MB": lambda: statistics.mean(size(plain[i]) for i in images),
    }
    return found, data


def decode_and_resize(generator, index):
    import cv2

    path = generator.image_path(index)
    image = cv2.imread(path)
    scale = min(800 / min(image.shape[:2]), 1333 / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale)


def size(batch) -> float:
    """Return how many million bytes a batch has."""
    inputs, targets = batch
    return sum(array.nbytes for array in (inputs, *targets)) / 1e6


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder in COCO form")
    options.add_argument("--set", default="train2017", help="which of its sets")
    options.add_argument("--images", type=int, default=20, help="most images a round")
    main(options.parse_args(), {OLD: old_measures, NEW: new_measures})
