import cv2
import numpy as np
import pytest

from keras_retinanet.export import samples


def test_drawn_images_are_the_same_each_time():
    first, second = (list(samples.drawn_images(3)) for _ in range(2))
    assert len(first) == 3
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.uint8
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 6]), (4, [0, 2, 4, 6]), (7, range(7)), (9, range(7))]
)
def test_photos_are_chosen_evenly(tmp_path, count, expected):
    for i in range(7):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 5, 3), i, "uint8"))
    paths = samples.photos_of(tmp_path)
    assert [photo[0, 0, 0] for photo in samples.read(paths, count)] == list(expected)


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image found"):
        samples.photos_of(tmp_path)
