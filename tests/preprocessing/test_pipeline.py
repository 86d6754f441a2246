import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.augmentation.transforms import random_transform_generator
from keras_retinanet.preprocessing import pipeline
from keras_retinanet.training import compiling
from tests.fakes import tiny_retinanet
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


def test_parts_are_those_of_the_same_batches():
    for number in range(2):
        one = pipeline.batches(make(), first_step=2, workers=2, part=(number, 2)).take(2)
        for step, batch in enumerate(one, start=2):
            expected = make()
            expected.start_epoch(step // 3)
            assert_same(batch, expected.batch_part(step % 3, number, 2))
        held_out = list(pipeline.one_epoch(make(), part=(number, 2)))
        assert len(held_out) == 3
        assert_same(held_out[1], make().batch_part(1, number, 2))


def test_shapes_may_differ_from_batch_to_batch():
    image, (regression, classification) = pipeline.batches(make()).element_spec
    assert image.shape.as_list() == [None, None, None, 3]
    assert regression.shape.as_list() == [None, None, 5]
    assert classification.shape.as_list() == [None, None, 1]


def test_no_more_batches_are_prefetched_than_the_queue_holds():
    made = []

    class Counted(Blocks):
        """Counts its batches."""

        def __getitem__(self, index):
            made.append(index)
            return super().__getitem__(index)

    batches = iter(pipeline.batches(Counted(), workers=8, queue_size=2))
    made.clear()
    next(batches)
    time.sleep(0.3)
    assert len(made) <= 1 + 2 + 2  # one is taken, two are handed on from thread to thread


def test_an_error_in_a_thread_comes_out_as_it_was():
    generator = Blocks(broken=[1], strict=True, group_method="none", shuffle_groups=False)
    with (
        pytest.raises(ValueError, match="^block1: cut off$"),
        pipeline.unwrap_errors(generator),
    ):
        list(pipeline.one_epoch(generator))


def test_an_error_at_the_start_of_an_epoch_comes_out_as_it_was():
    class Restless(Blocks):
        """Cannot begin."""

        def start_epoch(self, epoch):
            if epoch == 7:
                raise ValueError("no epoch 7")
            super().start_epoch(epoch)

    generator = Restless()
    with pytest.raises(ValueError, match="^no epoch 7$"), pipeline.unwrap_errors(generator):
        list(pipeline.batches(generator, first_step=7 * 5, steps=1))


def test_a_dataset_that_is_left_alone_makes_no_more_batches():
    made = []

    class Slow(Blocks):
        """Counts its batches, which take their time."""

        def __getitem__(self, index):
            made.append(index)
            time.sleep(0.05)
            return super().__getitem__(index)

    batches = iter(pipeline.batches(Slow(), workers=2, queue_size=2))
    next(batches)
    del batches  # waits for those that are being made
    number = len(made)
    time.sleep(0.2)
    assert len(made) == number <= 1 + 1 + 2 + 2


class Crowds(Blocks):
    """Images with two boxes, none or one: also a group of batches without any."""

    widths = (64,) * 8

    def __init__(self, **options):
        super().__init__(**{"shuffle_groups": False, "group_method": "none", **options})

    def load_image(self, image_index):
        return super().load_image(image_index) // (image_index + 1)

    def load_annotations(self, image_index):
        count = (2, 0, 1, 1, 0, 0, 2, 0)[image_index]
        boxes = np.array([[8.0, 10, 44, 40], [20, 4, 60, 60]])[:count]
        return {"labels": np.arange(count), "bboxes": boxes}


def test_weights_make_the_normaliser_of_one_batch():
    states = [Crowds().batch(0, step)[1][0][..., -1] for step in range(8)]
    # Four groups of two batches, of which the third is without a box.
    counts = np.reshape([np.sum(state == 1) for state in states], (4, 2)).tolist()
    assert counts[0][0] > counts[1][0] > 0 == counts[0][1] == sum(counts[2])
    found = pipeline.batches(Crowds(batch_size=1), share_normaliser=2, steps=8)
    for step, (images, targets, weights) in enumerate(found):
        group = counts[step // 2]
        own = max(1, group[step % 2])
        np.testing.assert_allclose(weights, [2 * own / max(1, sum(group))], rtol=1e-6)
        assert_same((images, targets), Crowds().batch(0, step))


def test_groups_go_over_the_end_of_an_epoch_and_go_on_inside():
    def make(first, steps):
        generator = Crowds(batch_size=2, group_method="random")
        return list(pipeline.batches(generator, share_normaliser=3, first_step=first, steps=steps))

    whole = make(0, 12)  # an epoch has 4
    assert len({float(weights[0]) for _, _, weights in whole}) > 3
    for first in (3, 4, 5, 8):
        assert_same(make(first, 12 - first), whole[first:])


@pytest.mark.parametrize("normaliser", losses.NORMALISERS)
def test_eight_batches_of_one_accumulated_equal_one_of_eight(normaliser):
    # With unequal numbers of positive anchors, and images without any.
    trained = []
    for batch_size, accumulate in ((8, 1), (1, 8)):
        keras.utils.set_random_seed(1)
        model = tiny_retinanet()
        compiling.compile_model(
            model,
            optimizer=compiling.make_optimizer("sgd", 1e-3, clipnorm=0.1, accumulate=accumulate),
            classification_loss=losses.focal(normaliser=normaliser),
            loss_normaliser=normaliser,
        )
        dataset = pipeline.batches(
            Crowds(batch_size=batch_size),
            share_normaliser=accumulate if normaliser == "batch" else 1,
        )
        history = model.fit(
            dataset, steps_per_epoch=accumulate, epochs=3, shuffle=False, verbose=0
        ).history
        trained.append((model.get_weights(), history))
    (whole, history), (accumulated, same_history) = trained
    for found, expected in zip(accumulated, whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for name, values in history.items():
        assert same_history[name] == pytest.approx(values, rel=1e-4), name
    assert history["loss"][2] < history["loss"][0]


def test_one_epoch_ends():
    assert len(list(pipeline.one_epoch(make()))) == 3
    assert int(pipeline.one_epoch(make()).cardinality()) == 3


class OldBlocks(Blocks):
    """The first two batches of equal shape and the third of another, with old methods overridden.

    Keras takes the shape of all batches from the first two.
    """

    widths = (64, 64, 128, 96)

    def __init__(self, **kwargs):
        self.loaded, self.seen, self.ends, self.drawn = [], [], 0, []
        super().__init__(
            **{"group_method": "none", "shuffle_groups": False, "batch_size": 1, **kwargs}
        )

    def load_image(self, image_index):
        self.loaded.append(image_index)
        return super().load_image(image_index) // 2

    def compute_targets(self, image_group, annotations_group):
        self.seen.append(image_group[0].max())
        regression, classification = super().compute_targets(image_group, annotations_group)
        return [regression, np.zeros_like(classification)]  # a list, as 1.0.0 returned

    def on_epoch_end(self):
        self.ends += 1


class Steps(keras.callbacks.Callback):
    """Counts the steps of each epoch."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self.steps.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.steps[-1] += 1


@pytest.fixture(scope="module")
def start():
    model = tiny_retinanet()
    compiling.compile_model(model, 1e-3)
    return model, model.get_weights()


@pytest.fixture
def model(start):
    """One network for all tests, since tracing takes longer than training; as it was at first."""
    model, weights = start
    model.set_weights(weights)
    return model


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("method", ["fit", "fit_generator"])
def test_fit_takes_a_generator_of_the_old_kind(model, workers, method):
    generator, counter = OldBlocks(), Steps()
    history = getattr(model, method)(
        generator, epochs=2, verbose=0, callbacks=[counter], workers=workers, max_queue_size=2
    )
    assert counter.steps == [4, 4]
    # One batch is made to learn what batches look like.
    assert sorted(generator.loaded) == sorted([0] + [0, 1, 2, 3] * 2)
    assert generator.seen == [127] * 9
    assert generator.ends == 2
    # Where no anchor has a class, the tiny network soon says so.
    assert history.history["loss"][1] < history.history["loss"][0]


def test_fit_goes_on_where_it_stopped(model):
    groups = []

    class Kept(Blocks):
        """Writes down its batches."""

        def compute_input_output(self, group, *, epoch=None):
            groups.append((self.epoch, tuple(group)))
            return super().compute_input_output(group, epoch=epoch)

    generator = Kept(group_method="random")
    for _ in range(2):
        groups.clear()
        model.fit(generator, verbose=0)
        assert len(groups) == 6
        assert sorted(groups[1:]) == [(generator.epoch - 1, (i,)) for i in range(5)]
    assert generator.epoch == 2
    groups.clear()
    model.fit(generator, verbose=0, initial_epoch=5, epochs=6)
    assert {epoch for epoch, _ in groups[1:]} == {5}


def test_fewer_steps_than_batches_skip_nothing(model):
    generator, counter = OldBlocks(), Steps()
    model.fit(generator, steps_per_epoch=2, epochs=4, verbose=0, callbacks=[counter])
    assert counter.steps == [2] * 4
    assert sorted(generator.loaded[1:]) == sorted([0, 1, 2, 3] * 2)
    assert generator.ends == 2


def test_an_own_getitem_and_dictionaries_of_targets(model):
    class Named(Blocks):
        """Gives its targets by name."""

        def __getitem__(self, index):
            images, (regression, classification) = super().__getitem__(index)
            return images / 255, {"regression": regression, "classification": classification}

    images, targets = next(iter(pipeline.batches(Named())))
    assert float(tf.reduce_max(images)) == 1
    assert list(targets) == ["regression", "classification"]
    history = model.fit(Named(), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_validation_and_evaluate_take_a_generator(model):
    generator = OldBlocks()
    history = model.fit(Blocks(), validation_data=generator, epochs=2, verbose=0)
    assert len(generator.loaded) == 1 + 2 * 4
    assert generator.ends == 0
    loss, *_ = model.evaluate(generator, verbose=0)
    assert loss == pytest.approx(history.history["val_loss"][1], rel=1e-5)


def test_processes_are_said_to_be_threads(model):
    with pytest.warns(UserWarning, match="use_multiprocessing has no effect"):
        model.fit(Blocks(), verbose=0, use_multiprocessing=True, workers=2)


def test_an_error_in_a_generator_stops_fit_as_it_is(model):
    with pytest.raises(ValueError, match="^block3: cut off$"):
        model.fit(Blocks(broken=[3], strict=True, shuffle_groups=False), verbose=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_of_keras_trains_on_batches_of_equal_shapes(model, workers):
    plain = keras.Model(model.inputs, model.outputs)
    plain.compile("sgd", {"regression": losses.smooth_l1(), "classification": losses.focal()})

    class Equal(Blocks):
        """All images of one size."""

        widths = (64,) * 4

    generator, counter = Equal(workers=workers), Steps()
    plain.fit(generator, epochs=2, verbose=0, callbacks=[counter])
    assert counter.steps == [4, 4]
    assert generator.epoch >= 2


# Programs that end while threads make batches -> their exit codes. `Unfit` cannot begin a second
# epoch; `Busy` holds Python's lock for a while. Each runs in a fork of one process, since to import
# TensorFlow takes most of their time.
PROGRAM = """
import os, sys, time
from keras_retinanet.preprocessing import pipeline
from tests.preprocessing.test_generator import Blocks

class Unfit(Blocks):
    def on_epoch_end(self):
        raise ValueError("no next epoch")

class Unready(Blocks):
    ready = False
    def start_epoch(self, epoch):
        if self.ready:
            raise ValueError("no epoch")
        super().start_epoch(epoch)

class Busy(Blocks):
    def __getitem__(self, index):
        batch = super().__getitem__(index)
        for _ in range(300_000):
            pass
        return batch

for code in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        exec(code)
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
ENDINGS = {
    "busy": ("it = iter(pipeline.batches(Busy(), workers=4))\nnext(it)", 0),
    "many": (
        "all = [iter(pipeline.batches(Busy(), workers=2)) for _ in range(3)]\n"
        "for it in all: next(it)",
        0,
    ),
    "error": ("it = iter(pipeline.batches(Busy(), workers=4))\nnext(it)\nraise TypeError", 1),
    "end of an epoch": ("it = iter(pipeline.batches(Unfit(), workers=4))\nwhile True: next(it)", 1),
    "start of an epoch": (
        "g = Unready()\ndataset = pipeline.batches(g, workers=4)\ng.ready = True\n"
        "it = iter(dataset)\nnext(it)",
        1,
    ),
    "error caught": (
        "g = Unfit()\nit = iter(pipeline.batches(g, workers=4))\n"
        "try:\n"
        "    with pipeline.unwrap_errors(g):\n"
        "        while True: next(it)\n"
        "except ValueError as error:\n"
        "    sys.exit(str(error) != 'no next epoch')",
        0,
    ),
}


@pytest.mark.slow
def test_a_program_may_end_while_batches_are_made():
    twice = [*ENDINGS, *ENDINGS]  # of such programs, 40 to 80 % hung or were aborted
    codes = [ENDINGS[ending][0] for ending in twice]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *codes], capture_output=True, text=True, timeout=300
    )
    found = list(zip(twice, map(int, done.stdout.split()), strict=True))
    assert found == [(ending, ENDINGS[ending][1]) for ending in twice], done.stderr
    assert "terminate called" not in done.stderr


def test_calls_fail_once_they_are_stopped():
    calls = pipeline._Calls()
    with calls.one():
        pass
    with ThreadPoolExecutor(1) as pool, calls.one():
        stopping = pool.submit(calls.stop)
        time.sleep(0.3)
        assert not stopping.done()
        with pytest.raises(RuntimeError, match="the program ends"), calls.one():
            pass
    stopping.result(timeout=5)


class Told(Blocks):
    """Keeps which images the batch of each step has."""

    def __init__(self, **options):
        self.made = {}
        super().__init__(**options)
        self.made.clear()

    def __getitem__(self, index):
        paths = [self.image_path(image) for image in self.groups[index]]
        self.made[self.epoch * len(self) + index] = paths
        return super().__getitem__(index)


@pytest.mark.parametrize("group_method", ["ratio", "random", "none"])
@pytest.mark.parametrize("first_step", [0, 4])
def test_the_images_of_a_step_can_be_told_afterwards(group_method, first_step):
    generator = Told(batch_size=2, group_method=group_method, seed=3)
    for _ in pipeline.batches(generator, first_step=first_step, workers=2, queue_size=3, steps=9):
        pass
    steps = range(first_step, first_step + 9)
    assert set(steps) <= set(generator.made)
    assert [pipeline.step_images(generator, step) for step in steps] == [
        generator.made[step] for step in steps
    ]


def test_images_that_were_replaced_are_told_as_they_were_read():
    generator = Blocks(broken=[1, 2], batch_size=5, group_method="none", shuffle_groups=False)
    with pytest.warns(UserWarning, match="skipped"):
        generator[0]
    assert pipeline.step_images(generator, 0) == ["block0", "block3", "block3", "block3", "block4"]


def test_images_that_are_not_known_are_not_told():
    class Nameless(Blocks):
        def image_path(self, image_index):
            raise NotImplementedError

    assert pipeline.step_images(Nameless(), 0) == []
    changed = make()
    changed.groups = changed.groups[::-1]
    assert pipeline.step_images(changed, 0) == []
