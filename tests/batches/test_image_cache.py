import io
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_retinanet.batches import image_cache
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


def flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 4
    return bytes(changed)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def forged(height, width, size=0):
    return image_cache._HEADER.pack(b"pixels 1", height, width, 0) + bytes(size)


# Each makes other content of the right one.
DAMAGES = {
    "empty": lambda whole: b"",
    "cut off": lambda whole: whole[:-9],
    "cut off in the header": lambda whole: whole[:20],
    "too long": lambda whole: whole + b"\0",
    "zeros": lambda whole: bytes(len(whole)),
    "a page of zeros": lambda whole: whole[:1000] + bytes(4096) + whole[5096:],
    "a bit of the format": lambda whole: flipped(whole, 3),
    "a bit of the height": lambda whole: flipped(whole, 8),
    "a bit of the checksum": lambda whole: flipped(whole, 24),
    "a bit of the first pixel": lambda whole: flipped(whole, 32),
    "a bit in the middle": lambda whole: flipped(whole, len(whole) // 2),
    "a bit of the last pixel": lambda whole: flipped(whole, len(whole) - 1),
    "blocks exchanged": lambda whole: whole[:32] + whole[4128:8224] + whole[32:4128] + whole[8224:],
    "sides exchanged": lambda whole: whole[:8] + whole[16:24] + whole[8:16] + whole[24:],
    "of another size": lambda whole: forged(7, 9, 3 * 63),
    "huge": lambda whole: forged(10**6, 10**6),
    "huge beyond 64 bits": lambda whole: forged(2**63, 2**63),
    "without pixels": lambda whole: forged(0, 10**18),
    "an array of another type": lambda whole: saved(np.zeros((40, 300, 3))),
    "an array of one channel": lambda whole: saved(np.zeros((40, 300), "uint8")),
    "an array of the earlier form": lambda whole: saved(np.zeros((40, 300, 3), "uint8")),
    "a pickle": lambda whole: b"\x80\x04cos\nsystem\n.",
}


@pytest.fixture
def cached(tmp_path):
    """A generator with one large image, the image, and its cache file."""
    generator = Files(tmp_path, 1, cache="disk")
    cv2.imwrite(generator.files[0], np.random.default_rng(1).integers(0, 255, (40, 300, 3)))
    (expected,) = generator.load_image_group([0])
    (file,) = kept_files(tmp_path)
    generator.decoded.clear()
    return generator, expected, file


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_written_anew(cached, damage):
    generator, expected, file = cached
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[damage](whole))
    for _ in range(2):
        np.testing.assert_array_equal(generator.load_image_group([0])[0], expected)
        assert file.read_bytes() == whole
    assert generator.decoded == [0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("kind", ["fifo", "device", "loop", "gone", "sparse"])
def test_what_is_no_regular_file_is_written_anew(cached, kind):
    generator, expected, file = cached
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "sparse":
        with open(file, "wb") as opened:
            opened.truncate(2**40)
    else:
        file.symlink_to({"device": "/dev/zero", "loop": file, "gone": "/gone"}[kind])
    for _ in range(2):
        np.testing.assert_array_equal(generator.load_image_group([0])[0], expected)
    assert generator.decoded == [0]
    assert file.is_file() and not file.is_symlink()


def test_the_file_of_another_image_is_none_of_this(tmp_path):
    generator = Files(tmp_path, 2, cache="disk")
    cv2.imwrite(generator.files[1], np.zeros((40, 30, 3)))  # as large as the first
    images = generator.load_image_group([0, 1])
    first, second = kept_files(tmp_path)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for found, expected in zip(generator.load_image_group([0, 1]), images, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(generator.decoded) == 4


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_replaced_image_of_equal_size_and_time_is_read_anew(tmp_path, place):
    generator = Files(tmp_path, 1, cache="disk")
    path = generator.files[0].replace(".png", ".bmp")
    generator.files[0] = path
    for value in (1, 2):
        image = np.zeros((100, 100, 3), "uint8")
        # The rows of a BMP file are upside down.
        image[-1 if place == "first" else 0] = value
        cv2.imwrite(path, image)
        os.utime(path, ns=(5, 5))
        np.testing.assert_array_equal(generator.load_image_group([0])[0], image)


def test_classes_that_read_in_other_ways_share_nothing(tmp_path):
    class Dark(Files):
        """Halves its images."""

        def load_image(self, image_index):
            return super().load_image(image_index) // 2

    plain, dark = Files(tmp_path, 1, cache="disk"), Dark(tmp_path, 1, cache="disk")
    for generator in (plain, dark):
        os.utime(generator.files[0], ns=(5, 5))
    for _ in range(2):
        (image,), (half,) = plain.load_image_group([0]), dark.load_image_group([0])
        np.testing.assert_array_equal(image // 2, half)
    assert (plain.decoded, dark.decoded) == ([0], [0])


@pytest.mark.parametrize("kind", ["float32", "grey", "wide"])
def test_images_of_another_type_are_said_not_to_be_kept(tmp_path, kind):
    class Unusual(Files):
        """Its images are no uint8 `(h, w, 3)`."""

        def load_image(self, image_index):
            image = super().load_image(image_index)
            unusual = {"float32": image.astype("float32"), "grey": image[..., :1]}
            return unusual.get(kind, np.dstack([image, image]))

    generator = Unusual(tmp_path, cache="disk")
    with pytest.warns(UserWarning, match="^the cache stops at 0 images, which keeps uint8 images"):
        images = generator.load_image_group(range(3))
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image, generator.load_image(index))
    assert kept_files(tmp_path) == []


def test_files_of_killed_runs_are_removed_after_a_while(tmp_path):
    generator = Files(tmp_path, 1, cache="disk")
    generator.load_image_group([0])
    (file,) = kept_files(tmp_path)
    left = [file.with_name(f".{name}-999999999-a1234567.pixels") for name in ("old", "new")]
    for path in left:
        path.write_bytes(b"half")
    os.utime(left[0], (0, 0))
    OnDisk()
    assert kept_files(tmp_path) == [left[1], file]


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

    def refuse(path):
        raise OSError("read-only")

    monkeypatch.setattr(image_cache, "replacing", refuse)
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
