"""Feed damaged and hostile files to all readers; report all but a ValueError or OSError.

    python -m tests.fuzz.run --seconds 600 --seed 0
    python -m tests.fuzz.run --reader "coco table" --first 17 --count 1
    python -m tests.fuzz.run --replay /tmp/fuzz-failures/coco_table-0-17

An input follows from reader, seed and index alone. Those that show a defect are kept in a folder.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from tests.fuzz.mutators import mutate
from tests.fuzz.readers import READERS

SECONDS = 5  # of processor time for one input
WAITING = 20  # seconds in all: on a busy machine, work takes longer
STUCK = 60  # seconds without a word from the process of a reader, after which it is killed
GROWTH = 1 << 30  # bytes of memory that one input may take
ADDRESSES = 4 << 30  # bytes of address space that a process may add
FAILURES = os.path.join(tempfile.gettempdir(), "fuzz-failures")
TEXT = 300  # characters of an error, without the path


class Hang(BaseException):
    """Raised where a reader is when its time is over."""


def _sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 40)


# What may be in the place of a file.
SPECIAL = {
    "nothing": lambda path: None,
    "an empty file": lambda path: open(path, "wb").close(),
    "a FIFO": os.mkfifo,
    "a folder": os.mkdir,
    "an endless device": lambda path: os.symlink("/dev/zero", path),
    "a link to itself": lambda path: os.symlink(path, path),
    "a sparse file of a terabyte": _sparse,
}


@dataclasses.dataclass
class Outcome:
    """What became of an input.

    Attributes:
        index: the number of the input.
        file: the file that was damaged.
        change: how.
        error: the type of the error; None if the input was accepted.
        text: its text.
        place: the line of the package that it came from.
        defect: why this must not be; None if it is fine.
    """

    index: int
    file: str
    change: str
    error: str | None = None
    text: str = ""
    place: str = ""
    defect: str | None = None


class Trial:
    """The valid input of a reader, in a folder, and what happens if a file of it is damaged."""

    def __init__(self, reader, folder):
        self.reader, self.folder = reader, Path(folder)
        self.files = dict(reader.files())
        for name in self.files:
            self._restore(name)
        self._read_valid()
        self.names = sorted(name for name in self.files if name.endswith(reader.damaged))
        self.special = 0 if reader.kind == ".value" else len(SPECIAL) * len(self.names)

    def _read_valid(self):
        """Read the input as it is; this also loads the modules."""
        refused = () if self.reader.is_valid else ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in sorted(self.files):
                if name.endswith(self.reader.damaged) or self.reader.writes_input:
                    with contextlib.suppress(refused):
                        self.reader.read(str(self.folder), name)
        for name in self._unknown():
            if self.reader.writes_input:
                self.files[name] = (self.folder / name).read_bytes()

    def _restore(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[name])
        os.utime(path, (10**9, 10**9))  # which caches compare

    def _unknown(self):
        """Return the files that do not belong to the input."""
        found = (
            os.path.join(place, each) for place, _, names in os.walk(self.folder) for each in names
        )
        return [
            name for path in found if (name := os.path.relpath(path, self.folder)) not in self.files
        ]

    def run(self, seed, index):
        """Return the outcome of an input."""
        return self.run_with(index, *self.input(seed, index))

    def run_with(self, index, name, content):
        """Return the outcome of a content, or of something `SPECIAL`, in the place of a file."""
        change = (
            f"{content} in its place" if isinstance(content, str) else self._diff(name, content)
        )
        with self._replaced(name, content):
            outcome = Outcome(index, name, change)
            self._read(outcome)
        return outcome

    def input(self, seed, index):
        """Return the file to damage and its content, or the name of something `SPECIAL`."""
        if index < self.special:
            return self.names[index // len(SPECIAL)], list(SPECIAL)[index % len(SPECIAL)]
        rng = np.random.default_rng([seed, index])
        name = self.names[int(rng.integers(len(self.names)))]
        return name, mutate(rng, self.files[name], self.reader.kind or name)

    @contextlib.contextmanager
    def _replaced(self, name, content):
        """Put a content, or something special, in the place of a file for a while."""
        path = self.folder / name
        try:
            if isinstance(content, str):
                path.unlink()
                SPECIAL[content](path)
            else:
                path.write_bytes(content)
            yield
        finally:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            path.unlink(missing_ok=True)
            self._restore(name)
            for other in self._unknown():
                (self.folder / other).unlink()  # a cache would decide about the next input

    def _read(self, outcome):
        before, peak = _memory(1), _peak()
        try:
            with _limited(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.reader.read(str(self.folder), outcome.file)
        except (Hang, Exception) as error:
            outcome.error, outcome.text = type(error).__name__, _text(error, self.folder)
            outcome.place = _place(error)
            outcome.defect = self._defect(error, outcome.text)
        grown = _peak() - before
        if outcome.defect is None and _peak() > peak and grown > GROWTH:
            outcome.defect = f"took {grown >> 20} MiB"

    def _defect(self, error, text):
        """Return what is wrong with an error; None if nothing is."""
        if not isinstance(error, (ValueError, OSError)):
            return type(error).__name__
        if self.reader.names_file and "FOLDER" not in text:
            return "names no file"
        if isinstance(error, ValueError) and len(text) > TEXT:
            return f"a text of {len(text)} characters"
        return None

    def _diff(self, name, content):
        """Return where a content differs from the valid one, as text."""
        before = self.files[name]
        start = _common(before, content)
        end = _common(before[start:][::-1], content[start:][::-1])
        old, new = before[start : len(before) - end], content[start : len(content) - end]
        return f"at byte {start} {_short(old)} became {_short(new)}"


def _common(one, other):
    """Return how many bytes at the start are the same."""
    length = min(len(one), len(other))
    differ = np.frombuffer(one[:length], "uint8") != np.frombuffer(other[:length], "uint8")
    return int(differ.argmax()) if differ.any() else length


def _short(data):
    if len(data) <= 80:
        return repr(data)
    return f"{data[:40]!r}...{data[-30:]!r} ({len(data)} bytes)"


def _text(error, folder):
    """Return the text of an error, with FOLDER for each path in the folder."""
    text = str(error)
    filename = getattr(error, "filename", None)
    if isinstance(filename, str) and filename.startswith(str(folder)):
        text = text.replace(filename, "FOLDER")
    return re.sub(re.escape(str(folder)) + r"[^\s:]*", "FOLDER", text)


def _place(error):
    """Return the last line of the package in the traceback of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}keras_retinanet{os.sep}" in f.filename] or frames
    path = ours[-1].filename.rpartition(f"{os.sep}keras_retinanet{os.sep}")[2]
    return f"{path}:{ours[-1].lineno}"


