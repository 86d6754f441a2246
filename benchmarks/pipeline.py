"""Images a second of the pipeline that feeds `fit`: COCO photos at 800/1333, batches of one."""

import time

from common import NEW, main, parser
from samples import COLOURS, MOVES

REPEATS = 24  # how often an epoch has each image, so that few of them are few epochs
START = 40  # images before the clock starts


def data(options, **kwargs):
    """Return a generator of photos, each several times an epoch, in batches of one."""
    import cv2

    from keras_retinanet.preprocessing.coco import CocoGenerator
    from keras_retinanet.system.machine import keep_freed_memory

    keep_freed_memory()  # as retinanet-train does
    cv2.setNumThreads(1)
    generator = CocoGenerator(options.data, options.set, group_method="none", **kwargs)
    generator.groups = generator.groups[: options.images] * REPEATS
    return generator


def new_measures(options):
    """Return measures of the throughput: images a second, and what a second worker adds."""
    from keras_retinanet.augmentation.colours import random_visual_effect_generator
    from keras_retinanet.augmentation.settings import FLIP_ONLY
    from keras_retinanet.augmentation.transforms import random_transform_generator

    changes = {
        "transform_generator": random_transform_generator(**MOVES),
        "visual_effect_generator": random_visual_effect_generator(**COLOURS),
    }
    kinds = {
        "plain": data(options),
        "flips, the default": data(options, **FLIP_ONLY.generator_arguments()),
        "--random-transform": data(options, **changes),
        "--cache ram": data(options, cache="ram"),
        "--pad-to-buckets": data(options, pad_to_buckets=True),
        "--normalise-on-device": data(options, normalise_on_device=True),
    }
    measures, last = {}, {}

    def throughput(kind, workers):
        last[kind, workers] = images_a_second(kinds[kind], workers)
        return last[kind, workers]

    for kind in kinds:
        for workers in (1, 2):
            measures[f"{kind}, workers: {workers}"] = lambda k=kind, w=workers: throughput(k, w)
        measures[f"{kind}, 2 workers of 1, %"] = lambda k=kind: 100 * last[k, 2] / last[k, 1]
    return measures


def images_a_second(generator, workers) -> float:
    """Return how many images a second the pipeline makes, once the first have come.

    `tf.data` counts them by itself: a loop that fetches each would need the cores too, and to make
    the data set, once a training, is not throughput.
    """
    from keras_retinanet.preprocessing import pipeline

    count = len(generator)
    batches = iter(pipeline.batches(generator, workers=workers).shard(count, START))
    next(batches)
    start = time.perf_counter()
    next(batches)
    return count / (time.perf_counter() - start)


def with_data(arguments):
    """Return a parser with options for the photos."""
    arguments.add_argument("--data", required=True, help="folder in COCO form")
    arguments.add_argument("--set", default="train2017", help="which of its sets")
    arguments.add_argument("--images", type=int, default=20, help="most images")
    return arguments


if __name__ == "__main__":
    main(with_data(parser(__doc__)).parse_args(), {NEW: new_measures})
