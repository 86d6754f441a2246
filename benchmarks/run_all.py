"""Run all benchmarks, one after the other, and print a table of what each needs and should need."""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import NEW, OLD, TORCHVISION, machine

HERE = Path(__file__).resolve().parent
# Rounds of each script: what takes minutes is repeated less.
ROUNDS = {
    "targets": 15,
    "samples": 9,
    "pipeline": 4,
    "memory": 1,
    "filtering": 15,
    "conversion": 2,
    "training_step": 9,
    "inference": 9,
    "opening": 2,
    "coco_numbers": 1,
    "starting": 5,
}
WITH_DATA = ("samples", "pipeline", "memory")


@dataclass(frozen=True)
class Row:
    """A measure, and what it should reach: a number, a share of another's, or both."""

    number: str
    script: str
    measure: str
    limit: float | None = None
    shares: tuple[tuple[str, float], ...] = ()

    def reached(self, found) -> bool:
        """Return whether the medians of a script, by package and measure, are good enough."""
        value = found[NEW][self.measure]
        limits = [] if self.limit is None else [self.limit]
        limits += [share * found[who][self.measure] for who, share in self.shares if who in found]
        return all(value <= limit for limit in limits)

    def goal(self) -> str:
        """Return the limits in words."""
        parts = [] if self.limit is None else [f"at most {self.limit:g}"]
        parts += [f"{share:g} of {who}" for who, share in self.shares]
        return ", ".join(parts)


ROWS = [
    Row("1", "targets", "anchors and targets as handed to fit, ms", 3),
    Row("2", "samples", "sample with targets, ms", 15),
    Row("2", "samples", "sample, of decode + resize", 2.5),
    Row("3", "samples", "the same with --random-transform, ms", 25),
    Row("4", "samples", "handed to fit for an image, MB", 17),
    Row("4", "samples", "the same with --normalise-on-device, MB", 5),
    Row("5", "memory", "memory of the pipeline, epochs 16 to 20 of 2 to 6", 1.02),
    Row("5", "memory", "memory of fit, epochs 16 to 20 of 2 to 6", 1.02),
    Row("6", "filtering", "filtering, ms", 12),
    Row("7", "conversion", "converting and first call, ms", 5000),
    Row("8", "training_step", "training step, ms", None, ((OLD, 1), (TORCHVISION, 0.85))),
    Row("8", "training_step", "peak memory, MB", None, ((OLD, 1),)),
    Row("9", "inference", "image to detections, ms", None, ((OLD, 0.8), (TORCHVISION, 0.8))),
    Row("10", "opening", "COCO, s", None, ((OLD, 0.5),)),
    Row("10", "opening", "COCO, MB", None, ((OLD, 0.5),)),
    Row("11", "opening", "CSV for the first time, s", 4),
    Row("11", "opening", "CSV again, s", 4),
    Row("12", "coco_numbers", "COCO numbers, ms", 6000),
    Row("12", "coco_numbers", "greatest difference of a number", 1e-9),
    Row("13", "starting", "--help, ms", 300),
]


def run(script, options, folder) -> dict:
    """Return the medians of a script: package -> measure -> number."""
    path = Path(folder, f"{script}.json")
    command = [sys.executable, HERE / f"{script}.py", "--rounds", str(ROUNDS[script])]
    command += ["--json", path]
    for flag in ("oracle", "torchvision"):
        if getattr(options, flag):
            command += [f"--{flag}", getattr(options, flag)]
    if script in WITH_DATA:
        command += ["--data", options.data]
    print(f"\n{script}.py", flush=True)
    subprocess.run([str(part) for part in command], check=True)
    return json.loads(path.read_text())


def print_rows(results) -> None:
    """Print a row for each measure that has a goal."""
    print(f"\n{machine()}\n")
    print(f"| # | measure | {OLD} | {TORCHVISION} | {NEW} | to reach | reached |\n{'|---' * 7}|")
    for row in ROWS:
        found = results[row.script]
        values = [found.get(who, {}).get(row.measure) for who in (OLD, TORCHVISION, NEW)]
        cells = ["-" if value is None else f"{value:.4g}" for value in values]
        reached = "yes" if row.reached(found) else "no"
        print("|", " | ".join([row.number, row.measure, *cells, row.goal(), reached]), "|")


def main():
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of photos in COCO form")
    parser.add_argument("--oracle", help="interpreter with keras-retinanet 1.0.0")
    parser.add_argument("--torchvision", help="interpreter with torchvision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {script: run(script, options, folder) for script in ROUNDS}
    print_rows(results)


if __name__ == "__main__":
    main()
