import io
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from keras_retinanet.zoo import torch_files
from keras_retinanet.zoo.stored import Stored
from keras_retinanet.zoo.torch_files import LEGACY_MAGIC, read_legacy, read_zip
from tests.checkpoints import (
    MAGIC,
    STORAGES,
    Call,
    Name,
    Reference,
    numpy_array,
    pickled,
    torch_tensor,
    write_legacy,
    write_zip,
)

# `torch.save` of torch 2.14 wrote these, and `torch.load` gave the expected values.
TINY = Path(__file__).parent.parent / "data" / "checkpoints"
EXPECTED = dict(np.load(TINY / "tiny.expected.npz"))
MATRIX = np.arange(6, dtype="float32").reshape(2, 3)
FORMS = {"zip": (write_zip, read_zip), "legacy": (write_legacy, read_legacy)}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


@pytest.fixture
def through_file(tmp_path, form):
    """A function that writes a value in one of the forms, and reads it."""

    def through(value, **options):
        write, read = FORMS[form]
        write(value, tmp_path / "a.pth", **options)
        return read((tmp_path / "a.pth").read_bytes())

    return through


def assert_same(found, expected):
    assert isinstance(found, Stored) and found.nbytes == expected.nbytes
    np.testing.assert_array_equal(found.array(), expected, strict=True)


@pytest.mark.parametrize("name", ["tiny", "tiny_wrapped"])
def test_files_that_torch_wrote(form, name):
    found = FORMS[form][1]((TINY / f"{name}_{form}.pth").read_bytes())
    found = found["state_dict"] if name == "tiny_wrapped" else found
    assert list(found) == list(EXPECTED)
    for key, array in EXPECTED.items():
        assert_same(found[key], array)


def test_files_that_run_something_are_refused(form):
    with pytest.raises(ValueError, match="calls posix.getcwd: refused, nothing was run"):
        FORMS[form][1]((TINY / f"tiny_unsafe_{form}.pth").read_bytes())


@pytest.mark.parametrize("kind", STORAGES)
def test_numbers_keep_their_type(through_file, kind):
    expected = np.arange(24).reshape(2, 3, 4).astype(kind)
    assert_same(through_file({"a": expected})["a"], expected)


def test_values_beside_tensors(through_file):
    metadata = OrderedDict({"": {"version": 2}})
    state = OrderedDict(a=MATRIX)
    state._metadata = metadata
    found = through_file(
        {
            "state_dict": state,
            "size": Call(Name("torch", "Size"), ((2, 3),)),
            "device": Call(Name("torch", "device"), ("cuda", 0)),
            "dtype": Name("torch", "float32"),
            "best": numpy_array(MATRIX),
            "epoch": 12,
        }
    )
    assert_same(found["state_dict"]["a"], MATRIX)
    assert_same(found["best"], MATRIX)
    assert (found["size"], found["epoch"], found["device"]) == ((2, 3), 12, None)


def test_tensors_are_views_of_the_file(through_file):
    found = through_file({"a": np.zeros(1_000_000)})
    tracemalloc.start()
    assert found["a"].array().size == 1_000_000
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


# Element (i, j) of a tensor is that of the storage at offset + i * stride + j * stride.
STORAGE = np.arange(10, 22, dtype="float32")


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "expected"),
    [
        (0, (2, 3), (3, 1), [[10, 11, 12], [13, 14, 15]]),
        (0, (3, 2), (1, 3), [[10, 13], [11, 14], [12, 15]]),
        (4, (2, 3), (3, 1), [[14, 15, 16], [17, 18, 19]]),
        (1, (2, 2), (6, 2), [[11, 13], [17, 19]]),
        (11, (), (), 21),
        (2, (2, 3), (0, 1), [[12, 13, 14], [12, 13, 14]]),
        (3, (2, 2), (0, 0), [[13, 13], [13, 13]]),
        (0, (2, 3), (1, 1), [[10, 11, 12], [11, 12, 13]]),
        (0, (0, 4), (4, 1), np.zeros((0, 4))),
        (12, (0,), (1,), []),
    ],
)
def test_strides_and_offsets(through_file, form, offset, shape, strides, expected):
    view = (None,) if form == "legacy" else ()
    tensor = torch_tensor(
        "7", "FloatStorage", shape, strides, elements=12, offset=offset, view=view
    )
    found = through_file({"a": tensor}, storages={"7": STORAGE}.items())["a"]
    assert_same(found, np.asarray(expected, "float32"))


