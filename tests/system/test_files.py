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
