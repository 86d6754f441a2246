"""Images a second of the pipeline that feeds `fit`, COCO photos at 800/1333; memory over epochs."""

import time

from common import NEW, main, parser
from samples import COLOURS, MOVES

REPEATS = 8  # how often an epoch has each image, so that few of them are few epochs
EPOCHS = 20
SMALL = {"image_min_side": 256, "image_max_side": 426}  # for `fit` on a CPU


def data(options, **kwargs):
    """Return a generator of photos, each several times an epoch, in batches of one."""
    import cv2

    from keras_retinanet.preprocessing.coco import CocoGenerator

    cv2.setNumThreads(1)
    generator = CocoGenerator(options.data, options.set, group_method="none", **kwargs)
    generator.groups = generator.groups[: options.images] * REPEATS
    return generator


def new_measures(options):
    """Return measures of the throughput: images a second, and what a second worker adds."""
    from keras_retinanet.augmentation import random_transform_generator
    from keras_retinanet.colour_effects import random_visual_effect_generator

    changes = {
        "transform_generator": random_transform_generator(**MOVES),
        "visual_effect_generator": random_visual_effect_generator(**COLOURS),
    }
    kinds = {
        "plain": data(options),
        "--random-transform": data(options, **changes),
        "--cache ram": data(options, cache="ram"),
        "--pad-to-buckets": data(options, pad_to_buckets=True),
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
    """Return how many images a second an empty loop gets, from the first one on."""
    from keras_retinanet.preprocessing import pipeline

    steps = len(generator)
    batches = iter(pipeline.batches(generator, steps=steps, workers=workers))
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return (steps - 1) / (time.perf_counter() - start)


def print_memory(options) -> None:
    """Print the greatest memory in the second and in the last of some epochs."""
    print("| | epoch 2, MB | epoch 20, MB |\n|---|---|---|")
    for name, peaks in (("pipeline alone", alone(options)), ("fit", fitting(options))):
        print(f"| {name} | {peaks[1]:.0f} | {peaks[-1]:.0f} |", flush=True)


def alone(options) -> list[float]:
    """Return the greatest memory in each epoch of an empty loop, in MB."""
    from keras_retinanet.preprocessing import pipeline

    generator = data(options)
    steps, peaks = len(generator), [0.0] * EPOCHS
    for step, _ in enumerate(pipeline.batches(generator, steps=EPOCHS * steps, workers=2)):
        peaks[step // steps] = max(peaks[step // steps], memory())
    return peaks


def fitting(options) -> list[float]:
    """Return the greatest memory in each epoch of training a small network, in MB."""
    import keras

    from keras_retinanet import models, training

    generator = data(options, workers=2, **SMALL)
    generator.groups = generator.groups[: options.images]
    network = models.backbone("resnet18_0.5").retinanet(generator.num_classes(), feature_size=64)
    training.compile_model(network)
    peaks = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            peaks.append(0.0)

        def on_train_batch_end(self, batch, logs=None):
            peaks[-1] = max(peaks[-1], memory())

    network.fit(generator, epochs=EPOCHS, verbose=0, callbacks=[Watch()])
    return peaks


def memory() -> float:
    """Return how many million bytes of memory this process has, as Linux says."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1.024e-3


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--data", required=True, help="folder in COCO form")
    arguments.add_argument("--set", default="train2017", help="which of its sets")
    arguments.add_argument("--images", type=int, default=20, help="most images")
    arguments.add_argument("--memory", action="store_true", help="memory over 20 epochs instead")
    chosen = arguments.parse_args()
    if chosen.memory and not chosen.worker:
        print_memory(chosen)
    else:
        main(chosen, {NEW: new_measures})
