"""What this process gets of the machine: cores, memory, and when garbage is collected."""

import contextlib
import gc
import os
from collections.abc import Iterator

_MEMINFO = "/proc/meminfo"
# Where Linux tells how much memory a container may use, with control groups of version 2 and 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 8 * 2**30  # bytes


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Return how many bytes could still be used; 8 GB on a system that does not say.

    On Linux that is what is available now, or the limit of a container if it is less; on other
    systems all memory there is.
    """
    found = [_available(), *map(_limit, _LIMITS)]
    return min((size for size in found if size is not None), default=_physical())


def _available():
    with contextlib.suppress(OSError), open(_MEMINFO) as file:
        for line in file:
            name, number = line.split()[:2]
            if name == "MemAvailable:":
                return int(number) * 1024
    return None


def _limit(path):
    with contextlib.suppress(OSError, ValueError), open(path) as file:
        return int(file.read())  # "max" where there is none
    return None


def _physical():
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _UNKNOWN


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Pause Python's garbage collector while much plain data is built, which has no cycles.

    The collector may double the time: beside TensorFlow it has very many objects to look through.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
