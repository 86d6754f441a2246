"""Time and memory of training steps, inference and the pipeline, on the GPU that there is.

It prints a table, each row as soon as it is measured. Rows that say most come first: those whose
network, precision, batch and XLA stand first in the options. Each figure comes from a process of
its own, which has all memory to itself; where it does not get enough, the row says so. Without a
GPU it measures the CPU; memory is then that of the whole process.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product

from common import NEW, ROOT, TORCHVISION, machine

STEP, INFERENCE, PIPELINE, DEVICE = "training step", "inference", "pipeline", "device"
PRECISIONS = ("float32", "bfloat16", "float16")
LIMIT = 900  # seconds for a figure; XLA compiles for minutes
# What TensorFlow, XLA, PyTorch and CUDA call it.
OUT_OF_MEMORY = ("ResourceExhausted", "RESOURCE_EXHAUSTED", "OutOfMemory", "out of memory", "OOM")


@dataclass(frozen=True)
class Case:
    """A configuration to measure.

    Attributes:
        measure: one of `STEP`, `INFERENCE`, `PIPELINE`, or `DEVICE` for a line about the device.
        network: name of the backbone.
        batch: images at once; for the pipeline, its threads.
        precision: one of `PRECISIONS`.
        xla: whether XLA compiles the step.
        size: height and width of the images.
        steps: how often to measure.
    """

    measure: str
    network: str = ""
    batch: int = 1
    precision: str = "float32"
    xla: bool = False
    size: tuple[int, int] = (800, 1344)
    steps: int = 10

    def packages(self) -> tuple[str, ...]:
        """Return the packages that have the like."""
        return (NEW,) if self.xla or self.measure == PIPELINE else (NEW, TORCHVISION)

    def rate(self, ms) -> float:
        """Return images a second where so many milliseconds were measured."""
        return 1e3 / ms * (1 if self.measure == PIPELINE else self.batch)

    def cells(self) -> list[str]:
        """Return the first cells of the row."""
        if self.measure == PIPELINE:
            return [f"pipeline, {self.batch} threads", "-", "-", "-", "-"]
        xla = "yes" if self.xla else "no"
        return [self.measure, self.network, str(self.batch), self.precision, xla]


def parse(arguments=None) -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--networks", nargs="+", default=["resnet50", "resnet101"])
    options.add_argument("--batches", nargs="+", type=int, default=[2, 8, 16, 4, 1])
    options.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    options.add_argument("--xla", nargs="+", choices=("no", "yes"), default=("no", "yes"))
    options.add_argument("--size", type=size, default=(800, 1344), help="height x width (800x1344)")
    options.add_argument("--steps", type=int, default=10, help="steps for a figure (10)")
    options.add_argument("--minutes", type=float, help="start no row after so many minutes")
    options.add_argument("--data", help="folder in COCO form, to measure the pipeline too")
    options.add_argument("--set", default="train2017", help="which of its sets")
    options.add_argument("--images", type=int, default=20, help="most images of it")
    options.add_argument("--threads", type=int, help="of the pipeline (one for each core)")
    options.add_argument(
        "--torchvision",
        metavar="PYTHON",
        help="interpreter with torchvision, to measure it too (default: this one, if it has it)",
    )
    options.add_argument("--worker", choices=(NEW, TORCHVISION), help=argparse.SUPPRESS)
    options.add_argument("--case", help=argparse.SUPPRESS)
    return options.parse_args(arguments)


def size(text) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


def plan(options) -> list[Case]:
    """Return the configurations in the order in which they are measured."""
    usual = Case("", size=options.size, steps=options.steps)
    threads = options.threads or os.cpu_count()
    ranked = [(0, replace(usual, measure=PIPELINE, batch=threads))] if options.data else []
    models = options.networks, options.precisions
    for rank, (network, precision, batch, xla) in ranks(*models, options.batches, options.xla):
        same = replace(usual, network=network, precision=precision)
        ranked.append((rank, replace(same, measure=STEP, batch=batch, xla=xla == "yes")))
    for rank, (network, precision) in ranks(*models):
        same = replace(usual, network=network, precision=precision)
        ranked.append((rank, replace(same, measure=INFERENCE)))
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])]


def ranks(*choices) -> Iterator[tuple[int, tuple]]:
    """Yield all combinations of values, each with the sum of its values' places."""
    for pairs in product(*map(enumerate, choices)):
        yield sum(place for place, _ in pairs), tuple(value for _, value in pairs)


