import io
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from keras_retinanet.zoo import checkpoints
from keras_retinanet.zoo.checkpoints import SUFFIXES, Checkpoint, read_checkpoint
from tests.checkpoints import (
    Call,
    Name,
    Raw,
    Reference,
    pickled,
    write_legacy,
    write_pkl,
    write_safetensors,
    write_zip,
)

# Written by torch 2.14, and the .pkl by NumPy 2.4.
TINY = Path(__file__).parent.parent / "data" / "checkpoints"
WRITERS = {"zip": write_zip, "legacy": write_legacy, "pkl": write_pkl}
TENSORS = {
    "backbone.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "head.bias": np.array([0.5, -1]),
    "bn.num_batches_tracked": np.array(7),
}
META = {
    "mmdet_version": "2.3.0",
    "epoch": 12,
    "CLASSES": ("person", "bicycle"),
    "PALETTE": [(220, 20, 60), (119, 11, 32)],
    "config": "model = dict(type='RetinaNet')\n" * 100,
    "hook_msgs": {"best": 0.365, "last": None, "flag": True},
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """A function that writes a value in one of the forms, and returns the path."""

    def written(value, name="a.pth"):
        WRITERS[request.param](value, tmp_path / name)
        return tmp_path / name

    return written


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, strict=True)
        assert not found[key].flags.writeable


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        OrderedDict,
        lambda tensors: {"state_dict": tensors},
        lambda tensors: {"state_dict": OrderedDict(tensors), "optimizer": {"state": {0: [1]}}},
        lambda tensors: {"model": tensors, "__author__": "Detectron2 Model Zoo"},
        lambda tensors: {"model": tensors, "optimizer": tensors, "iteration": 89_999},
    ],
)
def test_where_tensors_may_be(write, wrap):
    found = read_checkpoint(write(wrap(TENSORS)))
    assert_same(found.tensors, TENSORS)
    assert found.meta == {}


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tar", ""])
def test_the_suffix_does_not_matter(write, suffix):
    assert_same(read_checkpoint(write(TENSORS, f"a{suffix}")).tensors, TENSORS)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_safetensors(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_safetensors(TENSORS, path, {"format": "pt"})
    found = read_checkpoint(str(path))
    assert_same(found.tensors, TENSORS)
    assert found.meta == {"format": "pt"}


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x9500])
def test_safetensors_that_begin_like_a_pickle(tmp_path, length):
    header = b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'.ljust(length)
    path = tmp_path / "a.pth"
    path.write_bytes(length.to_bytes(8, "little") + header + b"\0\0\xc0\x3f")
    assert read_checkpoint(path).tensors["a"] == 1.5


def test_files_of_other_libraries():
    expected = dict(np.load(TINY / "tiny.expected.npz"))
    for name in ("tiny_zip", "tiny_legacy"):
        found = read_checkpoint(TINY / f"{name}.pth")
        assert_same({**found.tensors}, expected)
        assert found.meta == {}
    for name in ("tiny_wrapped_zip", "tiny_wrapped_legacy"):
        found = read_checkpoint(TINY / f"{name}.pth")
        assert_same({**found.tensors}, expected)
        assert found.meta["CLASSES"] == ("person", "bicycle")
        assert found.meta["config"] == "a = 1\n" and found.meta["big"] == 2**40
    found = read_checkpoint(TINY / "tiny.pkl").tensors
    assert found["a.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "name", ["tiny_unsafe_zip.pth", "tiny_unsafe_legacy.pth", "tiny_unsafe.pkl"]
)
def test_files_that_run_something_are_refused(name):
    with pytest.raises(
        ValueError, match=rf"{name}: .*calls posix.getcwd: refused, nothing was run"
    ):
        read_checkpoint(TINY / name)


def test_meta_is_plain(write):
    found = read_checkpoint(write({"meta": META, "state_dict": TENSORS}))
    assert found.meta == META
    others = {
        "tensor": TENSORS["head.bias"],
        "class": Name("a", "b"),
        "in": [{"a": Name("a", "b")}],
    }
    found = read_checkpoint(write({"meta": {**META, **others}, "state_dict": TENSORS}))
    assert found.meta == META
    assert read_checkpoint(write({"meta": 7, "state_dict": TENSORS})).meta == {}


# A list that holds itself; a tuple of 3^12 values; a list that is deep.
ITSELF = Raw(b"]q\x64h\x64a")
LAUGHS = Raw(b")" + b"q\x64h\x64h\x64\x87" * 12)
DEEP = Raw(b"]" * 50 + b"a" * 49)


@pytest.mark.parametrize("value", [ITSELF, LAUGHS, DEEP], ids=["itself", "laughs", "deep"])
def test_meta_is_bounded(write, value):
    path = write({"meta": {"a": value}, "state_dict": TENSORS})
    with pytest.raises(ValueError, match=r"a\.pth: 'meta': expected at most 10000 values"):
        read_checkpoint(path)