def test_a_part_of_a_storage(tmp_path):
    view = (("part", 4, 6),)
    tensor = torch_tensor("7", "FloatStorage", (2, 2), (2, 1), elements=12, offset=1, view=view)
    write_legacy({"a": tensor}, tmp_path / "a", {"7": STORAGE}.items())
    found = read_legacy((tmp_path / "a").read_bytes())
    assert found["a"].array().tolist() == [[15, 16], [17, 18]]


def test_two_tensors_share_a_storage(through_file, form):
    view = (None,) if form == "legacy" else ()
    tensors = {
        str(offset): torch_tensor(
            "7", "BFloat16Storage", (2,), (1,), elements=4, offset=offset, view=view
        )
        for offset in (0, 1)
    }
    # 1, 2, -1, -2
    storage = np.array([0x3F80, 0x4000, 0xBF80, 0xC000], "<u2")
    found = through_file(tensors, storages={"7": storage}.items())
    one, other = found["0"].array(), found["1"].array()
    assert (one.tolist(), other.tolist(), one.dtype) == ([1, 2], [2, -1], "float32")
    assert found["0"].nbytes == one.nbytes
    assert np.shares_memory(one, other)  # widened once


def rebuilt(storage=None, offset=0, shape=(2, 3), strides=(3, 1), view=(None,)):
    """Return a tensor of which one part is anything."""
    identity = ("storage", Name("torch", "FloatStorage"), "7", "cpu", 12, *view)
    storage = Reference(identity) if storage is None else storage
    return Call(
        Name("torch._utils", "_rebuild_tensor_v2"), (storage, offset, shape, strides, False)
    )


HUGE = 2**60


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 7},
        {"offset": -1},
        {"offset": HUGE},
        {"offset": True},
        {"offset": 1.0},
        {"strides": (-3, 1)},
        {"strides": (HUGE, 1)},
        {"strides": (12, 1)},
        {"strides": (3,)},
        {"strides": (3, 1, 1)},
        {"strides": (True, 1)},
        {"strides": None},
        {"shape": (-2, 3)},
        {"shape": (5, 3)},
        {"shape": (HUGE, HUGE)},
        {"shape": (HUGE, 0)},
        {"shape": (2.0, 3)},
        {"shape": "ab"},
        {"shape": (1,) * 40, "strides": (1,) * 40},
        {"shape": (13,), "strides": (1,)},
        {"view": (("part", 8, 6),)},
        {"view": (("part", 8, 3),)},
        {"view": (("part", 8, 6),), "shape": (2,), "strides": (1,)},
        {"view": (("part", -1, 6),)},
        {"view": (("part", 0, HUGE),)},
        {"view": (("part", 0),)},
        {"view": (7,)},
        {"view": (None, None)},
        {"storage": 7},
        {"storage": Reference(7)},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), "7", "cpu"))},
        {"storage": Reference(("module", Name("torch", "FloatStorage"), "7", "cpu", 12))},
        {"storage": Reference(("storage", "FloatStorage", "7", "cpu", 12))},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), 7, "cpu", 12))},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), [], "cpu", 12))},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), "7", "cpu", 13))},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), "7", "cpu", -12))},
        {"storage": Reference(("storage", Name("torch", "FloatStorage"), "7", "cpu", HUGE))},
        {"storage": Reference(("storage", Name("torch", "DoubleStorage"), "7", "cpu", 12))},
        {"storage": Reference(("storage", Name("torch", "ComplexFloatStorage"), "7", "cpu", 6))},
        {"storage": Reference(("storage", Name("os", "system"), "7", "cpu", 12))},
    ],
    ids=str,
)
def test_other_tensors_are_refused(through_file, changes):
    with pytest.raises(ValueError, match="expected|outside") as caught:
        through_file({"a": rebuilt(**changes)}, storages={"7": STORAGE}.items())["a"].array()
    assert len(str(caught.value)) < 300