def measure(python, package, case) -> dict:
    """Return what a process of its own measures: "ms" and "MB", or what the "problem" is."""
    command = [python, *sys.argv, "--worker", package, "--case", json.dumps(asdict(case))]
    with tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=LIMIT,
                env=environment(package),
            )
        except subprocess.TimeoutExpired:
            return {"problem": f"more than {LIMIT} s"}
        errors.seek(0)
        return result(done.returncode, done.stdout, errors.read())


def environment(package) -> dict[str, str]:
    path = str(ROOT) if package == NEW else ""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}


def result(code, output, errors) -> dict:
    """Return what a process measured.

    Args:
        code: its exit code.
        output: what it printed; the last line is the result.
        errors: what it wrote to stderr.
    """
    if code == 0:
        return json.loads(output.splitlines()[-1])
    # Where memory of the machine is short, Linux kills a process.
    if code == -9 or any(word in errors for word in OUT_OF_MEMORY):
        return {"problem": "out of memory"}
    lines = errors.strip().splitlines() or [f"exit code {code}"]
    print(errors, file=sys.stderr)
    return {"problem": "failed: " + lines[-1][:100].replace("|", "/")}


def row(case, found) -> str:
    """Return the row of a configuration.

    Args:
        case: the configuration.
        found: package -> what `measure` returned.
    """
    cells = case.cells()
    for package in (NEW, TORCHVISION):
        values = found.get(package, {})
        if "problem" in values:
            cells += [values["problem"], "-", "-"]
            continue
        ms = values.get("ms")
        images = None if ms is None else case.rate(ms)
        cells += map(cell, (ms, images, values.get("MB")))
    return f"| {' | '.join(cells)} |"


def cell(number) -> str:
    if number is None:
        return "-"
    return f"{number:.0f}" if number >= 1000 else f"{number:.4g}"


def head() -> str:
    """Return the head of the table."""
    names = ["measure", "network", "batch", "precision", "XLA"]
    figures = ["ms", "images/s", "MB"]
    names += figures + [f"{TORCHVISION}: {figure}" for figure in figures]
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


def print_machine(pythons) -> None:
    """Print which GPU, driver and packages there are, and what each package computes on."""
    print(machine())
    fields = "name,driver_version,memory.total"
    try:
        command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
        gpus = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        gpus = ""
    print("nvidia-smi:", "; ".join(gpus.splitlines()) or "no GPU")
    for package, python in pythons.items():
        found = measure(python, package, Case(DEVICE))
        print(f"{package}: {found.get('device') or found['problem']}")
    print(flush=True)


def main() -> None:
    options = parse()
    if options.worker:
        import gpu_workers

        case = Case(**json.loads(options.case))
        print(json.dumps(gpu_workers.run(options.worker, case, options)), flush=True)
        return
    pythons = {NEW: sys.executable}
    if options.torchvision or importlib.util.find_spec("torchvision"):
        pythons[TORCHVISION] = options.torchvision or sys.executable
    start = time.monotonic()
    print_machine(pythons)
    print(head(), flush=True)
    cases = plan(options)
    too_large: dict = {}  # package and configuration without its batch -> the batch
    rates: dict = {PIPELINE: [], STEP: [], INFERENCE: []}
    for number, case in enumerate(cases):
        minutes = (time.monotonic() - start) / 60
        if options.minutes is not None and minutes >= options.minutes:
            print(f"\n{len(cases) - number} of {len(cases)} rows were not measured: time was over.")
            break
        found = {}
        for package in filter(pythons.get, case.packages()):
            key = package, replace(case, batch=0)
            if case.batch > too_large.get(key, case.batch):
                found[package] = {"problem": f"not tried, batch {too_large[key]} is too large"}
                continue
            found[package] = measure(pythons[package], package, case)
            if found[package].get("problem") == "out of memory":
                too_large[key] = case.batch
        print(row(case, found), flush=True)
        if "ms" in found[NEW]:
            rates[case.measure].append(case.rate(found[NEW]["ms"]))
    if rates[PIPELINE] and rates[STEP]:
        made, taken = rates[PIPELINE][0], max(rates[STEP])
        print(
            f"\nImages a second: the pipeline makes {made:.4g}, the fastest step takes {taken:.4g}."
        )


if __name__ == "__main__":
    main()
