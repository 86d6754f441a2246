import keras
import numpy as np

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
