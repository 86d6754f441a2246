from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_retinanet.batches.sample_context import draw, drawing_with, each


class Uniform:
    """An iterator that can also draw with a given generator."""

    def __next__(self):
        return "next"

    def sample(self, rng):
        return rng.random()


def test_each_image_draws_from_its_own_generator():
    with drawing_with([np.random.default_rng(seed) for seed in (5, 6)]):
        images, annotations = each(lambda image, a: (draw(Uniform()), [*a, image]), "ab", [[1], []])
    assert images == [np.random.default_rng(seed).random() for seed in (5, 6)]
    assert annotations == [[1, "a"], ["b"]]


def test_without_an_image_in_hand_the_iterator_goes_on():
    assert draw(Uniform()) == "next"
    assert draw(iter([7])) == 7
    with drawing_with([np.random.default_rng(0)]):
        assert draw(iter([8])) == 8  # a plain iterator cannot do otherwise
    assert draw(Uniform()) == "next"
    assert each(lambda image, a: (draw(Uniform()), a), [0], [1]) == (["next"], [1])


def test_threads_do_not_draw_from_each_others_generators():
    def work(seed):
        with drawing_with([np.random.default_rng(seed)]):
            return [draw(Uniform()) for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(8)))
    for seed, values in enumerate(found):
        np.testing.assert_array_equal(values, np.random.default_rng(seed).random(200))
