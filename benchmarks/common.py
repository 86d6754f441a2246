"""What the benchmarks share: programs that are measured in turns, and a table of their medians.

A benchmark runs itself once more for each package that it measures, as a worker: in the
interpreter of that package. Workers do one round at a time, one after the other, so that whatever
else the machine does meets all of them alike.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = "1.0.0", "this"


def parser(description) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--rounds", type=int, default=15, help="rounds; medians are printed")
    options.add_argument(
        "--oracle",
        metavar="PYTHON",
        help="interpreter with keras-retinanet 1.0.0, to measure it too; a module `legacy` there "
        "may make Keras 2 importable",
    )
    options.add_argument("--worker", choices=(OLD, NEW), help=argparse.SUPPRESS)
    return options


def milliseconds(function) -> float:
    """Return the time that one call takes."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def main(options, makers) -> None:
    """Measure, as a worker; else run the workers and print the table.

    Args:
        options: what the parser read.
        makers: for each of `OLD` and `NEW` a function of the options that prepares the package
            and returns a dictionary: name of a measure -> function that measures once.
    """
    if options.worker:
        return serve(lambda: makers[options.worker](options))
    interpreters = {OLD: options.oracle, NEW: sys.executable}
    workers = {name: start(name, python) for name, python in interpreters.items() if python}
    found = {name: [] for name in workers}
    for number in range(options.rounds + 1):
        for name, worker in workers.items():
            values = one_round(worker)
            if number:  # the first round fills caches
                found[name].append(values)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    print_table({name: medians(rounds) for name, rounds in found.items()})


def one_round(worker) -> dict:
    """Return what each measure of a worker gives now."""
    worker.stdin.write("go\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a worker has stopped: {' '.join(worker.args)}")
    return json.loads(answer)


def start(name, python) -> subprocess.Popen:
    """Start the benchmark as a worker with one thread."""
    variables = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = str(ROOT) if name == NEW else ""
    command = [python, *sys.argv, "--worker", name]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def serve(make) -> None:
    """Do a round for each line of the input; what is printed meanwhile goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    measures = make()
    for _ in sys.stdin:
        values = {name: measure() for name, measure in measures.items()}
        print(json.dumps(values), file=answers, flush=True)


def medians(rounds) -> dict:
    """Return the median of each measure."""
    return {name: statistics.median(values[name] for values in rounds) for name in rounds[0]}


def print_table(found) -> None:
    """Print each measure of each package, and how many times less the new one needs."""
    packages = ("numpy", "opencv-python", "tensorflow", "keras")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    place = [f"Python {platform.python_version()}", *versions, f"{os.cpu_count()} cores", load]
    print(", ".join(filter(None, place)), end="\n\n")
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    print("| |", " | ".join([*found, "ratio"]), "|")
    print("|---" * (len(found) + 2) + "|")
    for name in names:
        values = [values.get(name) for values in found.values()]
        cells = ["-" if value is None else f"{value:.1f}" for value in values]
        both = len(values) == 2 and None not in values
        cells.append(f"{values[0] / values[1]:.1f}" if both else "-")
        print(f"| {name} |", " | ".join(cells), "|")
