import os
import subprocess
import sys

import pytest

from keras_retinanet.system import machine


def test_cores_are_those_this_process_may_use(monkeypatch):
    assert 1 <= machine.cores() <= os.cpu_count()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    assert machine.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1


@pytest.mark.parametrize(
    ("available", "limits", "expected"),
    [
        ("MemAvailable:    2048 kB", [], 2 * 2**20),
        ("MemAvailable:    2048 kB", ["max"], 2 * 2**20),
        ("MemAvailable:    2048 kB", ["max", "1000000"], 1000000),
        (None, ["3000"], 3000),
        (None, [], 4096 * 10),
    ],
)
def test_memory_is_what_the_system_says(tmp_path, monkeypatch, available, limits, expected):
    meminfo = tmp_path / "meminfo"
    if available:
        meminfo.write_text(f"MemTotal: 9999999 kB\n{available}\n")
    paths = [tmp_path / str(i) for i in range(2)]
    for path, text in zip(paths, limits, strict=False):
        path.write_text(text + "\n")
    monkeypatch.setattr(machine, "_MEMINFO", str(meminfo))
    monkeypatch.setattr(machine, "_LIMITS", [str(path) for path in paths])
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}
    monkeypatch.setattr(os, "sysconf", pages.get, raising=False)
    assert machine.free_memory() == expected


def test_a_system_that_says_nothing_has_8_gb(monkeypatch):
    monkeypatch.setattr(machine, "_MEMINFO", "nowhere")
    monkeypatch.setattr(machine, "_LIMITS", [])
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert machine.free_memory() == 8 * 2**30


def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch):
    settings = {}

    class Library:
        def mallopt(self, name, value):
            settings[name] = value

    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: Library())
    machine.keep_freed_memory()
    assert settings == {-1: 2**30, -2: 2**26, -3: 2**30}
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    machine.keep_freed_memory()  # as on macOS: nothing happens


def test_which_processes_run():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    pids = [os.getpid(), os.getppid(), 1, dead.pid, 10**30]
    assert [machine.is_running(pid) for pid in pids] == [True, True, True, False, False]


def test_a_process_of_another_user_runs(monkeypatch):
    def refuse(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    assert machine.is_running(1)
