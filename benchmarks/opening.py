"""How long opening large annotation files takes, and how much memory.

Each opening is a process of its own. Time is that of the constructor; memory is how far its peak
lies above what the process has after importing the package. (Only Linux can forget the peak of
importing, which may lie higher.)
"""

import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
from common import NEW, OLD, ROOT, medians, parser, report

IMAGES, BOXES = 118_000, 860_000  # of the COCO file: those of train2017
CSV_IMAGES, CSV_BOXES = 100_000, 1_000_000
CLASSES = 80
SHAPES = [(48, 64), (64, 48), (64, 64), (50, 90), (90, 50)]  # height and width of the images

# Run by both interpreters, so it may use nothing of this file.
OPEN = """
import json, resource, sys, time
if sys.argv[1] == "1.0.0":
    import legacy
from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
kind, paths = sys.argv[2], sys.argv[3:]
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
generator = {"coco": CocoGenerator, "csv": CSVGenerator}[kind](*paths)
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
boxes = sum(len(generator.load_annotations(i)["labels"]) for i in range(0, generator.size(), 500))
print(json.dumps([seconds, (after - before) / 1024, generator.size(), boxes]))
"""


def make_images(folder, names):
    """Write tiny JPEG files of several shapes, the same ones again and again."""
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (*shape, 3)).astype("uint8") for shape in SHAPES]
    contents = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
    for i, name in enumerate(names):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(contents[i % len(contents)])


def random_boxes(rng, images, boxes):
    """Return the image of each box, its left, top, width and height in pixels, and its class."""
    sides = np.round(
        np.column_stack([rng.uniform(0, 20, (boxes, 2)), rng.uniform(1, 20, (boxes, 2))]), 2
    )
    return (
        rng.integers(0, images, boxes).tolist(),
        sides.tolist(),
        rng.integers(0, CLASSES, boxes).tolist(),
    )


def make_coco(folder, scale):
    """Write a data set in COCO form; return the arguments of its generator."""
    images, boxes = int(IMAGES * scale), int(BOXES * scale)
    names = [f"{i:012d}.jpg" for i in range(images)]
    make_images(os.path.join(folder, "images", "train2017"), names)
    entries = [
        {
            "license": 1,
            "file_name": name,
            "height": SHAPES[i % len(SHAPES)][0],
            "width": SHAPES[i % len(SHAPES)][1],
            "date_captured": "2013-11-14 11:18:45",
            "id": 5 * i + 9,
        }
        for i, name in enumerate(names)
    ]
    sampled = zip(*random_boxes(np.random.default_rng(1), images, boxes), strict=True)
    annotations = [
        {
            "area": round(box[2] * box[3], 4),
            "iscrowd": 0,
            "image_id": 5 * image + 9,
            "bbox": box,
            "category_id": label + 1,
            "id": number,
        }
        for number, (image, box, label) in enumerate(sampled, 1)
    ]
    categories = [{"id": label + 1, "name": f"class {label}"} for label in range(CLASSES)]
    os.makedirs(os.path.join(folder, "annotations"))
    with open(os.path.join(folder, "annotations", "instances_train2017.json"), "w") as file:
        json.dump({"images": entries, "annotations": annotations, "categories": categories}, file)
    return [folder, "train2017"]


def make_csv(folder, scale):
    """Write a data set in CSV form, in whole pixels; return the arguments of its generator."""
    images, boxes = int(CSV_IMAGES * scale), int(CSV_BOXES * scale)
    make_images(os.path.join(folder, "images"), [f"{i:06d}.jpg" for i in range(images)])
    places, sides, labels = random_boxes(np.random.default_rng(2), images, boxes)
    rows = sorted([*range(images), *places[images:]])
    paths = [os.path.join(folder, name) for name in ("annotations.csv", "classes.csv")]
    with open(paths[0], "w") as file:
        for image, (x, y, width, height), label in zip(rows, sides, labels, strict=True):
            x, y, width, height = map(int, (x, y, width, height))
            file.write(f"images/{image:06d}.jpg,{x},{y},{x + width},{y + height},class {label}\n")
    with open(paths[1], "w") as file:
        file.writelines(f"class {label},{label}\n" for label in range(CLASSES))
    return paths


def open_once(python, who, kind, paths):
    """Return seconds, MB, images, and boxes in some images, from a process of its own."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    environment["PYTHONPATH"] = str(ROOT) if who == NEW else ""
    command = [python, "-c", OPEN, who, kind, *paths]
    # The old package is meant to be found where it is installed, not here.
    done = subprocess.run(
        command, env=environment, cwd=os.sep, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(options, title, kind, paths, forget=None) -> dict:
    """Return for each package the median seconds and MB of opening a data set, in turns."""
    pythons = {OLD: options.oracle, NEW: sys.executable}
    found = {who: [] for who, python in pythons.items() if python}
    for _ in range(options.rounds):
        for who in found:
            if forget and os.path.exists(forget):
                os.unlink(forget)
            found[who].append(open_once(pythons[who], who, kind, paths))
    if len({tuple(rounds[0][2:]) for rounds in found.values()}) > 1:
        raise SystemExit(f"{title}: other images or boxes: {found}")
    names = f"{title}, s", f"{title}, MB"
    return {
        who: medians([dict(zip(names, values[:2], strict=True)) for values in rounds])
        for who, rounds in found.items()
    }


def main():
    """Make the files and time their opening."""
    arguments = parser(__doc__)
    arguments.add_argument("--scale", type=float, default=1, help="share of the images and boxes")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        coco = make_coco(os.path.join(folder, "coco"), options.scale)
        paths = make_csv(os.path.join(folder, "csv"), options.scale)
        cache = os.path.join(folder, "csv", ".annotations.csv.image-sizes.npz")
        parts = [
            measure(options, "COCO", "coco", coco),
            measure(options, "CSV for the first time", "csv", paths, forget=cache),
            measure(options, "CSV again", "csv", paths),
        ]
    report(
        options, {who: {k: v for part in parts for k, v in part[who].items()} for who in parts[0]}
    )


if __name__ == "__main__":
    main()
