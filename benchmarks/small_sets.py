"""AP on five small data sets after a short run: what defaults are worth on data nobody tuned for.

Every run is a `retinanet-train csv` of MobileNetV2 with ImageNet weights: images of at most
240x320, 4 a step, 12 epochs. Three sets are photos, in CSV form, the folders `bccd`, `raccoon` and
`trash` of `--data` (train.csv, val.csv, classes.csv); two are drawn. Flags after `--` are passed
on, and `--name` says what their rows are called:

    python benchmarks/small_sets.py --data DATA --weights FILE --name giou -- --box-loss giou

With `--torchvision PYTHON`, an interpreter with torchvision, OpenCV and pycocotools, its RetinaNet
is trained on the same pictures from the same weights: rows of the name torchvision.

Each run adds a row to `rows.csv` in the folder of `--output`, and is not done again; one that was
killed goes on where it was. The table has all rows.
"""

import argparse
import csv
import json
import os
import queue
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import drawn_sets
from common import ROOT, machine

PHOTOS = ("bccd", "raccoon", "trash")
SETS = (*PHOTOS, *drawn_sets.NAMES)
MEASURES = ("AP", "AP50", "AP75")
BATCH_SIZE, LEARNING_RATE = 4, 1e-4  # the rate of torchvision
COLUMNS = ("name", "set", "seed", "epochs", "sides", *MEASURES, "seconds", "options")
TORCHVISION = "torchvision"


def main():
    options, flags = parse_arguments()
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    runs = queue.SimpleQueue()
    for seed in options.seeds:
        for name in options.sets:
            runs.put((options.name, name, seed))
            if options.torchvision:
                runs.put((TORCHVISION, name, seed))
    for name in set(drawn_sets.NAMES) & set(options.sets):
        drawn_sets.draw(name, folder / "data" / name)
    if options.torchvision:
        write_torch_weights(options.weights, folder)
    threads = [
        threading.Thread(target=work, args=(number, runs, options, flags))
        for number in range(options.jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print_table(read_rows(folder))


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder with the photos")
    parser.add_argument("--weights", required=True, help="ImageNet weights of Keras's MobileNetV2")
    parser.add_argument("--output", default="small-sets", help="folder of all files")
    parser.add_argument("--name", default="defaults", help="of these flags, in the rows")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument(
        "--sides", nargs=2, type=int, default=[240, 320], help="maximum sides of images"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, which share the cores")
    parser.add_argument("--torchvision", metavar="PYTHON", help="interpreter, to train it too")
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    return parser.parse_args(given[:end]), given[end + 1 :]


def work(number, runs, options, flags):
    """Do runs until none is left, on this thread's share of the cores."""
    cores = sorted(os.sched_getaffinity(0))[number :: options.jobs]
    folder = Path(options.output)
    while True:
        try:
            name, data, seed = runs.get_nowait()
        except queue.Empty:
            return
        sides = "x".join(map(str, options.sides))
        key = {
            "name": name,
            "set": data,
            "seed": str(seed),
            "epochs": str(options.epochs),
            "sides": sides,
        }
        if any(key.items() <= row.items() for row in read_rows(folder)):
            continue
        run = folder / "-".join(key.values())
        source = (Path(options.data) if data in PHOTOS else folder / "data") / data
        command = torch_command if name == TORCHVISION else train_command
        began = time.monotonic()
        run_on(cores, command(options, flags, source, run, seed), run)
        row = {
            **key,
            **last_numbers(run),
            "seconds": round(time.monotonic() - began),
            "options": "" if name == TORCHVISION else " ".join(flags),
        }
        add_row(folder, row)
        print(*row.values(), flush=True)
        for snapshot in (*run.glob("*.keras"), *run.glob("state*.zip")):
            snapshot.unlink()


def train_command(options, flags, source, run, seed):
    main = "from keras_retinanet.bin.train import main; main()"
    return [
        *(sys.executable, "-c", main, "--backbone", "mobilenet_v2", "--weights", options.weights),
        *("--image-min-side", str(options.sides[0]), "--image-max-side", str(options.sides[1])),
        *("--batch-size", str(BATCH_SIZE), "--epochs", str(options.epochs), "--seed", str(seed)),
        *("--keep", "1", "--cache", "ram"),
        *("--snapshot-path", str(run), "--resume", *flags, "csv", str(source / "train.csv")),
        *(str(source / "classes.csv"), "--val-annotations", str(source / "val.csv")),
    ]


def torch_command(options, flags, source, run, seed):
    settings = {
        "source": str(source),
        "weights": str(Path(options.output) / "mobilenet_v2.npz"),
        "run": str(run),
        "seed": seed,
        "epochs": options.epochs,
        "sides": options.sides,
        "batch_size": BATCH_SIZE,
        "rate": LEARNING_RATE,
    }
    return [options.torchvision, str(ROOT / "benchmarks/small_sets_torch.py"), json.dumps(settings)]


def run_on(cores, command, run):
    """Run a command on some cores, with what it prints in log.txt of the folder of the run."""
    run.mkdir(parents=True, exist_ok=True)
    variables = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_NUM_INTRAOP_THREADS": str(len(cores)),
        "OMP_NUM_THREADS": str(len(cores)),
    }
    with open(run / "log.txt", "a") as log:
        process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), *command],
            env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if process.wait():
        raise SystemExit(f"{run / 'log.txt'}: the run failed")


