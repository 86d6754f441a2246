"""What the benchmarks share: programs that are measured in turns, and a table of their medians.

A benchmark runs itself once more for each package that it measures, as a worker: in the
interpreter of that package. Workers do one round at a time, one after the other, so that whatever
else the machine does affects all of them equally.
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
OLD, TORCHVISION, NEW = "1.0.0", "torchvision", "this"


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
    options.add_argument(
        "--torchvision",
        metavar="PYTHON",
        help="interpreter with torchvision, to measure it too where it has the like",
    )
    options.add_argument("--json", metavar="FILE", help="write the medians to a file, too")
    options.add_argument("--worker", choices=(OLD, TORCHVISION, NEW), help=argparse.SUPPRESS)
    return options


def milliseconds(function) -> float:
    """Return the time that one call takes."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def main(options, makers, *, one_thread=True, warm_up=True) -> None:
    """Measure, as a worker; else run the workers and print the table.

    Args:
        options: what the parser read.
        makers: for some of `OLD`, `TORCHVISION` and `NEW` a function of the options that prepares
            the package and returns a dictionary: name of a measure -> function that measures once.
        one_thread: whether OpenMP has one thread.
        warm_up: whether a first round, which fills caches, does not count.
    """
    if options.worker:
        return serve(lambda: makers[options.worker](options))
    pythons = {OLD: options.oracle, TORCHVISION: options.torchvision, NEW: sys.executable}
    workers = {
        name: start(name, pythons[name], one_thread)
        for name in pythons
        if name in makers and pythons[name]
    }
    found = {name: [] for name in workers}
    for number in range(options.rounds + warm_up):
        for name, worker in workers.items():
            values = one_round(worker)
            if number >= warm_up:
                found[name].append(values)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    report(options, {name: medians(rounds) for name, rounds in found.items()})


def report(options, found) -> None:
    """Print the medians of each package and, if asked to, write them as JSON."""
    print_table(found)
    if options.json:
        Path(options.json).write_text(json.dumps(found))


def one_round(worker) -> dict:
    """Return what each measure of a worker gives now."""
    worker.stdin.write("go\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"a worker has stopped: {' '.join(worker.args)}")
    return json.loads(answer)


def start(name, python, one_thread=True) -> subprocess.Popen:
    """Start the benchmark as a worker."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    if one_thread:
        variables["OMP_NUM_THREADS"] = "1"
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = "" if name in (OLD, TORCHVISION) else str(ROOT)
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


def peak_memory() -> float:
    """Return the most memory that this process has had, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """Return a line about the interpreter, the packages and the machine."""
    packages = ("numpy", "opencv-python", "tensorflow", "keras")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    place = [f"Python {platform.python_version()}", *versions, f"{os.cpu_count()} cores", load]
    return ", ".join(filter(None, place))


def print_table(found) -> None:
    """Print each measure of each package, and how many times as much the others need."""
    print(machine(), end="\n\n")
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    others = [name for name in found if name != NEW]
    ratios = [f"{name} / {NEW}" for name in others]
    print("| |", " | ".join([*found, *ratios]), "|")
    print("|---" * (len(found) + len(ratios) + 1) + "|")
    for name in names:
        ours = found.get(NEW, {}).get(name)
        values = [values.get(name) for values in found.values()]
        values += [
            found[other][name] / ours if ours and name in found[other] else None for other in others
        ]
        cells = ["-" if value is None else f"{value:.4g}" for value in values]
        print(f"| {name} |", " | ".join(cells), "|")
