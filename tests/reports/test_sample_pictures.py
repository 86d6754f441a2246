"""Pictures of a data set in files and in a window; bin/test_debug.py has the command."""

import cv2
import numpy as np
import pytest

from keras_retinanet.augmentation.transforms import random_transform_generator
from keras_retinanet.reports import sample_pictures, window
from keras_retinanet.reports.sample_pictures import View
from tests.fakes import MemoryGenerator, picture, truth

IMAGE = picture(48, 64, (4, 4, 36, 36))


@pytest.fixture
def generator():
    """A good image between two that cannot be read."""
    bad = ValueError("memory/0: cut off"), OSError("memory/2: gone")
    flips = random_transform_generator(flip_x_chance=0.5)
    return MemoryGenerator(
        [bad[0], IMAGE, bad[1]],
        [truth(), truth((4, 4, 36, 36, 0)), truth()],
        transform_generator=flips,
    )


def test_a_view_chooses_what_is_drawn(generator):
    plain = sample_pictures.draw_image(generator, 1, View())
    np.testing.assert_array_equal(plain, IMAGE)
    boxes = sample_pictures.draw_image(generator, 1, View(annotations=True))
    assert boxes[36, 30].tolist() == [0, 255, 0]
    anchors = sample_pictures.draw_image(generator, 1, View(anchors=True))
    assert (anchors == (255, 255, 0)).all(axis=2).any()
    named = sample_pictures.draw_image(generator, 1, View(names=True))
    assert (named[-10:, :20] != plain[-10:, :20]).any()


def test_random_changes_follow_the_epoch(generator):
    view = View(random_transform=True)
    drawn = [sample_pictures.draw_image(generator, 1, view, epoch) for epoch in range(8)]
    flipped = [(image != IMAGE).any() for image in drawn]
    assert any(flipped) and not all(flipped)
    np.testing.assert_array_equal(drawn[3], sample_pictures.draw_image(generator, 1, view, 3))


def test_all_readable_images_are_written(generator, tmp_path):
    generator.image_path = lambda index: f"photos/{index}.png"
    steps = []
    errors = sample_pictures.write_images(generator, str(tmp_path), View(), progress=steps.append)
    assert errors == ["memory/0: cut off", "memory/2: gone"]
    assert steps == [1, 1, 1]
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["1_debug.png"]
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "photos" / "1_debug.png")), IMAGE)
    assert sample_pictures.write_images(generator, str(tmp_path), View(), flatten=True) == errors
    assert (tmp_path / "1_debug.png").is_file()


def test_browsing_shows_a_stand_in_for_an_unreadable_image(generator, monkeypatch):
    shown = []

    def press_keys(render, count, back, forward):
        assert (count, back, forward) == (3, {1}, {2})
        shown.extend(render(index) for index in (0, 1))

    monkeypatch.setattr(window, "browse", press_keys)
    with pytest.warns(UserWarning, match="an image that cannot be read: memory/0: cut off"):
        sample_pictures.browse_images(generator, View(), {1}, {2})
    assert shown[0].shape == (480, 640, 3)
    np.testing.assert_array_equal(shown[1], IMAGE)
