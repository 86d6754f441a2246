import os
import resource
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_retinanet.system import files


def test_writes_text_and_bytes_into_new_folders(tmp_path):
    files.atomic_write(tmp_path / "a" / "b.txt", "é")
    files.atomic_write(tmp_path / "a" / "c.bin", b"\xff")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xc3\xa9"
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\xff"


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        assert temporary.suffix == ".keras"
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_new_files_have_the_permissions_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "usual").write_text("")
        files.atomic_write(tmp_path / "ours", "")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")]
    assert modes[0] == modes[1]


def test_threads_may_write_the_same_file(tmp_path):
    path = tmp_path / "file"
    texts = [str(i) * 10_000 for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: files.atomic_write(path, text), texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_keras_home_is_moved_by_its_variable(monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert files.keras_home() == Path.home() / ".keras"
    monkeypatch.setenv("KERAS_HOME", "/elsewhere")
    assert files.keras_home() == Path("/elsewhere")


def test_only_regular_files_are_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    with open(path, "rb", opener=files.only_regular) as file:
        assert file.read() == b"1234"
    assert files.read_file(path, 4) == b"1234"
    with pytest.raises(ValueError, match="a: expected a file of at most 3 bytes, got 4"):
        files.read_file(path, 3)
    with pytest.raises(IsADirectoryError):
        files.read_file(tmp_path, 9)
    with pytest.raises(FileNotFoundError):
        files.read_file(tmp_path / "none", 9)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
def test_a_fifo_or_device_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("fifo", "link"):
        with pytest.raises(ValueError, match=f"{name}: expected a regular file"):
            files.read_file(tmp_path / name, 9)


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="at most 10 bytes"):
        files.read_file(tmp_path / "a", 10)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(27, "File too large"), "[Errno 27] File too large: 'PATH'"),
        (OSError(28, "Can't close file (errno = 28, error message"), "[Errno 28] No space left"),
        (
            OSError("Can't close file (file write failed: errno = 122, buf"),
            "[Errno 122] Disk quota",
        ),
        (OSError("Unable to lock"), "PATH: Unable to lock"),
        (RuntimeError("Can't decrement id ref count (errno = 27, error"), "[Errno 27] File too"),
        (RuntimeError("another"), "another"),
        (ValueError("another"), "another"),
        (FileNotFoundError(2, "No such file", "another"), "[Errno 2] No such file: 'another'"),
    ],
)
def test_errors_of_writing_name_the_file(tmp_path, error, text):
    path = tmp_path / "net.h5"
    with pytest.raises(Exception) as found, files.replacing(path):  # noqa: B017, PT011
        raise error
    text = text.replace("PATH", str(path))
    assert str(found.value).startswith(text)
    if not text.endswith("another'") and isinstance(found.value, OSError):
        assert str(path) in str(found.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".csv", ".png", ".npz"])
def test_a_limit_on_files_names_the_file(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error, files.replacing(path) as file:
            if suffix == ".h5":
                with h5py.File(file, "w") as opened:
                    opened["a"] = np.ones(10_000)
            elif suffix == ".npz":
                np.savez(file, a=np.ones(10_000))
            elif suffix == ".keras":
                with zipfile.ZipFile(file, "w") as archive:
                    archive.writestr("a", bytes(10_000))
            else:
                file.write_bytes(bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "é" * 120 + ".csv", "no suffix", ".hidden"])
def test_names_of_any_length(tmp_path, name):
    files.atomic_write(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


# Name (DEAD and ALIVE are process ids), and whether it is removed.
LEFT = [
    (".resnet50_csv_01-DEAD-a0123456.keras", True),
    (".resnet50_csv_01-DEAD-f0123456.h5", True),
    (".history-DEAD-a0123456.csv", True),
    (".no suffix-DEAD-a0123456", True),
    (".of an earlier version-0123a456.keras", True),
    (".resnet50_csv_01-ALIVE-a0123456.keras", False),
    (".notes-DEAD-01234567.keras", False),
    (".a day-20261125.keras", False),
    (".a day-2026-20261125.keras", False),
    (".of another kind-0123a456.txt", False),
    (".retinanet-train.lock", False),
    ("shown-DEAD-a0123456.keras", False),
    ("net_01.keras", False),
]


@pytest.mark.parametrize(("name", "is_removed"), LEFT)
def test_leftovers_of_dead_processes_are_removed(tmp_path, name, is_removed):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    name = name.replace("DEAD", str(dead.pid)).replace("ALIVE", str(os.getppid()))
    (tmp_path / name).write_text("text")
    (tmp_path / "folder" / name).mkdir(parents=True)
    assert files.remove_leftovers(tmp_path, min_age=60) == []
    assert files.remove_leftovers(tmp_path) == [tmp_path / name] * is_removed
    assert (tmp_path / name).exists() is not is_removed
    assert files.remove_leftovers(tmp_path / "folder") == []


def test_the_ends_of_a_file(tmp_path):
    path = tmp_path / "file"
    for size in (0, 1, 4096, 5000, 8192, 100_000):
        data = os.urandom(size)
        path.write_bytes(data)
        status, ends = files.read_ends(path)
        assert status.st_size == size
        assert ends == (data if size <= 8192 else data[:4096] + data[-4096:])