@contextlib.contextmanager
def _limited():
    """Limit the memory, and raise `Hang` after some seconds, where Python looks for signals."""

    def stop(number, frame):
        raise Hang("takes too long")

    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, SECONDS),
        (signal.SIGALRM, signal.ITIMER_REAL, WAITING),
    )
    handlers = [signal.signal(number, stop) for number, _, _ in timers]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory(0) + ADDRESSES, limits[1]))
    for _, timer, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, handlers, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _memory(column):
    """Return the address space (0) or the memory in use (1) in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[column]) * resource.getpagesize()


def _peak():
    """Return the maximum of the memory in use so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# The process of each reader: it is forked before TensorFlow runs.
_CONTEXT = multiprocessing.get_context("fork")


def _serve(pipe, folder, name, seed, first):
    """Send the number of special inputs, then the outcome of each input from an index on."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)  # libraries in C write there
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    trial = Trial(READERS[name], folder)
    pipe.send(trial.special)
    for index in range(first, sys.maxsize):
        pipe.send(trial.run(seed, index))


@contextlib.contextmanager
def _served(name, seed, first):
    """Yield what a process sends that tries a reader, until it is killed, and the process."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        process = _CONTEXT.Process(target=_serve, args=(theirs, folder, name, seed, first))
        process.start()
        theirs.close()
        try:
            yield ours, process
        finally:
            process.kill()
            process.join()


