"""Downloads, from addresses of files on this disk."""

import keras
import pytest

from keras_retinanet.system.downloads import DownloadError, digest, download


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "elsewhere.bin"
    path.write_bytes(b"abc")
    return path


def accept(path):
    pass


def test_a_file_is_put_at_its_place_after_the_check(source, tmp_path, capsys):
    target = tmp_path / "new" / "models" / "a.bin"
    seen = []

    def check(path):
        seen.append((path.parent, path.read_bytes(), target.exists()))

    download(source.as_uri(), target, check)
    assert seen == [(target.parent, b"abc", False)]
    assert target.read_bytes() == b"abc"
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]
    assert "3/3" in capsys.readouterr().out  # the bar


def test_a_refused_file_changes_nothing(source, tmp_path):
    target = tmp_path / "models" / "a.bin"
    target.parent.mkdir()
    target.write_bytes(b"old")

    def check(path):
        raise ValueError(f"got {path.read_bytes()!r}")

    with pytest.raises(ValueError, match="^got b'abc'$") as caught:
        download(source.as_uri(), target, check)
    assert not isinstance(caught.value, DownloadError)
    assert target.read_bytes() == b"old"
    assert len(list(target.parent.iterdir())) == 1


def test_what_cannot_be_downloaded_leaves_nothing(tmp_path):
    target = tmp_path / "models" / "a.bin"
    with pytest.raises(DownloadError, match="No such file or directory"):
        download((tmp_path / "none.bin").as_uri(), target, accept)
    assert list(target.parent.iterdir()) == []
    with pytest.raises(DownloadError, match="unknown url type"):
        download("no address", target, accept)
    assert list(target.parent.iterdir()) == []


def test_half_a_download_is_removed_also_when_the_program_is_stopped(tmp_path, monkeypatch):
    def stop(name, url, *, cache_subdir, **_):
        with open(f"{cache_subdir}/{name}", "wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.utils, "get_file", stop)
    with pytest.raises(KeyboardInterrupt):
        download("https://example.org/a.bin", tmp_path / "a.bin", accept)
    assert list(tmp_path.iterdir()) == []


def test_the_reason_is_one_line_without_the_address(tmp_path, monkeypatch):
    url = "https://example.org/a.bin"

    def fail(*_, **__):
        raise Exception(f"URL fetch failure on {url}: None -- name\nresolution")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(DownloadError, match="^name resolution$"):
        download(url, tmp_path / "a.bin", accept)


def test_a_folder_that_cannot_be_written_is_named(source):
    with pytest.raises(OSError, match="elsewhere.bin"):
        download(source.as_uri(), source / "models" / "a.bin", accept)


def test_digests_of_the_standards(source):
    assert digest(source, "md5") == "900150983cd24fb0d6963f7d28e17f72"
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(source, "sha256") == expected
