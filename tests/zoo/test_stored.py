import struct

import numpy as np
import pytest

from keras_retinanet.zoo.stored import (
    ITEM_BYTES,
    checked_integer,
    checked_integers,
    checked_shape,
    count,
    decode,
    describe,
    memory_bytes,
    naming,
)

NUMBERS = [kind for kind in ITEM_BYTES if kind not in ("bfloat16", "bool")]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_keep_their_type(kind, order):
    expected = np.array([0, 1, 100], kind)
    data = expected.astype(expected.dtype.newbyteorder(order)).tobytes()
    assert len(data) == 3 * ITEM_BYTES[kind] == 3 * memory_bytes(kind)
    found = decode(memoryview(data), kind, order)
    assert found.dtype == expected.dtype and found.dtype.isnative
    np.testing.assert_array_equal(found, expected)


def test_arrays_are_read_only_views():
    data = struct.pack("<2f", 1.5, -2)
    found = decode(memoryview(data), "float32")
    assert found.tolist() == [1.5, -2] and not found.flags.writeable
    assert np.shares_memory(found, np.frombuffer(data, "uint8"))
    assert not decode(memoryview(data), "bfloat16").flags.writeable


# The sign, the exponent and the first 7 bits of the fraction.
@pytest.mark.parametrize(
    ("bits", "value"),
    [(0x3F80, 1.0), (0xC000, -2.0), (0x3FC0, 1.5), (0x4049, 3.140625), (0xFF80, -np.inf)]
    + [(0x0001, 2.0**-133), (0x8000, -0.0)],
)
def test_bfloat16_is_the_upper_half_of_float32(bits, value):
    found = decode(memoryview(struct.pack("<H", bits)), "bfloat16")
    assert found.dtype == "float32" and found.tolist() == [value]
    assert np.signbit(found[0]) == np.signbit(value)
    assert decode(memoryview(struct.pack(">H", bits)), "bfloat16", ">").tolist() == [value]
    assert memory_bytes("bfloat16") == found.itemsize


def test_each_byte_but_zero_is_true():
    found = decode(memoryview(b"\0\1\2\xff"), "bool")
    assert found.dtype == bool and found.view("uint8").tolist() == [0, 1, 1, 1]


def test_no_bytes_are_no_numbers():
    assert all(decode(memoryview(b""), kind).shape == (0,) for kind in ITEM_BYTES)


@pytest.mark.parametrize("shape", [(), (0,), (3, 4), [3, 4], (0, 2**40), (1,) * 32, (2**40,)])
def test_shapes(shape):
    assert checked_shape(shape) == tuple(shape)
    assert count(checked_shape(shape)) == np.prod(shape, dtype=object)


@pytest.mark.parametrize(
    "shape",
    [None, 3, "ab", b"ab", {1: 2}, {1}, memoryview(b"ab"), (1.0,), (True,), ("1",), ((1,),), (-1,)]
    + [(1,) * 33, (2**40 + 1,), (2**20, 2**21), (0, 2**40, 2**40), (10**500,), [-(10**500)]],
)
def test_what_is_no_shape(shape):
    with pytest.raises(ValueError, match="expected .* got ") as caught:
        checked_shape(shape)
    assert len(str(caught.value)) < 300


def test_strides_may_have_a_larger_product():
    assert checked_integers([2**40, 2**40]) == (2**40, 2**40)
    with pytest.raises(ValueError, match="an integer from 0 to"):
        checked_integers((0, -1))


@pytest.mark.parametrize("number", [-1, 2**40 + 1, True, 1.0, None, "1", 10**500])
def test_what_is_no_offset(number):
    with pytest.raises(ValueError, match="an integer from 0 to"):
        checked_integer(number)


def test_naming_puts_the_place_before_an_error():
    with pytest.raises(ValueError, match="^a.pth: 'b': wrong$"), naming("a.pth"), naming("'b'"):
        raise ValueError("wrong")
    with pytest.raises(OSError, match="^other$"), naming("a.pth"):
        raise OSError("other")


def test_describe_is_short_whatever_a_file_holds():
    nested = []
    nested.append(nested)
    laughs = ()
    for _ in range(100):
        laughs = (laughs,) * 10
    cases = {
        "'a'": "a",
        "b'a'": b"a",
        "'\\x1b[31m'": "\x1b[31m",
        "None": None,
        "True": True,
        "-1.5": -1.5,
        "7": 7,
        "a huge integer": 10**5000,
        "(1, 2)": [1, 2],
        "(1, 1, 1, 1, 1, 1, 1, 1, ...)": (1,) * 9,
        "a value of type list": nested,
        "a value of type tuple": laughs,
        "a value of type dict": {"a": nested},
    }
    assert [describe(value) for value in cases.values()] == list(cases)
    assert len(describe("€" * 10**6)) <= 80
