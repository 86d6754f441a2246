import numpy as np

from keras_retinanet.training.anchor_choice import sample_boxes
from tests.fakes import MemoryGenerator, picture, truth


def data_set(*images, boxes=None):
    boxes = boxes or [truth((i, 2, i + 10, 30, i % 2)) for i in range(len(images))]
    sides = {"no_resize": False, "image_min_side": 80, "image_max_side": 200}
    return MemoryGenerator(images, boxes, **sides)


def test_boxes_have_the_size_of_resized_images():
    boxes, labels = sample_boxes(data_set(picture(40, 60), picture(160, 160)))
    order = np.argsort(labels)
    assert boxes[order].tolist() == [[0, 4, 20, 60], [0.5, 1, 5.5, 15]]
    assert labels[order].tolist() == [0, 1]


def test_at_most_so_many_images_are_read():
    images = [picture(40, 40)] * 9
    generator = data_set(*images)
    chosen = [tuple(sample_boxes(generator, 4, seed)[0][:, 0]) for seed in (0, 0, 1)]
    assert len(set(chosen[0])) == 4
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(sample_boxes(generator)[0]) == 9


def test_unreadable_images_are_left_out():
    broken = ValueError("damaged"), OSError("gone")
    boxes, labels = sample_boxes(data_set(broken[0], picture(40, 40), broken[1]))
    assert boxes.tolist() == [[2, 4, 22, 60]]
    assert labels.tolist() == [1]


def test_no_boxes_at_all():
    boxes, labels = sample_boxes(data_set(picture(40, 40), boxes=[truth()]))
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)