def last_numbers(run):
    """Return the numbers that pycocotools has printed last."""
    line = r"Average Precision .* IoU=(\S+) +\| area= +all .* = (\S+)"
    found = dict(re.findall(line, (run / "log.txt").read_text()))
    ious = ("0.50:0.95", "0.50", "0.75")
    return {name: found[iou] for name, iou in zip(MEASURES, ious, strict=True)}


def read_rows(folder):
    path = folder / "rows.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


_WRITING = threading.Lock()


def add_row(folder, row):
    with _WRITING:
        is_new = not (folder / "rows.csv").exists()
        with open(folder / "rows.csv", "a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow(row)


def print_table(rows):
    """Print means over the seeds, in per cent, with the least and the greatest AP."""
    print(f"\n{machine()}\n\nAP, AP50 and AP75 in per cent: means of the seeds; (range of AP)\n")
    print("| epochs | sides | name |", " | ".join((*SETS, "mean AP")), "|")
    print("|---" * (len(SETS) + 4) + "|")
    kinds = ("epochs", "sides", "name")
    for kind in dict.fromkeys(tuple(row[each] for each in kinds) for row in rows):
        cells, means = [], []
        for data in SETS:
            found = [
                [100 * float(row[measure]) for measure in MEASURES]
                for row in rows
                if (*(row[each] for each in kinds), row["set"]) == (*kind, data)
            ]
            if not found:
                cells.append("")
                continue
            averages = [statistics.mean(values) for values in zip(*found, strict=True)]
            values = [each[0] for each in found]
            means.append(averages[0])
            cells.append(
                f"**{averages[0]:.1f}** {averages[1]:.1f} {averages[2]:.1f} "
                f"({min(values):.1f} to {max(values):.1f}; {len(values)})"
            )
        mean = f"{statistics.mean(means):.1f}" if len(means) == len(SETS) else ""
        print("|", " | ".join((*kind, *cells, mean)), "|")


def write_torch_weights(weights, folder):
    """Write the weights for torchvision, in the order of the layers, and features to check them."""
    import numpy as np

    from keras_retinanet.system.devices import start_tensorflow

    path = folder / "mobilenet_v2.npz"
    if path.exists():
        return
    start_tensorflow()
    import keras

    network = keras.applications.MobileNetV2(
        input_shape=(240, 320, 3), include_top=False, weights=weights
    )
    image = np.random.default_rng(0).uniform(-1, 1, (1, 240, 320, 3)).astype("float32")
    arrays = {"image": image, "features": network.predict(image, verbose=0)}
    layers = [layer for layer in network.layers if layer.weights]
    for number, layer in enumerate(layers):
        for name, weight in zip(
            [weight.path.split("/")[-1] for weight in layer.weights], layer.weights, strict=True
        ):
            arrays[f"{number:03d}.{name}"] = np.asarray(weight)
    unfinished = folder / "unfinished.npz"
    np.savez(unfinished, **arrays)
    shutil.move(unfinished, path)


if __name__ == "__main__":
    main()
