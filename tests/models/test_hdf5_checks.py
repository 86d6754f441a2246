import time
import zlib

import h5py
import ml_dtypes
import numpy as np
import pytest

from keras_retinanet.models.hdf5_checks import check_contents


def check(path):
    with h5py.File(path, "r") as file:
        check_contents(file, path.stat().st_size)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def test_what_keras_writes_passes(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        for dtype in ("float16", "float32", "float64", "int64", "uint8", "bool"):
            file[dtype] = np.zeros((2, 3), dtype)
        file["scalar"] = 3
        file["empty"] = np.zeros((0, 4))
        file["bfloat16"] = np.zeros(3, ml_dtypes.bfloat16)
        file.attrs["keras_version"] = "3.15.1"
        file.attrs["model_config"] = "x" * 100_000
        file.attrs["layer_names"] = ["float16", "scalar"]
        file.attrs["weight_names"] = np.array([], "float64")
    check(path)


@pytest.mark.parametrize(
    "options", [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {}]
)
def test_chunks_and_gzip_pass_with_optimizer_state_of_zeros(options, path):
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(0).normal(size=(1000, 5000)).astype("float32")
        file.create_dataset("weights", data=values, chunks=(500, 5000), **options)
        for name in ("momentum", "velocity"):
            file.create_dataset(name, data=values * 0, chunks=True, fletcher32=True, **options)
    check(path)


def _unwritten(file):
    file.create_dataset("a", (10**12,), "float32")


def _unwritten_small(file):
    file.create_dataset("a", (1000,), "float32")


def _unwritten_chunks(file):
    file.create_dataset("a", (10**9,), "float32", chunks=(10**6,), compression="gzip")


def _missing_chunk(file):
    file.create_dataset("a", (100,), "float32", chunks=(50,))[:50] = 1


def _gzip_of_zeros(file):
    data = file.create_dataset("a", (10**9,), "float32", chunks=(10**7,), compression="gzip")
    chunk = zlib.compress(bytes(4 * 10**7), 9)
    for start in range(0, 10**9, 10**7):
        data.id.write_direct_chunk((start,), chunk)


def _long_chunk(file):
    data = file.create_dataset("a", (100,), "float32", chunks=(100,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(10**8), 9))


def _twice_compressed(file):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((100,))
    settings.set_deflate(9)
    settings.set_deflate(9)
    space = h5py.h5s.create_simple((100,))
    data = h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_FLOAT, space, settings)
    h5py.Dataset(data)[:] = np.arange(100)


def _lzf(file):
    file.create_dataset("a", data=np.zeros(1000), compression="lzf")


def _huge_chunk(file):
    data = file.create_dataset("a", (10,), "float32", chunks=(10**8,), maxshape=(None,))
    data.id.write_direct_chunk((0,), bytes(16))


def _variable_length(file):
    file.create_dataset("a", (3,), h5py.vlen_dtype("float32"))


def _variable_length_texts(file):
    file["a"] = ["x", "y"]


def _references(file):
    file.create_dataset("a", (3,), h5py.ref_dtype)


def _compound(file):
    file["a"] = np.zeros(3, [("x", "float32"), ("y", "int32")])


def _arrays(file):
    file.create_dataset("a", (3,), np.dtype((np.float32, (10,))))


def _complex(file):
    file["a"] = np.zeros(3, "complex64")


def _no_shape(file):
    file["a"] = h5py.Empty("float32")


def _type(file):
    file["a"] = np.dtype("float32")


def _deep(file):
    for _ in range(100):
        file = file.create_group("a")


def _wide(file):
    for i in range(60_000):
        file.create_group(str(i))


def _attributes(file):
    file.attrs["a"] = np.zeros(2**20 + 1)


def _attribute_texts(file):
    file.attrs["a"] = ["x"] * 5000


def _attribute_references(file):
    file.attrs.create("a", [file.ref], dtype=h5py.ref_dtype)


def _names(values):
    def write(file):
        file["a"] = [1.0]
        file["b/c"] = [1.0]
        file["b/again"] = file["a"]
        file.attrs["layer_names"] = values

    return write


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (_unwritten, "they would fill the memory"),
        (_unwritten_small, "/a: expected 4000 bytes in the file, got 0"),
        (_unwritten_chunks, "they would fill the memory"),
        (_missing_chunk, "/a: parts of its values are not in the file"),
        (_gzip_of_zeros, "they would fill the memory"),
        (_long_chunk, "/a: a chunk is longer than the 400 bytes"),
        (_twice_compressed, "/a: expected gzip or no compression"),
        (_lzf, "/a: expected gzip or no compression"),
        (_huge_chunk, "/a: chunks of 400000000 bytes"),
        (_variable_length, "/a: expected numbers"),
        (_variable_length_texts, "/a: expected numbers"),
        (_references, "/a: expected numbers"),
        (_compound, "/a: expected numbers"),
        (_arrays, "/a: expected numbers"),
        (_complex, "/a: expected numbers"),
        (_no_shape, "/a: expected numbers"),
        (_type, "/a is neither a group nor a dataset"),
        (_deep, "at most 64 groups inside each other"),
        (_wide, "at most 50000 groups"),
        (_attributes, "attribute 'a' of /: expected at most"),
        (_attribute_texts, "attribute 'a' of /: expected a text"),
        (_attribute_references, "attribute 'a' of /: expected a text"),
        (_names(["a", "a"]), "the same object stands there twice"),
        (_names(["a", "b/again"]), "the same object stands there twice"),
        (_names(["/a"]), "got '/a'"),
        (_names(["../a"]), "got '../a'"),
        (_names(["./a"]), "got './a'"),
        (_names(["missing"]), "got 'missing'"),
        (_names(["b/missing/c"]), "got 'b/missing/c'"),
        (_names([1, 2]), "got '1'"),
        (_names(5), "got '5'"),
        (_names(np.array([b"\xff"])), "expected names of what is in the group"),
        (_names(["a"] * 4000), "the same object"),
        (_names(np.array(["a"] * 60_000, "S1")), "at most 50000"),
    ],
)
def test_refuses_quickly(write, text, path):
    with h5py.File(path, "w", libver="latest") as file:
        write(file)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=text):
        check(path)
    assert time.perf_counter() - start < 5


def test_circles_and_diamonds_of_hard_links_end(path):
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(40):  # 2**40 paths
            group["b"] = group.create_group("a")
            group = group["a"]
        group["root"] = file["/"]
    check(path)
