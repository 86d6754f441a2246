import random
import shutil

import h5py
import numpy as np
import pytest

from keras_retinanet.models.checksum import add_checksum, check_checksum


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["weights"] = np.arange(100.0)
        file.attrs["names"] = "a"
    add_checksum(tmp_path / "file.h5")
    return tmp_path / "file.h5"


def check(path):
    with open(path, "rb") as file:
        check_checksum(file)


def test_hdf5_reads_the_file_as_before(path):
    check(path)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(file["weights"], np.arange(100.0))


def test_a_flipped_bit_is_found_wherever_it_is(path):
    content = path.read_bytes()
    # Not in the mark itself: without it there is no checksum, but what comes before is unchanged.
    places = range(content.index(b"\nkeras-retinanet crc32 ") * 8)
    for place in [0, places[-1], *random.Random(0).sample(places, 200)]:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="the file is damaged"):
            check(path)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 100, bytes(2**20 + 7)])
def test_any_other_file_passes(content, path):
    path.write_bytes(content)
    check(path)
    add_checksum(path)
    check(path)
    assert path.read_bytes().startswith(content)


def _in_place(file):
    file["weights"][0] = 7


def _attribute(file):
    file.attrs["names"] = "b"


def _longer(file):
    file["more"] = np.arange(1000)


@pytest.mark.parametrize("change", [_in_place, _attribute, _longer])
def test_a_program_that_changes_the_file_removes_the_checksum(change, path):
    with h5py.File(path, "r+") as file:
        change(file)
    check(path)
    assert b"crc32" not in path.read_bytes()


def test_a_copy_keeps_it(path, tmp_path):
    shutil.copy(path, tmp_path / "copy.h5")
    check(tmp_path / "copy.h5")
    assert b"crc32" in (tmp_path / "copy.h5").read_bytes()


def test_a_checksum_may_be_required(path, tmp_path):
    with open(path, "rb") as file:
        check_checksum(file, required=True)
    for content in (b"", b"text", path.read_bytes()[:-1]):
        other = tmp_path / "other"
        other.write_bytes(content)
        check(other)
        with open(other, "rb") as file, pytest.raises(ValueError, match="the file is damaged"):
            check_checksum(file, required=True)
