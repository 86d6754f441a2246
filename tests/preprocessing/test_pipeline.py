import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.augmentation import random_transform_generator
from keras_retinanet.preprocessing import pipeline
from tests.preprocessing.test_generator import Blocks, everything


def make():
    return Blocks(batch_size=2, transform_generator=random_transform_generator(flip_x_chance=0.5))


def assert_same(found, expected):
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_are_those_of_the_generator_epoch_after_epoch():
    found = list(pipeline.batches(make(), workers=3).take(7))
    for step, batch in enumerate(found):
        assert_same(batch, make().batch(*divmod(step, 3)))


def test_augmentation_does_not_depend_on_the_number_of_threads():
    one, four = (pipeline.batches(everything(), workers=workers).take(7) for workers in (1, 4))
    for found, expected in zip(one, four, strict=True):
        assert_same(found, expected)


def test_a_later_start_sees_what_an_uninterrupted_run_sees():
    late = next(iter(pipeline.batches(make(), first_step=4, workers=1)))
    assert_same(late, make().batch(1, 1))


def test_shapes_may_differ_from_batch_to_batch():
    image, (regression, classification) = pipeline.batches(make()).element_spec
    assert image.shape.as_list() == [None, None, None, 3]
    assert regression.shape.as_list() == [None, None, 5]
    assert classification.shape.as_list() == [None, None, 1]


def test_an_error_in_a_thread_comes_out_as_it_was():
    generator = Blocks(broken=[1], strict=True, group_method="none", shuffle_groups=False)
    with (
        pytest.raises(ValueError, match="^block1: cut off$"),
        pipeline.plain_errors(generator),
    ):
        list(pipeline.one_epoch(generator))


def test_one_epoch_ends():
    assert len(list(pipeline.one_epoch(make()))) == 3
    assert int(pipeline.one_epoch(make()).cardinality()) == 3