def test_the_number_of_values_in_meta_is_bounded(write, monkeypatch):
    path = write({"meta": {"a": [1] * 10, "b": 2}, "state_dict": TENSORS})
    monkeypatch.setattr(checkpoints, "MAX_META_VALUES", 12)
    assert read_checkpoint(path).meta == {"a": [1] * 10, "b": 2}
    monkeypatch.setattr(checkpoints, "MAX_META_VALUES", 11)
    with pytest.raises(ValueError, match="at most 11 values"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([TENSORS["head.bias"]], "a dictionary of tensors, got a value of type list"),
        (TENSORS["head.bias"], "a dictionary of tensors, got a value of type "),
        (7, "a dictionary of tensors, got 7"),
        ({}, "expected tensors by name, got none"),
        ({"state_dict": {}}, "expected tensors by name, got none"),
        ({"epoch": 7}, "got 'epoch': 7"),
        ({"model_state_dict": TENSORS}, "got 'model_state_dict': a value of type dict"),
        ({**TENSORS, "version": "1.0"}, "got 'version': '1.0'"),
        ({"state_dict": {**TENSORS, "a.b": None}}, r"got 'a\.b': None"),
        ({"model": {**TENSORS, "a": {"b": 1}}}, "got 'a': a value of type dict"),
        ({0: TENSORS["head.bias"]}, "got 0: a value of type"),
        ({"\x1b[31m" * 99: 7}, r"got '\\x1b\[31m"),
        (Call(Name("torchvision.models.detection", "RetinaNet"), ()), "calls torchvision.models"),
        (Call(Name("argparse", "Namespace"), ()), "calls argparse.Namespace: refused"),
    ],
)
def test_other_contents_are_refused(write, value, text):
    path = write(value)
    with pytest.raises(ValueError, match=text) as caught:
        read_checkpoint(path)
    found = str(caught.value)
    assert found.startswith(f"{path}: ") and found.count(str(path)) == 1
    assert found.isprintable() and len(found) < 300 + len(str(path))


def npz():
    stream = io.BytesIO()
    np.savez(stream, **TENSORS)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "got an empty file"),
        (b"<!DOCTYPE html>\n<html>", "got a web page: download the file itself"),
        (b"\xef\xbb\xbf\n  <HTML><head>", "got a web page"),
        (b'<?xml version="1.0"?><Error>', "got a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "`git lfs pull`"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), r"an HDF5 file \(\.h5\)"),
        (npz(), "another zip archive"),
        (b"\xff\xd8\xff\xe0" + bytes(100), r"a file that begins with b'\\xff\\xd8"),
        (b"a: 1\n", r"\.pth, \.pt, \.pkl, \.safetensors.* begins with b'a: 1\\n'"),
        (b"\x80\x02", "truncated"),
        (b"(dp0\n.", "a file that begins with"),
        (pickled(TENSORS) + b"x", "something follows the pickle"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_files_that_are_no_checkpoints(tmp_path, data, text, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=text) as caught:
        read_checkpoint(path)
    assert str(caught.value).count(str(path)) == 1 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", "an empty file"), (b"<html>" + bytes(99), "a web page"), (b"a", "header takes")],
)
def test_files_that_are_no_safetensors(tmp_path, data, text):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=text):
        read_checkpoint(path)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(IsADirectoryError):
        read_checkpoint(tmp_path)
    with open(tmp_path / "huge.pth", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="at most 4294967296 bytes"):
        read_checkpoint(tmp_path / "huge.pth")


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(write, cut):
    path = write({"a": np.ones(10_000, "float32"), "b": np.ones(10_000, "float32")})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(ValueError, match="truncated"):
        read_checkpoint(path)


# 2^20 times 2^20 times the same number.
EXPANDED = Call(
    Name("torch._utils", "_rebuild_tensor_v2"),
    (
        Reference(("storage", Name("torch", "FloatStorage"), "x", "cpu", 4, None)),
        0,
        (2**20, 2**20),
        (0, 0),
        False,
        OrderedDict(),
    ),
)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_tensor_of_2_to_the_40_numbers_is_refused(tmp_path, form):
    storage = {"x": np.ones(4, "float32")}
    WRITERS[form]({"a": EXPANDED}, tmp_path / "a.pth", storages=storage.items())
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"at most 16777216 bytes .* got more at 'a'"):
        read_checkpoint(tmp_path / "a.pth")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def repeated(names):
    """Return a pickle with one array of 300 kB under many names."""
    array = pickled(np.ones(300_000, "uint8"), protocol=3)[2:-1]
    names = b"".join(b"X\4\0\0\0%04dh\xc8" % i for i in range(1, names))
    return b"\x80\x03}(X\1\0\0\0a" + array + b"q\xc8" + names + b"u."


def test_an_array_of_many_names_is_refused(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(repeated(2**24 // 300_000))
    assert len(read_checkpoint(path).tensors) == 2**24 // 300_000
    path.write_bytes(repeated(5000))
    with pytest.raises(ValueError, match="they repeat their values"):
        read_checkpoint(path)


def test_the_error_names_the_tensor(tmp_path):
    storage = Reference(("storage", Name("torch", "FloatStorage"), "x", "cpu", 4))
    tensor = Call(Name("torch._utils", "_rebuild_tensor_v2"), (storage, 3, (2,), (1,)))
    write_zip({"a": tensor}, tmp_path / "a", storages={"x": np.ones(4, "float32")}.items())
    with pytest.raises(ValueError, match="a: 'a': expected a storage of at least 5 elements"):
        read_checkpoint(tmp_path / "a")


def test_a_checkpoint_takes_as_much_memory_as_its_file(write):
    path = write({"state_dict": {str(i): np.ones(500_000) for i in range(4)}})
    tracemalloc.start()
    found = read_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Checkpoint) and len(found.tensors) == 4
    assert peak < 1.05 * path.stat().st_size
