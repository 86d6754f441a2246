import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_retinanet.callbacks import snapshots
from keras_retinanet.callbacks.snapshots import SaveSnapshots

# The mAP of epochs, and the epochs with the best one at that time.
PRECISIONS = [0.25, 0.5, 0.125, float("nan"), -1.0, 0.5, 0.75, 0.625]


def test_snapshots_are_numbered_from_1(tmp_path, capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    callback = SaveSnapshots(tmp_path / "net_{epoch:02d}.keras")
    callback.set_model(model)
    callback.on_epoch_end(0)
    callback.on_epoch_end(9)
    assert names(tmp_path) == ["net_01.keras", "net_10.keras"]
    assert callback.last_path == tmp_path / "net_10.keras"
    assert "net_10.keras" in capsys.readouterr().out
    again = keras.models.load_model(callback.last_path)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_optimizer_is_not_saved_and_stays(tmp_path, suffix):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    callback = SaveSnapshots(tmp_path / f"net_{{epoch:02d}}.{suffix}")
    callback.set_model(model)
    callback.on_epoch_end(0)
    again = keras.models.load_model(callback.last_path)
    assert not again.compiled
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    assert model.optimizer is optimizer
    model.fit(np.ones((1, 2)), np.ones((1, 1)), verbose=0)
    assert int(optimizer.iterations) == 1


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that does epochs, each of whose snapshots holds the number of the epoch.

    Its second argument continues a run.
    """
    model = SimpleNamespace(compiled=False, layers=())
    epochs = []

    def save(_, path):
        path.write_text(f"epoch {epochs[-1]}")

    monkeypatch.setattr(snapshots.models, "save_model", save)

    def go_on(precisions, before=None, suffix="keras", **settings):
        written = before.written if before else None
        path = tmp_path / f"net_{{epoch:02d}}.{suffix}"
        callback = SaveSnapshots(path, model, written=written, **settings)
        if before:
            callback.best, callback.best_epoch = before.best, before.best_epoch
        callback.on_train_begin()
        for precision in precisions:
            epochs.append(len(epochs) + 1)
            logs = {} if precision is None else {"mAP": precision}
            callback.on_epoch_end(epochs[-1] - 1, logs)
        return callback

    return go_on


def test_the_last_ones_and_the_best_stay(run, tmp_path, capsys):
    callback = run(PRECISIONS, keep=3)
    assert names(tmp_path) == ["best.keras", "net_06.keras", "net_07.keras", "net_08.keras"]
    assert (tmp_path / "best.keras").read_text() == "epoch 7"
    assert os.path.samefile(tmp_path / "best.keras", tmp_path / "net_07.keras")
    assert (callback.best, callback.best_epoch) == (0.75, 7)
    lines = capsys.readouterr().out.split("\n\n")
    assert lines[1].endswith("net_02.keras, the best so far: best.keras")
    assert lines[2].endswith("net_03.keras")  # nothing to remove, and not better
    assert lines[5].endswith("net_06.keras; removed net_03.keras")  # as good is not better
    assert lines[6].endswith("net_07.keras, the best so far: best.keras; removed net_04.keras")


@pytest.mark.parametrize("precision", [None, float("nan"), -1.0])
def test_without_a_precision_there_is_no_best(run, tmp_path, precision):
    assert run([precision] * 2, keep=1).best is None
    assert names(tmp_path) == ["net_02.keras"]


def test_all_stay_if_they_are_to(run, tmp_path):
    run(PRECISIONS, keep=0)
    assert len(names(tmp_path)) == 1 + len(PRECISIONS)


def test_the_best_outlives_its_epoch(run, tmp_path):
    run([0.5, 0.25, 0.25], keep=1)
    assert names(tmp_path) == ["best.keras", "net_03.keras"]
    assert (tmp_path / "best.keras").read_text() == "epoch 1"


def test_a_disk_without_links_gets_a_copy(run, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run([0.25, 0.5], keep=1)
    assert (tmp_path / "best.keras").read_text() == "epoch 2"
    assert not os.path.samefile(tmp_path / "best.keras", tmp_path / "net_02.keras")


def test_a_run_that_goes_on_removes_its_own_files_and_keeps_its_best(run, tmp_path):
    first = run([0.25, 0.75, 0.5], keep=2)
    second = run([0.625], first, keep=2)
    assert names(tmp_path) == ["best.keras", "net_03.keras", "net_04.keras"]
    assert (tmp_path / "best.keras").read_text() == "epoch 2"
    run([0.875], second, keep=2)
    assert names(tmp_path) == ["best.keras", "net_04.keras", "net_05.keras"]
    assert (tmp_path / "best.keras").read_text() == "epoch 5"


def test_files_of_others_and_changed_ones_stay(run, tmp_path):
    (tmp_path / "net_09.keras").write_text("of another run")
    (tmp_path / "best.keras").write_text("the best of another run")
    first = run([0.25, 0.5, 0.5], keep=2)
    assert (tmp_path / "best-1.keras").read_text() == "the best of another run"
    (tmp_path / "net_02.keras").write_text("changed by hand")
    (tmp_path / "best.keras").write_text("changed, too")
    (tmp_path / "net_03.keras").unlink()
    run([0.75, 0.75, 0.75], first, keep=2)
    assert names(tmp_path) == [
        *("best-1.keras", "best-2.keras", "best.keras", "net_02.keras"),
        *("net_05.keras", "net_06.keras", "net_09.keras"),
    ]
    assert (tmp_path / "best-2.keras").read_text() == "changed, too"
    assert (tmp_path / "best.keras").read_text() == "epoch 4"


def test_where_the_best_is_gone_another_takes_its_place(run, tmp_path):
    first = run([0.75])
    (tmp_path / "best.keras").unlink()
    assert run([0.25], first).best == 0.25
    assert (tmp_path / "best.keras").read_text() == "epoch 2"


def test_the_best_of_another_format_gives_way(run, tmp_path):
    first = run([0.25, 0.25], keep=2)
    second = run([0.5, 0.25], first, suffix="h5", keep=2)
    assert names(tmp_path) == ["best.h5", "net_03.h5", "net_04.h5"]
    assert sorted(second.written) == names(tmp_path)
