"""Memory of the pipeline, alone and below `fit`, early and late in 20 epochs."""

import statistics
import time

from common import NEW, main, parser
from pipeline import data, with_data

EPOCHS = 20
STEP = 0.006  # seconds of a step, longer than the pipeline needs for its batch
SMALL = {"image_min_side": 256, "image_max_side": 426}  # for `fit` on a CPU


def new_measures(options):
    """Return measures of the memory in epochs 2 to 6, in epochs 16 to 20, and how it grows.

    One epoch alone says little: with photos of several sizes its peak varies.
    """
    measures, found = {}, {}
    for name, run in (("memory of the pipeline", alone), ("memory of fit", fitting)):

        def early(name=name, run=run):
            peaks = run(options)
            found[name] = [statistics.median(part) for part in (peaks[1:6], peaks[-5:])]
            return found[name][0]

        measures[f"{name}, epochs 2 to 6, MB"] = early
        measures[f"{name}, epochs 16 to 20, MB"] = lambda name=name: found[name][1]
        measures[f"{name}, epochs 16 to 20 of 2 to 6"] = lambda n=name: found[n][1] / found[n][0]
    return measures


def alone(options) -> list[float]:
    """Return the maximum memory in each epoch of a loop slower than the pipeline, in MB.

    As in training the batches wait for the loop; those of a faster one would wait now and then.
    """
    from keras_retinanet.preprocessing import pipeline

    generator = data(options)
    steps, peaks = len(generator), [0.0] * EPOCHS
    for step, _ in enumerate(pipeline.batches(generator, steps=EPOCHS * steps, workers=2)):
        peaks[step // steps] = max(peaks[step // steps], memory())
        time.sleep(STEP)
    return peaks


def fitting(options) -> list[float]:
    """Return the maximum memory in each epoch of training a small network, in MB."""
    import keras

    from keras_retinanet import models
    from keras_retinanet.training import compiling

    generator = data(options, workers=2, **SMALL)
    generator.groups = generator.groups[: options.images]
    network = models.backbone("resnet18_0.5").retinanet(generator.num_classes(), feature_size=64)
    compiling.compile_model(network)
    peaks = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            peaks.append(0.0)

        def on_train_batch_end(self, batch, logs=None):
            peaks[-1] = max(peaks[-1], memory())

    network.fit(generator, epochs=EPOCHS, verbose=0, callbacks=[Watch()])
    return peaks


def memory() -> float:
    """Return the memory of this process in MB, as Linux reports it."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1.024e-3


if __name__ == "__main__":
    main(with_data(parser(__doc__)).parse_args(), {NEW: new_measures}, warm_up=False)
