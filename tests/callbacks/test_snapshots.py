import keras
import numpy as np
import pytest

from keras_retinanet.callbacks.snapshots import SaveSnapshots


def test_snapshots_are_numbered_from_1(tmp_path, capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    callback = SaveSnapshots(tmp_path / "net_{epoch:02d}.keras")
    callback.set_model(model)
    callback.on_epoch_end(0)
    callback.on_epoch_end(9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net_01.keras", "net_10.keras"]
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