def test_a_tensor_of_2_to_the_40_numbers_is_only_said_to_be_large(through_file):
    tensor = rebuilt(shape=(2**20, 2**20), strides=(0, 0))
    found = through_file({"a": tensor}, storages={"7": STORAGE}.items())
    tracemalloc.start()
    assert found["a"].nbytes == 2**42
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_a_storage_of_two_kinds_is_refused(through_file):
    kinds = [Name("torch", kind) for kind in ("FloatStorage", "IntStorage")]
    references = [Reference(("storage", kind, "7", "cpu", 12)) for kind in kinds]
    with pytest.raises(ValueError, match="'7' is said to be of two kinds"):
        through_file(references, storages={"7": STORAGE}.items())


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (("torch._utils", "_rebuild_parameter"), (1, True, {})),
        (("torch._utils", "_rebuild_parameter"), ()),
        (("torch._utils", "_rebuild_tensor_v2"), (1,)),
        (("torch", "Size"), ("ab",)),
        (("torch", "Size"), ([1] * 100_000,)),
        (("torch.storage", "_load_from_bytes"), (b"abc",)),
        (("torch.jit._pickle", "build_intlist"), ([1],)),
        (("torch.nn.modules.conv", "Conv2d"), ()),
    ],
)
def test_other_calls_are_refused(through_file, function, arguments):
    with pytest.raises(ValueError, match="expected"):
        through_file(Call(Name(*function), arguments))


# The zip form.


def zipped(members, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(
                zipfile.ZipInfo(name), content, archive.compression
            )  # no date of today
    return stream.getvalue()


CODE = pickled({"a": torch_tensor("0", "FloatStorage", (2,), (1,), elements=2)})
MEMBERS = {"x/data.pkl": CODE, "x/data/0": struct.pack("<2f", 1.5, -2), "x/version": b"3\n"}


def without(name):
    return {key: content for key, content in MEMBERS.items() if key != name}


@pytest.mark.parametrize(
    "data",
    [
        zipped(MEMBERS),
        zipped({**MEMBERS, "x/byteorder": b"little"}),
        zipped({**MEMBERS, "x/.data/serialization_id": b"1", "other/data.txt": b""}),
        zipped({f"{'long' * 30}{key[1:]}": content for key, content in MEMBERS.items()}),
    ],
)
def test_a_zip_written_by_hand(data):
    assert read_zip(data)["a"].array().tolist() == [1.5, -2]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"PK\3\4", "truncated or damaged"),
        (zipped(MEMBERS)[:-30], "truncated or damaged"),
        (zipped(MEMBERS)[:100], "truncated or damaged"),
        (b"PK\3\4" + zipped(MEMBERS)[30:], "truncated or damaged"),
        (zipped({}), "another zip archive"),
        (zipped({"a.npy": b""}), "another zip archive"),
        (zipped({"config.json": b"{}", "model.weights.h5": b""}), "a Keras model"),
        (zipped({**MEMBERS, "x/constants.pkl": b""}), "TorchScript"),
        (zipped({**MEMBERS, "x/code/a.py": b""}), "TorchScript"),
        (zipped({**MEMBERS, "x/byteorder": b"big"}), "another byte order"),
        (zipped(MEMBERS, compression=zipfile.ZIP_DEFLATED), "got 'x/data.pkl', compressed"),
        (zipped(without("x/data/0")), "a member 'data/0' in the archive, got none"),
        (zipped({**MEMBERS, "x/data/0": b"abc"}), "8 bytes in the storage '0', got 3"),
        (zipped({**MEMBERS, "x/data/0": b"a" * 9}), "8 bytes in the storage '0', got 9"),
        (zipped({**MEMBERS, "x/data.pkl": CODE[:-1]}), "truncated"),
        (zipped(MEMBERS).replace(b"\xc0\x3f", b"\xc1\x3f"), "'x/data/0' has another checksum"),
        (zipped(MEMBERS).replace(CODE, CODE[:-5] + bytes(5)), "'x/data.pkl' has another checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_zip_is_said(data, text):
    with pytest.raises(ValueError, match=text) as caught:
        read_zip(data)["a"].array()
    assert len(str(caught.value)) < 300


def test_an_encrypted_member_is_refused():
    data = bytearray(zipped(MEMBERS))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(ValueError, match=r"'x/data\.pkl', compressed"):
        read_zip(bytes(data))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "another checksum"),
        (2**31, "damaged at its member"),
        (2**32 - 2, "damaged at its member"),
    ],
)
def test_the_size_of_a_member_is_not_believed(size, text):
    data = bytearray(zipped(MEMBERS))
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)  # of x/data/0
    data[at + 20 : at + 28] = struct.pack("<II", size, size)
    tracemalloc.start()
    with pytest.raises(ValueError, match=text):
        read_zip(bytes(data))["a"].array()
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_the_number_of_members_is_bounded(monkeypatch):
    monkeypatch.setattr(torch_files, "MAX_CHECKPOINT_MEMBERS", 3)
    read_zip(zipped(MEMBERS))
    with pytest.raises(ValueError, match="at most 3 members"):
        read_zip(zipped({**MEMBERS, "x/y": b""}))


