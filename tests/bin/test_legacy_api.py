"""A training script written for keras-retinanet 1.0.0, and the parts it is put together from."""

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin.train import (
    check_args,
    create_callbacks,
    create_generators,
    create_models,
    makedirs,
    model_with_weights,
    parse_args,
)
from keras_retinanet.callbacks import RedirectModel
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.utils.config import read_config_file
from tests import tiny


@pytest.fixture
def args(tmp_path, monkeypatch):
    """Parsed options for a data set of three images with a bright square each."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    data = ["csv", *tiny.write_squares(tmp_path, [(64, 64), (64, 64), (64, 80)])]
    out = str(tmp_path / "out")
    sides = ["--image-min-side", "64", "--image-max-side", "96", "--backbone", "tiny"]
    return parse_args([*sides, *data, "--val-annotations", data[1], "--snapshot-path", out])


def test_an_old_script_runs(args, tmp_path):
    check_args(args)
    backbone = models.backbone(args.backbone)
    train_generator, validation_generator = create_generators(args, backbone.preprocess_image)
    model, training_model, prediction_model = create_models(
        backbone_retinanet=backbone.retinanet,
        num_classes=train_generator.num_classes(),
        weights=None,
        lr=1e-3,
    )
    assert float(training_model.optimizer.learning_rate) == pytest.approx(1e-3)
    callbacks = create_callbacks(
        model, training_model, prediction_model, validation_generator, args
    )
    makedirs(args.snapshot_path)
    checkpoint = keras.callbacks.ModelCheckpoint(
        f"{args.snapshot_path}/tiny_csv_{{epoch:02d}}.h5", verbose=0
    )
    history = training_model.fit_generator(
        generator=train_generator,
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        callbacks=[*callbacks, RedirectModel(checkpoint, model)],
        workers=1,
        use_multiprocessing=False,
        max_queue_size=10,
        validation_data=validation_generator,
        initial_epoch=0,
    ).history
    assert {"loss", "val_loss", "mAP"} <= set(history)
    names = {f"tiny_csv_{epoch}.{kind}" for epoch in ("01", "02") for kind in ("h5", "keras")}
    names |= {"best.keras", "history.csv", "class_ap.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    for kind in ("h5", "keras"):
        again = models.load_model(f"{args.snapshot_path}/tiny_csv_02.{kind}", backbone_name="tiny")
        for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_evaluated_is_the_prediction_model(args):
    _, validation_generator = create_generators(args, lambda image: image)
    prediction_model = keras.Sequential()
    callbacks = create_callbacks(None, None, prediction_model, validation_generator, args)
    (evaluate,) = (call for call in callbacks if isinstance(call, RedirectModel))
    assert isinstance(evaluate.callback, Evaluate)
    assert evaluate.redirect_model is prediction_model
    assert evaluate.callback.generator is validation_generator


def test_a_config_file_in_the_old_form(args, tmp_path):
    text = "[anchor_parameters]\nsizes=16 32 64 128 256\nstrides=8 16 32 64 128\n"
    (tmp_path / "anchors.ini").write_text(text + "ratios=1\nscales=1\n")
    path = str(tmp_path / "anchors.ini")
    for config in (path, read_config_file(path)):
        args.config = config
        training, validation = create_generators(args, lambda image: image)
        assert training.config == validation.config
        assert list(training.config.anchor_params.sizes) == [16, 32, 64, 128, 256]
    model, _, prediction_model = create_models(
        models.backbone("tiny").retinanet, 1, None, freeze_backbone=True, config=args.config
    )
    # One anchor at a place, of the size that the file says.
    assert model.outputs[0].shape[-1] == 4
    assert prediction_model.get_layer("anchors_0").size == 16
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert {"C3", "C4", "C5"} <= frozen
    assert "P3" not in frozen


def test_weights_of_another_shape_are_skipped_or_refused(args, tmp_path, capsys):
    path = str(tmp_path / "one.keras")
    one = models.backbone("tiny").retinanet(1)
    models.save_model(one, path)
    two = models.backbone("tiny").retinanet(2)
    assert model_with_weights(two, None, skip_mismatch=False) is two
    assert model_with_weights(two, path, skip_mismatch=True) is two
    np.testing.assert_array_equal(two.get_layer("C3").kernel, one.get_layer("C3").kernel)
    assert "of another shape (pyramid_classification/kernel" in capsys.readouterr().out
    with pytest.raises(ValueError, match="of another shape: pyramid_classification/kernel"):
        model_with_weights(two, path, skip_mismatch=False)
