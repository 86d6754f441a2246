import shutil
import subprocess
import sys
from dataclasses import fields, replace

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin.convert_model import main, parse_args
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.filter_settings import FilterSettings, given_settings
from keras_retinanet.system import devices
from keras_retinanet.zoo import table
from keras_retinanet.zoo.fetching import cache_path
from tests.fakes import tiny_retinanet

CONFIG = """
[anchor_parameters]
sizes   = 16 32 64 128 256
strides = 8 16 32 64 128
ratios  = 0.5 1 2
scales  = 1 1.2 1.6
"""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("snapshots") / "resnet50_csv_01.keras"
    models.save_model(tiny_retinanet(), path)
    return path


@pytest.fixture(scope="module")
def converted(snapshot):
    path = snapshot.with_name("converted.keras")
    main([str(snapshot), str(path), "--score-threshold", "0.006", "--nms-threshold", "0.4"])
    return path


def settings(path):
    return models.load_model(path).get_layer("filtered_detections").get_config()


def run(*arguments):
    """Run the command; it must fail as for bad input."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2


def test_computes_what_convert_model_does(snapshot, converted):
    training = models.load_model(snapshot)
    expected = models.convert_model(training, score_threshold=0.006, nms_threshold=0.4)
    found = models.load_model(converted)
    assert found.info == expected.info
    assert found.info.filter_settings.score_threshold == 0.006
    image = np.random.default_rng(0).uniform(-100, 100, (1, 64, 80, 3)).astype("float32")
    assert (np.asarray(expected(image)[1]) > 0).any()
    for output, value in zip(found(image), expected(image), strict=True):
        np.testing.assert_array_equal(output, value)


def test_defaults_and_flags(snapshot, tmp_path):
    main([str(snapshot), str(tmp_path / "a.h5")])
    defaults = {
        "nms": True,
        "class_specific_filter": True,
        "nms_threshold": 0.5,
        "score_threshold": 0.05,
        "max_detections": 300,
        "parallel_iterations": 32,
    }
    assert defaults.items() <= settings(tmp_path / "a.h5").items()
    flags = "--no-nms --no-class-specific-filter --max-detections 5 --parallel-iterations 2"
    flags += " --pre-nms-top-k 1000"
    main([str(snapshot), str(tmp_path / "b.keras"), *flags.split()])
    assert (
        settings(tmp_path / "b.keras").items()
        >= {
            "nms": False,
            "class_specific_filter": False,
            "max_detections": 5,
            "parallel_iterations": 2,
            "pre_nms_top_k": 1000,
        }.items()
    )


@pytest.mark.filterwarnings("default:using the anchors")
def test_config_takes_precedence_with_a_warning(snapshot, tmp_path, capsys):
    config = tmp_path / "config.ini"
    config.write_text(CONFIG)
    out = tmp_path / "out.keras"
    main([str(snapshot), str(out), "--config", str(config)])
    assert capsys.readouterr().err.startswith("warning: using the anchors")
    expected = AnchorParameters(
        [16, 32, 64, 128, 256], [8, 16, 32, 64, 128], [0.5, 1, 2], [1, 1.2, 1.6]
    )
    assert models.load_model(out).info.anchors == expected


@pytest.mark.filterwarnings("default:the backbone")
def test_other_backbone_given_is_warned_of(snapshot, tmp_path, capsys):
    main([str(snapshot), str(tmp_path / "out.keras"), "--backbone", "resnet101"])
    expected = "warning: the backbone of this model is resnet50, not resnet101\n"
    assert capsys.readouterr().err == expected


def test_an_inference_model_is_refused_on_one_line(converted, tmp_path, capsys):
    run(converted, tmp_path / "again.keras")
    error = capsys.readouterr().err
    assert error.startswith(f"error: {converted}: expected a training model")
    assert error.count("\n") == 1
    assert not (tmp_path / "again.keras").exists()


def test_a_published_model_by_name(snapshot, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    entry = replace(table.find("coco"), url=f"https://example.org/{snapshot.name}")
    entry = replace(entry, size=snapshot.stat().st_size, sha256=None)
    monkeypatch.setattr(table, "ENTRIES", {entry.name: entry})
    cache_path(entry).parent.mkdir(parents=True)
    shutil.copyfile(snapshot, cache_path(entry))
    main(["coco", "out.keras"])
    assert isinstance(models.load_model("out.keras"), models.RetinaNetBBox)
    assert "under the licence BSD-3-Clause\n" in capsys.readouterr().out
    monkeypatch.setattr(devices, "start_tensorflow", None)  # an unknown name is told before
    run("cocoo", "other.keras")
    assert "did you mean coco? " in capsys.readouterr().err
    assert not (tmp_path / "other.keras").exists()


def test_bad_files(snapshot, tmp_path, capsys):
    run(tmp_path / "missing.keras", tmp_path / "out.keras")
    assert "missing.keras" in capsys.readouterr().err
    run(snapshot, tmp_path / "out.xyz")
    assert "expected a file name that ends in .keras, .h5" in capsys.readouterr().err
    run(tmp_path / "gone.onnx", tmp_path / "out.keras")
    assert "model not found" in capsys.readouterr().err
    (tmp_path / "m.xml").touch()
    (tmp_path / "saved_model.pb").touch()
    run(tmp_path / "m.xml", tmp_path / "out.keras")
    assert "got an exported one: give the snapshot" in capsys.readouterr().err
    run(tmp_path, tmp_path / "out.keras")
    assert "got an exported one: give the snapshot" in capsys.readouterr().err
    run(snapshot, tmp_path / "out.keras", "--config", tmp_path / "missing.ini")
    assert "missing.ini" in capsys.readouterr().err
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    classifier.save(tmp_path / "classifier.keras")
    run(tmp_path / "classifier.keras", tmp_path / "out.keras")
    assert "expected a training model" in capsys.readouterr().err
    assert not (tmp_path / "out.keras").exists()


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("m.onnx", ["--format", "litert"], "expected a name that ends in .tflite for --format"),
        ("m.xm", [], "expected a file name that ends in"),
        ("m.tflite", [], "give --input-size HEIGHTxWIDTH"),
        ("m.onnx", ["--precision", "bfloat16"], "onnx has float32, float16, int8 only"),
        ("m.onnx", ["--precision", "int8"], "needs --calibrate FOLDER"),
        ("m.onnx", ["--parallel-iterations", "2"], "--parallel-iterations has no effect on onnx"),
        ("m.keras", ["--precision", "int8"], "a model of Keras computes in float32 or bfloat16"),
        ("m.keras", ["--calibrate", "photos"], "--calibrate has no effect on keras in float32"),
        ("m.keras", ["--input-size", "4x4"], "--input-size has no effect on keras in float32"),
        ("m", ["--calibrate", "no-such-folder"], "no-such-folder"),
    ],
)
def test_what_a_format_cannot_do_is_refused_before_the_model_is_loaded(
    snapshot, tmp_path, capsys, monkeypatch, out, options, message
):
    monkeypatch.setattr("keras_retinanet.export.convert.load_model", None)
    run(snapshot, tmp_path / out, *options)
    assert message in capsys.readouterr().err
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize(
    ("out", "name"),
    [
        ("m.onnx", "onnx"),
        ("m.xml", "openvino"),
        ("m.tflite", "litert"),
        ("models/1.0/", "saved-model"),
    ],
)
def test_options_reach_the_export(snapshot, monkeypatch, out, name):
    calls = []
    monkeypatch.setattr(
        "keras_retinanet.export.convert.export_file",
        lambda *args, **kwargs: calls.append((args, kwargs)),
    )
    options = {
        "precision": "int8",
        "input_size": "48x64",
        "calibrate": "photos",
        "nms": False,
        "backbone": "tiny",
        "score_threshold": "0.2",
    }
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items() if value]
    main([str(snapshot), out, *flags, "--no-nms"])
    ((paths, found),) = calls
    assert paths == (str(snapshot), out, name)
    assert {key: found[key] for key in options if key in found} == {
        "precision": "int8",
        "input_size": (48, 64),
        "calibrate": "photos",
        "backbone": "tiny",
        "score_threshold": 0.2,
    }
    assert found["is_raw"]


def test_bfloat16_reaches_keras(snapshot, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "keras_retinanet.export.convert.convert_keras_file",
        lambda *args, **kwargs: calls.append(kwargs),
    )
    main([str(snapshot), "m.keras", "--precision=bfloat16", "--calibrate=p", "--max-detections=9"])
    (found,) = calls
    assert (found["precision"], found["calibrate"], found["max_detections"]) == ("bfloat16", "p", 9)


@pytest.mark.parametrize("text", ["48", "0x10", "48x64x3", "x", "100000x1"])
def test_bad_sizes(text, capsys):
    run("in.keras", "m.onnx", "--input-size", text)
    assert "expected HEIGHTxWIDTH such as 480x640" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--nms-threshold", "1.5"), ("--score-threshold", "x"), ("--max-detections", "0")],
)
def test_bad_numbers(flag, value, capsys):
    run("in.keras", "out.keras", flag, value)
    assert flag in capsys.readouterr().err


def test_there_is_an_option_for_each_filter_setting():
    options = vars(parse_args(["in.keras", "out.keras"]))
    names = {field.name for field in fields(FilterSettings)}
    # The model's own: with others it would not compute what its library does.
    assert names - {"clip", "drop_empty", "fixed_shapes"} <= set(options)
    assert given_settings(options) == {}


def test_help_does_not_import_tensorflow():
    code = (
        "import sys; from keras_retinanet.bin.convert_model import parse_args\n"
        "try: parse_args(['--help'])\n"
        "except SystemExit: sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    for flag in ("--backbone", "--no-nms", "--config", "--parallel-iterations"):
        assert flag in result.stdout
