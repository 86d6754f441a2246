import numpy as np

from keras_retinanet.callbacks.pictures import choose_images, draw_images
from keras_retinanet.detection.detections import Detections
from tests.fakes import MemoryGenerator, picture, truth


def generator(boxed, total):
    """A data set of black images of 100 x 50 pixels, of which some have a box."""
    annotations = [truth((10, 10, 40, 40, 0)) if i in boxed else truth() for i in range(total)]
    return MemoryGenerator([picture(50, 100) for _ in range(total)], annotations)


def test_images_with_boxes_evenly_spread():
    assert choose_images(generator({1, 3, 5, 7, 9, 11, 13}, 20)) == [1, 5, 9, 13]
    assert choose_images(generator({4, 5}, 20)) == [4, 5]
    assert choose_images(generator(set(), 3)) == [0, 1, 2]


def test_left_the_truth_and_right_the_detections():
    found = Detections(np.array([[60.0, 10, 90, 40]]), np.array([0.9]), np.array([1]))
    data = generator({0}, 2)
    data.images[1] = OSError("gone")
    ((index, sheet),) = draw_images(data, [0, 1], [found, found])
    assert index == 0
    assert sheet.dtype == np.uint8
    # Enlarged to 320 x 160 pixels each, with a gap of 4 around and between.
    assert sheet.shape == (160 + 8, 2 * 320 + 12, 3)
    green = (sheet == (0, 255, 0)).all(axis=2)
    assert green[:, :324].any()
    assert not green[:, 328:].any()
    right = sheet[4:-4, 328:-4]
    assert right[:, 160:].any()
    assert not right[:, :120].any()


def test_the_size_of_a_picture_is_bounded():
    data = MemoryGenerator([picture(300, 4000)], [truth((10, 10, 40, 40, 0))])
    ((_, sheet),) = draw_images(data, [0], [Detections.empty()])
    assert sheet.shape == (38 + 8, 2 * 512 + 12, 3)
