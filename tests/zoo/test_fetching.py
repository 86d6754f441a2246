"""Names of the table to files, from addresses of files on this disk."""

import dataclasses
import hashlib
import os
from types import MappingProxyType

import keras
import pytest

from keras_retinanet.zoo import fetching, table
from keras_retinanet.zoo.fetching import cache_path, check_name, model_path

CONTENT = b"PK\x03\x04 stands for a checkpoint"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LICENCE = "trial is published by somebody under the licence MIT"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The cache; the folder of the test is the current one."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def publish(tmp_path, monkeypatch, home):
    """Publish a file under the name `trial`; return its entry."""

    def publish(content=CONTENT, **changes):
        source = tmp_path / "net-01234567.pth"
        if content is not None:
            source.write_bytes(content)
        entry = table.Entry("trial", "somebody", "R", "COCO, 80", 1, source.as_uri(), "MIT")
        entry = dataclasses.replace(entry, **changes)
        monkeypatch.setattr(table, "ENTRIES", MappingProxyType({"trial": entry}))
        monkeypatch.setattr(table, "NAMES", ("trial",))
        return entry

    return publish


def fetch():
    """Fetch `trial`; return its path and what was told."""
    lines = []
    return model_path("trial", lines.append), lines


def names_in(home):
    return sorted(os.listdir(home / "models"))


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256[:8]])
def test_downloaded_and_checked_once(publish, home, sha256, monkeypatch):
    entry = publish(size=len(CONTENT), sha256=sha256)
    path = home / "models" / "net-01234567.pth"
    assert fetch() == (str(path), [LICENCE])
    assert path == cache_path(entry)
    assert path.read_bytes() == CONTENT
    assert names_in(home) == ["net-01234567.pth", "net-01234567.pth.checked"]
    monkeypatch.setattr(keras.utils, "get_file", None)
    monkeypatch.setattr(fetching, "digest", None)
    assert fetch() == (str(path), [])


def test_a_file_put_there_by_hand_is_checked_once(publish, home, monkeypatch):
    publish(None, sha256=SHA256)
    (home / "models").mkdir(parents=True)
    (home / "models" / "net-01234567.pth").write_bytes(CONTENT)
    assert fetch()[1] == [LICENCE]
    monkeypatch.setattr(fetching, "digest", None)
    assert fetch()[1] == []


def test_another_file_in_its_place_is_noticed(publish, home):
    publish(sha256=SHA256)
    path, _ = fetch()
    os.utime(path, ns=(0, 0))  # perhaps another one of equal size
    assert fetch() == (path, [LICENCE])
    with open(path, "ab") as file:
        file.write(b".")
    with pytest.raises(ValueError) as caught:
        fetch()
    found = hashlib.sha256(CONTENT + b".").hexdigest()
    assert str(caught.value) == (
        f"{path}: expected the SHA-256 {SHA256}, got {found}; delete it to download it again"
    )
    assert os.path.getsize(path) == len(CONTENT) + 1


def test_a_new_edition_in_the_table_is_checked_anew(publish):
    publish(sha256=SHA256)
    fetch()
    publish(sha256="00000000")
    with pytest.raises(ValueError, match=r"expected the SHA-256 00000000\.\.\., got"):
        fetch()


def test_a_cache_that_cannot_be_written_is_used(publish, home, monkeypatch):
    publish(None, sha256=SHA256)
    (home / "models").mkdir(parents=True)
    path = home / "models" / "net-01234567.pth"
    path.write_bytes(CONTENT)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(fetching, "atomic_write", refuse)
    assert fetch() == fetch() == (str(path), [LICENCE])


@pytest.mark.parametrize(
    ("content", "changes", "reason"),
    [
        (CONTENT[:-1], {"size": len(CONTENT)}, "expected a file of 28 bytes, got 27"),
        (CONTENT + b".", {"sha256": SHA256[:8]}, f"expected the SHA-256 {SHA256[:8]}..., got "),
        (b"\n<!DOCTYPE html>", {}, "expected a model, got a web page"),
        (b"version https://git-lfs", {}, "expected a model, got something else"),
        (b"", {}, "expected a model, got something else"),
    ],
)
def test_a_refused_download_changes_nothing(publish, home, content, changes, reason):
    entry = publish(content, **changes)
    with pytest.raises(ValueError) as caught:
        fetch()
    message = str(caught.value)
    assert message.startswith(f"{entry.url}: {reason}")
    assert message.endswith(f"put the right file at {cache_path(entry)}")
    assert names_in(home) == []
    cache_path(entry).write_bytes(content)  # by hand
    with pytest.raises(ValueError, match="delete it to download it again$") as caught:
        fetch()
    assert str(caught.value).startswith(f"{cache_path(entry)}: {reason}")
    assert names_in(home) == ["net-01234567.pth"]


def test_without_a_network_one_line_says_what_to_put_where(publish, home, monkeypatch):
    entry = publish(None)
    with pytest.raises(ValueError) as caught:
        fetch()
    message = str(caught.value)
    start = f"cannot download trial: put {entry.url} at {cache_path(entry)} ("
    assert message.startswith(start)
    assert "No such file" in message
    assert "\n" not in message
    assert names_in(home) == []


def test_a_cache_that_cannot_be_made(publish, home):
    publish()
    home.write_text("a file")
    with pytest.raises(ValueError, match=r"^cannot download trial: put file://.* \(.*home"):
        fetch()


def test_a_file_or_folder_of_the_name_takes_precedence(publish, home, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_fetch", None)
    publish()
    (tmp_path / "trial").mkdir()
    assert model_path("trial") == "trial"
    (tmp_path / "trial").rmdir()
    (tmp_path / "trial").touch()
    assert model_path("trial") == "trial"


def test_paths_stay_as_they_are(home, tmp_path):
    (tmp_path / "snapshot").touch()
    written = ["a.keras", "a.H5", "b/c", "net.pth", "net.pkl", "a.safetensors", "snapshot"]
    for path in [*written, os.path.join("x", "coco")]:
        assert model_path(path) == path
    assert model_path(tmp_path / "a.keras") == str(tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("text", "close"),
    [
        ("cocoo", "did you mean coco? "),
        ("COCO", "did you mean coco? "),
        ("mmdet_resnet152", "did you mean mmdet_resnet"),
        ("detectron_resnet50", "did you mean detectron2_resnet50 or "),
        ("qqqq", ""),
        ("", ""),
        ("model.pb", ""),
    ],
)
def test_unknown_names(home, text, close):
    with pytest.raises(ValueError) as caught:
        check_name(text)
    message = str(caught.value)
    start = f"model not found: there is no file {text!r}, and no published model of that name; "
    assert message.startswith(start + close)
    assert message.endswith("retinanet-detect --list-models lists them")
    assert ("did you mean" in message) == bool(close)
    with pytest.raises(ValueError, match="^model not found"):
        model_path(text)


def test_a_long_text_is_shortened(home):
    with pytest.raises(ValueError) as caught:
        check_name("x" * 10_000)
    assert len(str(caught.value)) < 400
