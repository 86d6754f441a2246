import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_retinanet.batches.image_cache import InMemory, OnDisk
from keras_retinanet.preprocessing import pipeline
from tests.fakes import MemoryGenerator, truth
from tests.preprocessing.test_generator import EVERYTHING, Blocks


class Files(MemoryGenerator):
    """Image files, and how often each was decoded."""

    def __init__(self, folder, number=5, **options):
        self.files, self.decoded = [], []
        rng = np.random.default_rng(0)
        for i in range(number):
            self.files.append(str(folder / f"{i}.png"))
            cv2.imwrite(self.files[-1], rng.integers(0, 255, (40, 30 + i, 3)))
        super().__init__(
            self.files, [truth((2, 3, 15, 18, i % 2)) for i in range(number)], **options
        )

    def image_path(self, image_index):
        return self.files[image_index]

    def load_image(self, image_index):
        self.decoded.append(image_index)
        image = cv2.imread(self.files[image_index])
        if image is None:
            raise ValueError(f"{self.files[image_index]}: damaged")
        return image


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    """Keras's folder is that of the test."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))


def kept_files(tmp_path):
    return sorted((tmp_path / "home" / "decoded_images").rglob("*.*"))


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_batches_are_the_same_bit_for_bit(tmp_path, kind):
    sides = {"no_resize": False, "image_min_side": 64, "image_max_side": 128}
    plain, cached = (
        Files(tmp_path, batch_size=2, cache=cache, **sides, **EVERYTHING)
        for cache in ("none", kind)
    )
    steps = 3 * len(plain)
    pairs = [pipeline.batches(generator, steps=steps, workers=2) for generator in (plain, cached)]
    for (images, targets), (others, further) in zip(*pairs, strict=True):
        np.testing.assert_array_equal(images, others)
        for target, other in zip(targets, further, strict=True):
            np.testing.assert_array_equal(target, other)
    assert set(cached.decoded) == set(range(5))
    assert len(cached.decoded) <= 6 < len(plain.decoded)  # two threads may decode one at once


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_who_changes_an_image_does_not_change_the_cache(tmp_path, kind):
    generator = Files(tmp_path, cache=kind)
    expected = generator.load_image(3)
    for _ in range(3):
        (image,) = generator.load_image_group([3])
        np.testing.assert_array_equal(image, expected)
        image[:] = 0
    assert generator.decoded == [3, 3]


def test_another_run_finds_the_files_and_a_changed_image_is_read_anew(tmp_path):
    Files(tmp_path, cache="disk").load_image_group(range(5))
    assert len(kept_files(tmp_path)) == 5
    again = Files(tmp_path, cache="disk")
    for i in range(5):  # writing the same images again changed their time
        os.utime(again.files[i], ns=(1, 1))
    again.load_image_group(range(5))
    assert again.decoded == [0, 1, 2, 3, 4]
    third = Files(tmp_path, cache="disk")
    for i in range(5):
        os.utime(third.files[i], ns=(1, 1))
    os.utime(third.files[2], ns=(1, 2))
    third.load_image_group(range(5))
    assert third.decoded == [2]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_damaged_files_are_written_anew(tmp_path, damage):
    generator = Files(tmp_path, cache="disk")
    expected = generator.load_image_group([0])
    (file,) = kept_files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] if damage is None else damage)
    np.testing.assert_array_equal(generator.load_image_group([0]), expected)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_an_image_that_cannot_be_read_is_not_kept(tmp_path, kind):
    generator = Files(tmp_path, cache=kind, strict=True)
    with open(generator.files[0], "wb") as file:
        file.write(b"no image")
    for _ in range(2):
        with pytest.raises(ValueError, match="0.png: damaged"):
            generator.sample(0, 0)
    assert kept_files(tmp_path) == []


def test_what_is_no_file_is_kept_in_memory_only(tmp_path):
    for kind in ("ram", "disk"):
        generator = Blocks(cache=kind)
        for _ in range(2):
            np.testing.assert_array_equal(
                generator.load_image_group([1])[0], generator.load_image(1)
            )
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("kind", [InMemory, OnDisk])
def test_a_full_cache_says_so_once_and_keeps_what_it_has(tmp_path, kind):
    generator = Files(tmp_path)
    cache = kind(limit=40 * 3 * (30 + 31 + 32))
    with pytest.warns(UserWarning, match="^the cache stops at 3 images, half of what was free"):
        for i in range(5):
            cache.get(generator, i)
    generator.decoded.clear()
    for i in range(5):
        np.testing.assert_array_equal(cache.get(generator, i), cv2.imread(generator.files[i]))
    assert generator.decoded == [3, 4]


def test_a_folder_that_cannot_be_written_stops_the_cache(tmp_path, monkeypatch):
    generator = Files(tmp_path)
    cache = OnDisk()

    def refuse(*args, **kwargs):
        raise OSError("read-only")

    monkeypatch.setattr(np, "save", refuse)
    with pytest.warns(UserWarning, match="^the cache stops at 1 images, read-only: others"):
        for i in range(3):
            np.testing.assert_array_equal(cache.get(generator, i), generator.load_image(i))
    assert kept_files(tmp_path) == []


def test_half_of_what_is_free_is_used(tmp_path, monkeypatch):
    generator, size = Files(tmp_path), 40 * 30 * 3
    place = "keras_retinanet.batches.image_cache"
    free = SimpleNamespace(free=2 * size)
    monkeypatch.setattr(f"{place}.free_memory", lambda: 2 * size)
    monkeypatch.setattr(f"{place}.shutil.disk_usage", lambda folder: free)
    for kind in (InMemory, OnDisk):
        cache = kind()
        cache.get(generator, 0)
        with pytest.warns(UserWarning, match="^the cache stops at 1 images"):
            cache.get(generator, 1)


@pytest.mark.parametrize("kind", [InMemory, OnDisk])
def test_threads_share_a_cache(tmp_path, kind):
    generator, cache = Files(tmp_path), kind()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: cache.get(generator, i % 5), range(200)))
    for i, image in enumerate(found):
        np.testing.assert_array_equal(image, cv2.imread(generator.files[i % 5]))
    assert len(generator.decoded) <= 20
