"""What a detector's start is worth: epochs until the same AP on classes that it has never seen.

A detector is trained on drawn rings and rectangles. Then a few pictures of triangles and crosses
are trained on, with several seeds, from that detector without its last classification layer, from
its backbone alone, and from random weights. AP is that on held-out pictures after each epoch.

Runs that are done stay in the folder of `--output`; a second call does the others.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path
from statistics import mean

from common import machine

SOURCE_CLASSES, CLASSES = ("ring", "rectangle"), ("triangle", "cross")
SOURCE_PICTURES, SOURCE_EPOCHS = 1600, 5
PICTURES, HELD_OUT, EPOCHS = 60, 150, 20
DETECTOR, BACKBONE, RANDOM = "detector", "its backbone", "random weights"
LAST_LAYER = "pyramid_classification"
SHOWN_EPOCHS = (1, 2, 3, 4, 6, 8, 10, 15, 20)
# What to count epochs until, beside the number that the run from the backbone ends with.
LEVELS = {"AP": (0.2, 0.4), "AP50": (0.5, 0.8)}


def main():
    options = parse_arguments()
    from keras_retinanet.system.devices import start_tensorflow

    start_tensorflow(op_threads=1)
    folder = Path(options.output)
    source = folder / "source"
    draw_set(source, "train", SOURCE_CLASSES, SOURCE_PICTURES)
    draw_set(source, "val", SOURCE_CLASSES, HELD_OUT)
    snapshot = train(source, source / "run", epochs=SOURCE_EPOCHS)
    weights = {
        DETECTOR: folder / "detector.h5",
        BACKBONE: folder / "backbone.h5",
        RANDOM: None,
    }
    anchors = write_starts(snapshot, weights)
    for seed in range(options.seeds):
        data = folder / f"pictures-{seed}"
        draw_set(data, "train", CLASSES, PICTURES, seed)  # each seed has pictures of its own
        draw_set(data, "val", CLASSES, HELD_OUT)
        for start, path in weights.items():
            run = folder / f"{start.replace(' ', '-')}-{options.lr:g}-{seed}"
            train(data, run, EPOCHS, path, anchors, seed, options.lr)
    for measure in LEVELS:
        print_table(folder, list(weights), options, measure)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="detector-start", help="folder of all files")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each start")
    parser.add_argument("--lr", type=float, default=1.5e-3, help="rate of training on few pictures")
    return parser.parse_args()


def draw_set(folder, name, classes, count, seed=0):
    """Write pictures with shapes of some classes only, in COCO form, unless they are there."""
    import cv2
    import numpy as np

    from keras_retinanet.preprocessing.shapes.renderer import render
    from keras_retinanet.preprocessing.shapes.scene import (
        CLASS_NAMES,
        Scene,
        plan_scene,
        sample_size,
    )

    file = folder / "annotations" / f"instances_{name}.json"
    if file.exists():
        return
    images = folder / "images" / name
    images.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng([seed, name == "train", CLASS_NAMES.index(classes[0])])
    truth = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i + 1, "name": each} for i, each in enumerate(classes)],
    }
    while len(truth["images"]) < count:
        scene = plan_scene(*sample_size(rng), rng)
        kept = tuple(shape for shape in scene.shapes if CLASS_NAMES[shape.label] in classes)
        if not kept:
            continue
        number, scene = len(truth["images"]), Scene(scene.height, scene.width, kept)
        cv2.imwrite(str(images / f"{number:06d}.png"), render(scene, rng))
        truth["images"].append(
            {
                "id": number,
                "file_name": f"{number:06d}.png",
                "width": scene.width,
                "height": scene.height,
            }
        )
        for shape in kept:
            x1, y1, x2, y2 = shape.box
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": classes.index(CLASS_NAMES[shape.label]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    file.write_text(json.dumps(truth))


def train(data, run, epochs, weights=None, anchors=None, seed=0, lr=1.5e-3):
    """Train as `retinanet-train shapes` does, unless it is done; return the last snapshot."""
    import keras

    from keras_retinanet.config import Config
    from keras_retinanet.preprocessing.data import CocoData
    from keras_retinanet.training.plan import SHAPES_SETTINGS, TrainingPlan
    from keras_retinanet.training.run import train

    snapshot = run / f"{SHAPES_SETTINGS['backbone']}_coco_{epochs:02d}.keras"
    if not (run / "done").exists():
        shutil.rmtree(run, ignore_errors=True)
        keras.utils.clear_session()
        settings = {
            **SHAPES_SETTINGS,
            "weights": weights,
            "config": Config(anchor_params=anchors),
            "epochs": epochs,
            "lr": lr,
            "seed": seed,
            "snapshot_path": run,
            "snapshots": weights is None and anchors is None,
            "cache": "ram",
        }
        train(TrainingPlan(data=CocoData(data), **settings))
        (run / "done").touch()
    return snapshot


def write_starts(snapshot, paths):
    """Write the weights to start from; return the anchors of the detector they come from."""
    from keras_retinanet import models
    from keras_retinanet.models.freeze import backbone_layers
    from keras_retinanet.models.weights import leaf_layers

    model = models.load_model(snapshot)
    kept = [layer for layer in leaf_layers(model) if layer.name != LAST_LAYER]
    write_weights(paths[DETECTOR], kept)
    write_weights(paths[BACKBONE], backbone_layers(model))
    return model.info.anchors


def write_weights(path, layers):
    """Write the weights of some layers as Keras's .h5 has them: a group for each layer."""
    import h5py

    layers = [layer for layer in layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [weight.name for weight in layer.weights]
            for weight in layer.weights:
                group[weight.name] = weight.numpy()


def print_table(folder, starts, options, measure):
    """Print means over the seeds by epoch, their spread, and epochs until some levels."""
    curves = {start: read_curves(folder, start, options, measure) for start in starts}
    print(f"\n{machine()}\n\n{measure}: mean (minimum to maximum) of {options.seeds} seeds\n")
    print("| after epoch |", " | ".join(map(str, SHOWN_EPOCHS)), "|")
    print("|---" * (len(SHOWN_EPOCHS) + 1) + "|")
    for start, runs in curves.items():
        values = [[run[epoch - 1] for run in runs] for epoch in SHOWN_EPOCHS]
        cells = [f"{mean(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in values]
        print(f"| {start} |", " | ".join(cells), "|")
    levels = LEVELS[measure]
    ends = [run[-1] for run in curves[BACKBONE]]
    names = [*map(str, levels), f"what {BACKBONE} gives after {EPOCHS}"]
    print(f"\n| epochs of each seed until {measure} |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    for start, runs in curves.items():
        cells = [", ".join(first_epoch(run, level) for run in runs) for level in levels]
        cells.append(", ".join(map(first_epoch, runs, ends)))
        print(f"| {start} |", " | ".join(cells), "|")


def read_curves(folder, start, options, measure):
    """Return the numbers after each epoch, for each seed."""
    runs = [
        folder / f"{start.replace(' ', '-')}-{options.lr:g}-{seed}" / "history.csv"
        for seed in range(options.seeds)
    ]
    return [
        [float(row[measure]) for row in csv.DictReader(run.read_text().splitlines())]
        for run in runs
    ]


def first_epoch(curve, level):
    """Return the first epoch that reaches a level, in words."""
    return next((str(i + 1) for i, value in enumerate(curve) if value >= level), "-")


if __name__ == "__main__":
    main()
