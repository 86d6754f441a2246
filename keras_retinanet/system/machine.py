"""What this process may use of the machine: cores and memory; and pausing garbage collection."""

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

_MEMINFO = "/proc/meminfo"
# The memory limit of a container, in control groups of version 2 and 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN = 8 * 2**30  # bytes


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Return how many bytes of memory this process could still use.

    On Linux that is the available memory, or the limit of the container if that is lower; elsewhere
    the physical memory, or 8 GiB where the system does not report it.
    """
    found = [_available(), *map(_limit, _LIMITS)]
    return min((size for size in found if size is not None), default=_physical())


def _available() -> int | None:
    with contextlib.suppress(OSError), open(_MEMINFO) as file:
        for line in file:
            name, number = line.split()[:2]
            if name == "MemAvailable:":
                return int(number) * 1024
    return None


def _limit(path: str) -> int | None:
    with contextlib.suppress(OSError, ValueError), open(path) as file:
        return int(file.read())  # "max" where there is no limit
    return None


def _physical() -> int:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _UNKNOWN


def is_running(pid: int) -> bool:
    """Return whether this machine has a process of some id."""
    if sys.platform == "win32":  # where `os.kill` would end it
        query_information = 0x1000
        handle = ctypes.windll.kernel32.OpenProcess(query_information, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Pause Python's garbage collector while a lot of plain data without cycles is built.

    The collector can double the time that takes: with TensorFlow loaded it scans very many objects.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks of freed memory instead of returning them to the system.

    The arrays of a batch take tens of megabytes. New pages from the system for each of them cost up
    to a tenth of the time to make it. The setting is for the process as a whole, so it is for
    commands to choose; only glibc has it, and elsewhere nothing changes.
    """
    # From malloc.h; sizes are in bytes.
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    with contextlib.suppress(OSError, TypeError, AttributeError):  # Windows, macOS, musl
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**30)
        mallopt(top_pad, 2**26)
        mallopt(mmap_threshold, 2**30)
