import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest

from keras_retinanet.system.array_files import load_arrays

TYPES = {"a": "f8", "b": "i8", "c": "U"}
ARRAYS = {
    "a": np.arange(12.0).reshape(4, 3),
    "b": np.arange(5),
    "c": np.array(["x", "yz"]),
}


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "file.npz", **ARRAYS)
    return tmp_path / "file.npz"


def npy(header, data=b"", version=b"\x01\x00"):
    text = (header if isinstance(header, str) else repr(header)).encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def header(shape=(4, 3), descr="<f8", order=False):
    return {"descr": descr, "fortran_order": order, "shape": shape}


def write(path, compression=zipfile.ZIP_STORED, **members):
    """Write an archive with some members instead of the right ones; None leaves one out."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in ARRAYS.items():
            data = io.BytesIO()
            np.save(data, array)
            content = members.pop(name, data.getvalue())
            if content is not None:
                archive.writestr(f"{name}.npy", content)
        for name, content in members.items():
            archive.writestr(name, content)


def test_arrays_are_those_that_were_saved(path):
    found = load_arrays(path, TYPES)
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.flags.writeable
    empty = {"a": np.empty((0, 3)), "b": np.empty(0, "int64"), "c": np.array("text")}
    np.savez(path, **empty)
    for name, array in load_arrays(path, TYPES).items():
        np.testing.assert_array_equal(array, empty[name])
        assert array.shape == empty[name].shape
    large = np.random.default_rng(0).normal(size=(300_001, 2))
    np.savez(path, a=large)
    np.testing.assert_array_equal(load_arrays(path, {"a": "f8"})["a"], large)


DATA = ARRAYS["a"].tobytes()
# What is wrong -> the members that are replaced.
FORGED = {
    "huge": {"a": npy(header((10**12,)), DATA)},
    "huge in all sides": {"a": npy(header((2**40, 2**40)), DATA)},
    "negative": {"a": npy(header((-4, -3)), DATA)},
    "shorter": {"a": npy(header((4, 2)), DATA)},
    "longer": {"a": npy(header((4, 4)), DATA)},
    "empty sides": {"a": npy(header((0, 10**15)), DATA)},
    "another dtype": {"a": npy(header(descr="<i8"), DATA)},
    "another size": {"a": npy(header((4, 6), "<f4"), DATA)},
    "other byte order": {"a": npy(header(descr=">i4"), DATA)},
    "objects": {"a": npy(header(descr="|O"), DATA)},
    "fields": {"a": npy(header((4, 3), [("x", "<f8")]), DATA)},
    "no size": {"c": npy(header((10**9,), "<U0"))},
    "columns": {"a": npy(header(order=True), DATA)},
    "no header": {"a": b"hello"},
    "empty": {"a": b""},
    "a program": {"a": npy("__import__('os').abort()")},
    "nested": {"a": npy("(" * 20_000)},
    "a pickle": {"a": b"\x80\x04cos\nsystem\n."},
    "another version": {"a": npy(header(), DATA, b"\x09\x00")},
    "one missing": {"a": None},
    "one too many": {"d.npy": b""},
    "a bomb": {"compression": zipfile.ZIP_DEFLATED, "a": npy(header((10**7,)), bytes(8 * 10**7))},
    "no letters": {"c": npy(header((1,), "<U1"), b"\xff\xff\xff\xff")},
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_files_are_refused(path, kind):
    write(path, **FORGED[kind])
    with pytest.raises(ValueError, match=r"file\.npz: damaged"):
        found = load_arrays(path, TYPES)
        json.dumps(found["c"].tolist())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "empty").touch()
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(IsADirectoryError):
        load_arrays(tmp_path / "folder", TYPES)
    for name in ("fifo", "device", "empty", "sparse"):
        with pytest.raises(ValueError, match=f"{name}: "):
            load_arrays(tmp_path / name, TYPES)


def test_no_changed_bit_changes_an_array(path):
    content = path.read_bytes()
    harmless = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = load_arrays(path, TYPES)
        except ValueError:
            continue
        harmless += 1  # times, padding, and fields that the archive holds twice
        for name, array in found.items():
            np.testing.assert_array_equal(array, ARRAYS[name])
    assert harmless < len(content) / 4


def test_no_shorter_file_is_read(path):
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"file\.npz"):
            load_arrays(path, TYPES)
