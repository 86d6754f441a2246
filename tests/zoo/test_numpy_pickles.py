import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from keras_retinanet.zoo.numpy_pickles import HANDLERS
from keras_retinanet.zoo.pickles import load_pickle
from keras_retinanet.zoo.stored import ITEM_BYTES, Stored
from tests.checkpoints import Call, Name, Raw, numpy_array, pickled

# Written by NumPy 2.4, protocol 2.
TINY = Path(__file__).parent.parent / "data" / "checkpoints" / "tiny.pkl"
KINDS = [kind for kind in ITEM_BYTES if kind != "bfloat16"]
MATRIX = np.arange(6, dtype="float32").reshape(2, 3)


def load(code):
    return load_pickle(memoryview(code), HANDLERS)[0]


def only(code):
    """Return the array of a pickle of one."""
    found = load(code)
    assert isinstance(found, Stored)
    array = found.array()
    assert found.nbytes == array.nbytes
    return array


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_are_those_that_numpy_wrote(kind, protocol):
    expected = np.arange(24).reshape(2, 3, 4).astype(kind)
    assert_same(only(pickle.dumps(expected, protocol)), expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "array",
    [np.array(3.5), np.zeros((0, 4), "float32"), MATRIX.T, MATRIX[:, ::2], MATRIX.astype(">f4")]
    + [np.asfortranarray(MATRIX).astype(">f8"), np.full(20_000, 200, "uint8")],
    ids=["scalar", "empty", "fortran", "strided", "big-endian", "both", "long"],
)
def test_forms_of_arrays(array, protocol):
    found = only(pickle.dumps(array, protocol))
    assert_same(found, array.astype(array.dtype.newbyteorder("=")))
    assert found.dtype.isnative


@pytest.mark.parametrize("core", ["core", "_core"])
def test_both_names_of_numpys_core(core):
    assert_same(only(pickled(numpy_array(MATRIX, core))), MATRIX)


def test_python_2_gives_bytes_as_text():
    data = b"T\x18\0\0\0" + MATRIX.tobytes()
    whole = numpy_array(MATRIX)
    old = Call(whole.function, whole.arguments, (*whole.state[:4], Raw(data)))
    assert_same(only(pickled(old)), MATRIX)


def test_arrays_are_views_of_the_file():
    code = pickle.dumps(np.zeros(1_000_000), 4)
    tracemalloc.start()
    assert only(code).size == 1_000_000
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_a_file_that_numpy_wrote():
    found = load(TINY.read_bytes())["model"]
    expected = pickle.loads(TINY.read_bytes())["model"]  # our own file: nothing else does this
    assert list(found) == list(expected) == ["a.weight", "b.bias", "n.num_batches_tracked"]
    for key, array in expected.items():
        assert_same(found[key].array(), np.asarray(array))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "number", [np.float32(1.5), np.float64(0.1), np.int64(-7), np.uint8(200), np.bool_(True)]
)
def test_numbers_of_numpy_are_plain(number, protocol):
    found = load(pickle.dumps([number], protocol))
    assert found == [number.item()] and type(found[0]) is type(number.item())


def test_big_endian_numbers():
    big = np.array([1.5], ">f4")[0]
    assert load(pickle.dumps(big)) == 1.5


def state(**changes):
    """Return a pickle of `MATRIX` with other parts: version, shape, kind, fortran, data."""
    whole = numpy_array(MATRIX)
    names = ("version", "shape", "kind", "fortran", "data")
    parts = {**dict(zip(names, whole.state, strict=True)), **changes}
    return pickled(Call(whole.function, whole.arguments, tuple(parts.values())), protocol=3)


def dtype(code, order="<", fields=(None, None, None)):
    state = (3, order, *fields, -1, -1, 0)
    return Call(Name("numpy", "dtype"), (code, False, True), state)


@pytest.mark.parametrize(
    "code",
    [
        state(shape=(2, 4)),
        state(shape=(-2, -3)),
        state(shape=(2**62, 2**62)),
        state(shape=(0, 2**62)),
        state(shape=(2.0, 3)),
        state(shape=(True, 6)),
        state(shape=(1,) * 33),
        state(shape=None),
        state(data=b""),
        state(data=MATRIX.tobytes() + b"x"),
        state(data=[1, 2, 3, 4, 5, 6]),
        state(data="€" * 24),
        state(data=7),
        state(fortran="yes"),
        state(kind=None),
        state(kind=dtype("f4", "=")),
        state(kind=dtype("f4", "|")),
        state(kind=dtype("f4", fields=("x", None, None))),
        state(kind=dtype("f4", fields=(None, ("a",), {"a": 1}))),
        state(kind=dtype("O8", "|")),
        state(kind=dtype("V4", "|")),
        state(kind=dtype("U1")),
        state(kind=dtype("c8")),
        state(kind=dtype("M8[ns]")),
        state(kind=dtype("f4,f4")),
        state(kind=dtype(4)),
        state(kind=Name("numpy", "float32")),
        pickle.dumps(np.array([{}, []], object)),
        state().replace(b"cnumpy\nndarray", b"cnumpy\nmatrix"),
        pickled(Call(Name("numpy.core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"),))),
    ],
)
def test_other_arrays_are_refused(code):
    with pytest.raises(ValueError, match="expected|codec") as caught:
        load(code).array()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "arguments",
    [(dtype("f8"), b"abc"), (dtype("f8"), "a" * 10**6), (dtype("O8", "|"), b"abcdefgh")]
    + [(dtype("U1"), b"abcd"), ("f8", b"abcdefgh"), (dtype("f8"),), (dtype("f8"), None)],
)
def test_other_numbers_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        load(pickled(Call(Name("numpy.core.multiarray", "scalar"), arguments), protocol=3))


@pytest.mark.parametrize(
    "arguments",
    [("a", "rot13"), ("a", "zip"), (b"a", "latin1"), ("a",), ("a", None), (1, "latin1")],
)
def test_other_encodings_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        load(pickled(Call(Name("_codecs", "encode"), arguments), protocol=3))


def test_huge_bytes_that_are_asked_for_often_take_no_memory():
    # 300 kB of text, encoded three thousand times.
    text = pickled("x" * 300_000)[2:-1]
    code = b"\x80\x02" + text + b"q\0c_codecs\nencode\nq\1X\x06\0\0\0latin1q\2("
    code += b"h\1h\0h\2\x86R" * 3000 + b"t."
    tracemalloc.start()
    assert len(load(code)) == 3000
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
