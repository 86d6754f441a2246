import json
import struct

import numpy as np
import pytest

from keras_retinanet.zoo.safetensors import read_safetensors
from keras_retinanet.zoo.stored import ITEM_BYTES
from tests.checkpoints import write_safetensors

KINDS = [kind for kind in ITEM_BYTES if kind != "bfloat16"]


def file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="U8", shape=(3,), start=0, end=3):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def test_tensors_are_those_that_were_written(tmp_path):
    expected = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    expected |= {"": np.array(1.5, "float32"), "empty": np.zeros((0, 4), "float32")}
    write_safetensors(expected, tmp_path / "a.safetensors", {"format": "pt"})
    data = (tmp_path / "a.safetensors").read_bytes()
    found, meta = read_safetensors(data)
    assert list(found) == list(expected) and meta == {"format": "pt"}
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert not found[name].flags.writeable
    assert np.shares_memory(found["float32"], np.frombuffer(data, "uint8"))


def test_a_file_written_by_hand():
    # As in the description of the format, with the padding that its writer adds to the header.
    header = b'{"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},'
    header += b'"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}   '
    data = b"\0\0\xc0\x3f" + b"\x80\x3f\x00\xc0"
    found, meta = read_safetensors(file(header, data))
    assert list(found) == ["b", "a"] and meta == {}
    assert found["a"].tolist() == [[1.5]]
    assert found["b"].dtype == "float32" and found["b"].tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it is truncated"),
        (b"\0" * 7, "it is truncated"),
        (file({}, length=100), "it is truncated"),
        (file({}, length=2**63), "it is truncated"),
        (file(b" " * 5_000_000), "it is truncated"),
        (file(b"{"), "header as JSON"),
        (file(b"[]"), "header as JSON"),
        (file(b"\xff\xff"), "header as JSON"),
        (file(b'{"a":' * 100_000), "header as JSON"),
        (file({"__metadata__": {"a": 1}}), "header as JSON"),
        (file({"a": 1}), "header of 'a' as JSON"),
        (file({"a": {"dtype": "U8", "shape": [3]}}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(-3,))}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(3.5,))}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(True,))}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(10**400,))}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(start=-1)}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(2**62,))}, b"abc"), "header of 'a' as JSON"),
        (file({"a": entry(shape=(2**40, 2**40))}, b"abc"), "'a': expected at most"),
        (file({"a": entry(shape=(1,) * 33, end=1)}, b"a"), "'a': expected at most 32"),
        (file({"a": entry(dtype="F8_E4M3")}, b"abc"), "got 'F8_E4M3'"),
        (file({"a": entry(shape=(4,))}, b"abc"), "up to byte 4 of 3, got 3"),
        (file({"a": entry(shape=(4,), end=4)}, b"abc"), "up to byte 4 of 3, got 4"),
        (file({"a": entry(start=3, end=0)}, b"abc"), "bytes from 0, got 3"),
        (file({"a": entry(start=1, end=4)}, b"abcd"), "bytes from 0, got 1"),
        (file({"a": entry(), "b": entry()}, b"abc"), "'b': expected its bytes from 3, got 0"),
        (file({"a": entry(), "b": entry(start=4, end=7)}, b"abcdefg"), "bytes from 3, got 4"),
        (file({"a": entry()}, b"abcd"), "expected 71 bytes, got 72"),
        (file({"\x1b[31m" * 1000: entry(start=1)}, b"abcd"), r"'\\x1b\[31m"),
    ],
)
def test_what_is_wrong_is_said(data, text):
    with pytest.raises(ValueError, match=text) as caught:
        read_safetensors(data)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()
