"""Kill runs at random moments with SIGKILL, resume them, and compare them with whole runs.

Each row is a kind of run of 4 epochs on `shapes`; it is killed twice. Run it where the package is
installed: `python benchmarks/resume.py`.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS, STEPS = 4, 12
KINDS = {
    "deterministic": ["--deterministic"],
    "deterministic, plateau": [
        *("--deterministic", "--lr-schedule", "plateau", "--reduce-lr-patience", "0"),
    ],
    "deterministic, sgd, step": [
        *("--deterministic", "--optimizer", "sgd", "--lr-schedule", "step", "--lr", "0.003"),
    ],
    # An epoch has 12 steps, so updates of 5 batches run over its end.
    "deterministic, accumulate 5, EMA, plateau": [
        *("--deterministic", "--accumulate", "5", "--batch-size", "2", "--ema", "0.9"),
        *("--lr-schedule", "plateau", "--reduce-lr-patience", "0"),
    ],
    "usual": [],
}
MAIN = "from keras_retinanet.bin.train import main; main()"
TRAIN = [sys.executable, "-c", MAIN, "--mixed-precision", "none", "shapes"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, help="the only kind of run; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--kills", type=int, default=2, help="how often each run is killed")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, default=STEPS, help="steps per epoch")
    return parser.parse_args()


def start(folder, arguments) -> subprocess.Popen:
    """Start a run that writes into a folder; what it prints is appended to a file in it."""
    folder.mkdir(exist_ok=True)
    with open(folder / "log.txt", "a") as log:
        return subprocess.Popen(
            [*TRAIN, *arguments, "--snapshot-path", str(folder)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )


def finish(folder, arguments) -> float:
    """Run to the end; return how many seconds it took."""
    begin = time.perf_counter()
    process = start(folder, arguments)
    if process.wait():
        raise SystemExit(f"{shlex.join(process.args)}:\n{(folder / 'log.txt').read_text()[-2000:]}")
    return time.perf_counter() - begin


def kill(folder, arguments, seconds) -> None:
    """Start a run, and kill it some seconds after it has saved a state of its own."""
    state = folder / "state.zip"
    before = state.stat().st_mtime_ns if state.exists() else None
    process = start(folder, arguments)
    while not state.exists() or state.stat().st_mtime_ns == before:
        if process.poll() is not None:
            raise SystemExit((folder / "log.txt").read_text()[-2000:])
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def moment(folder) -> str:
    """Return how far the state in a folder is."""
    from keras_retinanet.training.record import RunRecord

    record = RunRecord.of_state(folder)
    return f"{record.epoch} epochs {record.step} steps"


def weights(folder) -> list:
    """Return the weights in the state and in the last snapshot of a run."""
    from keras_retinanet import models
    from keras_retinanet.training.state import find_state

    last = models.load_model(max(folder.glob("*_*.keras")))
    return find_state(folder).load_model().get_weights() + last.get_weights()


def greatest_difference(one, other) -> float:
    """Return the greatest difference of the weights of two runs."""
    import numpy as np

    pairs = zip(weights(one), weights(other), strict=True)
    return max(float(np.abs(first - second).max()) for first, second in pairs if first.size)


def main() -> None:
    given = options()
    moments = random.Random(given.seed)
    print("| run | killed at | greatest difference of a weight |\n|---|---|---|", flush=True)
    for name, kind in KINDS.items():
        if given.kind not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            whole, parts = Path(folder, "whole"), Path(folder, "parts")
            arguments = [*kind, "--epochs", str(given.epochs), "--steps", str(given.steps)]
            seconds = finish(whole, arguments)
            more = [*arguments, "--resume", "--save-steps", "3"]
            killed = []
            for _ in range(given.kills):
                kill(parts, more, moments.uniform(0, seconds / (given.kills + 1)))
                killed.append(moment(parts))
            finish(parts, more)
            difference = greatest_difference(whole, parts)
        print(f"| {name} | {', '.join(killed)} | {difference:g} |", flush=True)


if __name__ == "__main__":
    main()