# The form before torch 1.6.


def legacy(**changes):
    """Return a file of which some parts are others."""
    identity = ("storage", Name("torch", "FloatStorage"), "7", "cpu", 2, None)
    tensor = Call(Name("torch._utils", "_rebuild_tensor_v2"), (Reference(identity), 0, (2,), (1,)))
    parts = {
        "magic": pickled(LEGACY_MAGIC),
        "version": pickled(1001),
        "machine": pickled({"little_endian": True}),
        "value": pickled({"a": tensor}),
        "keys": pickled(["7"]),
        "count": struct.pack("<q", 2),
        "data": struct.pack("<2f", 1.5, -2),
    }
    assert set(changes) <= set(parts)
    return b"".join({**parts, **changes}.values())


def test_a_legacy_file_written_by_hand():
    assert LEGACY_MAGIC == MAGIC
    assert read_legacy(legacy())["a"].array().tolist() == [1.5, -2]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"magic": pickled(7)}, "another version"),
        ({"version": pickled(1002)}, "another version"),
        ({"machine": pickled([])}, "another version"),
        ({"machine": pickled({"little_endian": False})}, "another byte order"),
        ({"machine": pickled({})}, "another byte order"),
        ({"machine": pickled(Call(Name("os", "getcwd"), ()))}, "calls os.getcwd"),
        ({"value": pickled({})}, "not those that its tensors"),
        ({"keys": pickled([])}, "not those that its tensors"),
        ({"keys": pickled(["8"])}, "not those that its tensors"),
        ({"keys": pickled(["7", "8"])}, "not those that its tensors"),
        ({"keys": pickled([7])}, "not those that its tensors"),
        ({"keys": pickled([["7"]])}, "not those that its tensors"),
        ({"keys": pickled("7")}, "not those that its tensors"),
        ({"keys": pickled(["7", "7"])}, "the file is truncated"),
        ({"keys": pickled(Call(Name("os", "getcwd"), ()))}, "calls os.getcwd"),
        ({"count": struct.pack("<q", 3)}, "'7' has another size"),
        ({"count": struct.pack("<q", -1)}, "'7' has another size"),
        ({"count": struct.pack("<q", 2**62)}, "'7' has another size"),
        ({"count": b""}, "the file is truncated"),
        ({"data": b"abcdefg"}, "the file is truncated"),
        ({"data": b"abcdefghi"}, "something follows the tensors"),
        ({"value": pickled(None) + b"rest"}, "got a damaged one"),
    ],
)
def test_what_is_wrong_with_a_legacy_file_is_said(changes, text):
    with pytest.raises(ValueError, match=text) as caught:
        read_legacy(legacy(**changes))
    assert len(str(caught.value)) < 300