def outcomes(name, seed, first=0, seconds=60.0, count=sys.maxsize):
    """Yield the outcomes of a reader; one that hangs or crashes costs only its process.

    The time begins after those that are `SPECIAL`, which may take long.
    """
    index, end, special = first, min(sys.maxsize, first + count), first
    stop = time.monotonic() + seconds
    while index < end and (index < special or time.monotonic() < stop):
        with _served(name, seed, index) as (pipe, process):
            try:
                if not pipe.poll(3 * STUCK):
                    raise TimeoutError(f"{name}: no start")
                special = pipe.recv()
                while index < end and (index < special or time.monotonic() < stop):
                    if index <= special:
                        stop = time.monotonic() + seconds
                    if not pipe.poll(STUCK):
                        yield Outcome(index, "?", "", "Hang", defect="hangs in C code")
                        index += 1
                        break
                    yield pipe.recv()
                    index += 1
            except EOFError:
                process.join(STUCK)
                yield Outcome(index, "?", "", "Crash", defect=f"ends with code {process.exitcode}")
                index += 1


def run(names, seed, first, seconds, count, folder):
    """Try readers one after the other, print a table, and return the number of defects."""
    rows = []
    for name in names:
        start, counts, defects = time.monotonic(), collections.Counter(), {}
        for outcome in outcomes(name, seed, first, seconds / len(names), count):
            counts[outcome.error or "accepted"] += 1
            if outcome.defect:
                # Texts differ in their length.
                key = (outcome.defect.split(" of ")[0], outcome.place)
                defects.setdefault(key, []).append(outcome)
        for (defect, place), found in sorted(defects.items()):
            shortest = min(found, key=lambda each: len(each.change))
            print(f"{name}: {defect} at {place}, {len(found)} times, such as\n    {shortest}")
            keeping = _CONTEXT.Process(target=_keep, args=(name, seed, shortest, folder))
            keeping.start()
            keeping.join()
        accepted, tried = counts.pop("accepted", 0), counts.total()
        kinds = ", ".join(f"{key} {value}" for key, value in sorted(counts.items()))
        spent = time.monotonic() - start
        rows.append((name, accepted + tried, accepted, kinds, len(defects), round(spent)))
        print("done:", *rows[-1], flush=True)
    tried, accepted, defects, spent = (sum(row[i] for row in rows) for i in (1, 2, 4, 5))
    rows.append(("all", tried, accepted, tried - accepted, defects, spent))
    for row in (
        ("reader", "inputs", "accepted", "refused", "defects", "seconds"),
        ["---"] * 6,
        *rows,
    ):
        print("|", " | ".join(map(str, row)), "|")
    return defects


def _keep(name, seed, outcome, folder):
    """Write an input that shows a defect, to be read again with `replay`."""
    place = Path(folder) / f"{name.replace(' ', '_')}-{seed}-{outcome.index}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as other:
        file, content = Trial(READERS[name], other).input(seed, outcome.index)
    if isinstance(content, bytes):
        (place / "content").write_bytes(content)
    about = {**dataclasses.asdict(outcome), "reader": name, "file": file}
    about["special"] = content if isinstance(content, str) else ""
    (place / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def replay(place):
    """Return the outcome of a kept input, which is read again in this process."""
    about = json.loads((Path(place) / "about.json").read_text())
    content = about["special"] or (Path(place) / "content").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        return Trial(READERS[about["reader"]], folder).run_with(0, about["file"], content)


def main(arguments=None):
    """Run the command; return 1 if there are defects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="part of a name; may be repeated")
    parser.add_argument("--first", type=int, default=0, help="index of the first input")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="inputs of each reader")
    parser.add_argument("--failures", default=FAILURES, help="folder to keep inputs in")
    parser.add_argument("--replay", metavar="FOLDER", help="read a kept input again")
    options = parser.parse_args(arguments)
    if options.replay:
        outcome = replay(options.replay)
        print(outcome)
        return 1 if outcome.defect else 0
    wanted = options.reader or [""]
    names = [name for name in READERS if any(part in name for part in wanted)]
    tried = (options.seed, options.first, options.seconds, options.count, options.failures)
    return int(run(names, *tried) > 0)


if __name__ == "__main__":
    sys.exit(main())
