import keras

from keras_retinanet.callbacks import epoch_lines
from keras_retinanet.callbacks.epoch_lines import PrintEpoch

LOGS = {
    "loss": 1.5,
    "classification_loss": 0.5,
    "regression_loss": 1.0,
    "learning_rate": 0.0001,
    "images_per_second": 31.25,
    "data_wait": 0.034,
    "mAP": 0.43219,
    "AR100": 0.5,
}


def test_one_line_an_epoch(capsys, monkeypatch):
    clock = iter((100.0, 161.2))
    monkeypatch.setattr(epoch_lines.time, "monotonic", lambda: next(clock))
    callback = PrintEpoch()
    callback.set_params({"epochs": 50})
    callback.on_epoch_begin(11)
    callback.on_epoch_end(11, LOGS)
    assert capsys.readouterr().out == (
        "Epoch 12/50: loss 1.5000, regression 1.0000, classification 0.5000, mAP 0.4322, "
        "learning rate 0.0001, 31.2 images/s, 3% of it waiting for data, 61 s\n"
    )


def test_numbers_that_there_are_not_are_left_out(capsys):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ones = keras.ops.ones((2, 1))
    model.fit(ones, ones, epochs=2, verbose=0, callbacks=[PrintEpoch()])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0][:15] for line in lines] == ["Epoch 1/2: loss", "Epoch 2/2: loss"]
    assert all(line.endswith(" s") and line.count(",") == 1 for line in lines)
