import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
