from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_retinanet.batches.sample_context import (
    SampleContext,
    current_context,
    make_contexts,
    map_samples,
    next_random,
    use_contexts,
)


class Uniform:
    """An iterator that can also sample with a given random generator."""

    def __next__(self):
        return "next"

    def sample(self, rng):
        return rng.random()


def contexts(*seeds):
    return [SampleContext(np.random.default_rng(seed), scale=seed / 10) for seed in seeds]


def test_each_image_has_its_own_random_numbers_and_scale():
    def change(image, annotations):
        return next_random(Uniform()), [*annotations, image, current_context().scale]

    with use_contexts(contexts(5, 6)):
        images, annotations = map_samples(change, "ab", [[1], []])
    assert images == [np.random.default_rng(seed).random() for seed in (5, 6)]
    assert annotations == [[1, "a", 0.5], ["b", 0.6]]


def test_contexts_depend_on_seed_epoch_and_image():
    def numbers(seed, epoch, *group):
        return [context.rng.random() for context in make_contexts(seed, epoch, group)]

    assert numbers(1, 2, 5, 3) == numbers(1, 2, 3, 5)[::-1]
    assert numbers(1, 2, 5) == [np.random.default_rng([1, 2, 5]).random()]
    assert len({*numbers(1, 2, 5), *numbers(1, 3, 5), *numbers(2, 2, 5), *numbers(1, 2, 6)}) == 4
    assert [context.scale for context in make_contexts(0, 0, [1, 2], 0.5)] == [0.5, 0.5]


def test_without_a_current_sample_the_iterator_goes_on():
    assert next_random(Uniform()) == "next"
    assert next_random(iter([7])) == 7
    with use_contexts(contexts(0)):
        assert next_random(iter([8])) == 8  # a plain iterator has no method `sample`
    assert next_random(Uniform()) == "next"
    assert map_samples(lambda image, a: (next_random(Uniform()), a), [0], [1]) == (["next"], [1])


def test_the_current_context_is_that_of_the_first_of_a_group():
    first, second = contexts(1, 2)
    with use_contexts([first, second]):
        assert current_context() is first
        with use_contexts([second]):
            assert current_context() is second
        assert current_context() is first


def test_without_a_current_sample_the_context_is_random_and_of_scale_1():
    values = {current_context().rng.random() for _ in range(5)}
    assert len(values) == 5
    assert current_context().scale == 1


def test_an_error_ends_the_context():
    with pytest.raises(KeyError), use_contexts(contexts(3)):
        raise KeyError
    assert current_context().scale == 1


def test_threads_do_not_share_contexts():
    def work(seed):
        with use_contexts(contexts(seed)):
            return [next_random(Uniform()) for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(8)))
    for seed, values in enumerate(found):
        np.testing.assert_array_equal(values, np.random.default_rng(seed).random(200))
