"""Two small drawn data sets in CSV form for `small_sets.py`: what its photos do not have.

`tiny`: pictures with up to 14 objects of 8 to 20 pixels. `classes`: 16 classes, of which the most
frequent has 59 examples and the rarest 6.
"""

import csv

import cv2
import numpy as np

from keras_retinanet.preprocessing.shapes.renderer import render
from keras_retinanet.preprocessing.shapes.scene import (
    CLASS_NAMES,
    Scene,
    make_shape,
    visible_fractions,
)

HEIGHT, WIDTH = 240, 320
NAMES = ("tiny", "classes")
PICTURES = {"tiny": (120, 60), "classes": (160, 100)}  # to train on, to evaluate on
OBJECTS = {"tiny": (2, 14), "classes": (1, 3)}
EXTENT = {"tiny": (8, 20), "classes": (36, 110)}
# Outline, width over height, and degrees of rotation of each class.
KINDS = {
    "tiny": {name: (name, 1.0, 0) for name in CLASS_NAMES},
    "classes": {
        "ring": ("ring", 1, 0),
        "square": ("rectangle", 1, 0),
        "triangle": ("triangle", 1, 0),
        "cross": ("cross", 1, 0),
        "diamond": ("rectangle", 1, 45),
        "saltire": ("cross", 1, 45),
        "triangle down": ("triangle", 1, 180),
        "triangle left": ("triangle", 1, 270),
        "triangle right": ("triangle", 1, 90),
        "wide ring": ("ring", 2.2, 0),
        "tall ring": ("ring", 1 / 2.2, 0),
        "wide rectangle": ("rectangle", 2.2, 0),
        "tall rectangle": ("rectangle", 1 / 2.2, 0),
        "wide cross": ("cross", 2.2, 0),
        "tall cross": ("cross", 1 / 2.2, 0),
        "spike": ("triangle", 1 / 2.2, 0),
    },
}
TILT = np.radians(8)
ATTEMPTS, VISIBLE = 30, 0.9


def draw(name, folder):
    """Write a data set, unless it is there: pictures, train.csv, val.csv and classes.csv."""
    if (folder / "classes.csv").exists():
        return
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(NAMES.index(name))
    for part, count in zip(("train", "val"), PICTURES[name], strict=True):
        rows = []
        for number in range(count):
            image, objects = picture(name, rng, even=part == "val")
            path = f"images/{part}{number:03d}.png"
            cv2.imwrite(str(folder / path), image)
            rows += [[path, *box, label] for label, box in objects]
        write(folder / f"{part}.csv", rows)
    # Last, as the sign that all is there.
    write(folder / "classes.csv", [[label, i] for i, label in enumerate(KINDS[name])])


def picture(name, rng, even):
    """Return a picture, and the labels and boxes of its objects; `even`: all classes as often."""
    kinds = list(KINDS[name])
    weights = np.ones(len(kinds))
    if name == "classes" and not even:
        weights /= 1 + np.arange(len(kinds)) / 2
    shapes, labels = [], []
    for _ in range(rng.integers(OBJECTS[name][0], OBJECTS[name][1] + 1)):
        label = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        for _ in range(ATTEMPTS):
            shape = random_shape(*KINDS[name][label], EXTENT[name], rng)
            if shape is not None and min(visible_fractions([*shapes, shape])) >= VISIBLE:
                shapes.append(shape)
                labels.append(label)
                break
    scene = Scene(HEIGHT, WIDTH, tuple(shapes))
    return render(scene, rng), list(zip(labels, (shape.box for shape in shapes), strict=True))


def random_shape(outline, stretch, degrees, extent, rng):
    """Return a shape of a class somewhere in the picture; None if it lies outside."""
    size = np.exp(rng.uniform(*np.log(extent)))
    stretch = stretch * 1.15 ** rng.uniform(-1, 1)
    sides = (size * stretch**0.5, size / stretch**0.5)
    center = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
    angle = np.radians(degrees) + rng.uniform(-TILT, TILT)
    return make_shape(CLASS_NAMES.index(outline), center, sides, angle, (WIDTH, HEIGHT))


def write(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
