"""training.trackers: which runs begin and end, with modules in the place of the packages."""

import sys
import types
from dataclasses import replace

import keras
import pytest

from keras_retinanet.training import trackers
from keras_retinanet.training.settings import SettingError


@pytest.mark.parametrize(
    ("name", "value", "package"),
    [
        ("wandb", True, "wandb"),
        ("mlflow", True, "mlflow"),
        ("tensorboard_dir", "logs", "tensorboard"),
    ],
)
def test_a_missing_package_is_named(plan, monkeypatch, name, value, package):
    asked = []
    monkeypatch.setattr(trackers.importlib.util, "find_spec", asked.append)
    trackers.check_installed(plan)
    assert asked == []
    with pytest.raises(SettingError, match=f"^{name}: .*pip install {package}$"):
        trackers.check_installed(replace(plan, **{name: value}))
    assert asked == [package]
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda package: package)
    trackers.check_installed(replace(plan, **{name: value}))


class Log(list):
    """What was called, in order."""

    def module(self, monkeypatch, name, **attributes):
        module = types.ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    def call(self, name, result=None):
        def function(*args, **options):
            self.append((name, args, options))
            return result

        return function


@pytest.fixture
def log(monkeypatch):
    calls = Log()
    finish = types.SimpleNamespace(finish=calls.call("finish"))
    wandb = calls.module(
        monkeypatch, "wandb", run=None, Error=KeyError, init=calls.call("init", finish)
    )
    wandb.config = types.SimpleNamespace(update=calls.call("update"))
    callback = {"WandbMetricsLogger": keras.callbacks.History}
    calls.module(monkeypatch, "wandb.integration.keras", **callback)

    class Run:
        def __enter__(self):
            return self

        def __exit__(self, kind, *_):
            calls.append(("end", kind))

    calls.module(
        monkeypatch,
        "mlflow",
        MlflowException=OSError,
        active_run=lambda: None,
        start_run=calls.call("start", Run()),
        log_params=calls.call("parameters"),
    )
    calls.module(monkeypatch, "mlflow.keras", MlflowCallback=keras.callbacks.TerminateOnNaN)
    return calls


def test_nothing_begins_without_being_asked(plan, log):
    with trackers.tracking(plan) as callbacks:
        assert callbacks == []
    assert log == []


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_run_of_wandb_has_the_settings_and_ends(plan, log, error):
    plan = replace(plan, wandb=True, lr=0.25)
    try:
        with trackers.tracking(plan) as callbacks:
            assert [type(each) for each in callbacks] == [keras.callbacks.History]
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    (name, _, options), end = log
    assert name == "init"
    assert options["dir"] == plan.snapshot_path
    assert options["config"]["lr"] == 0.25
    assert options["config"]["augmentation"]["flip_x_chance"] == 0.5
    assert end == ("finish", (), {"exit_code": 1 if error else 0})


@pytest.mark.parametrize("error", [None, ValueError])
def test_a_run_of_mlflow_has_the_settings_and_ends(plan, log, error):
    plan = replace(plan, mlflow=True, lr=0.25, class_weights={"c" * 600: 2.0})
    try:
        with trackers.tracking(plan) as callbacks:
            assert [type(each) for each in callbacks] == [keras.callbacks.TerminateOnNaN]
            if error:
                raise error
    except ValueError:
        assert error
    (start, _, _), (name, (parameters,), _), end = log
    assert (start, name, end) == ("start", "parameters", ("end", error))
    assert parameters["lr"] == "0.25"
    assert parameters["optimizer"] == "adam"
    assert parameters["ema"] == "null"
    assert len(parameters["class_weights"]) == 500  # MLflow refuses longer ones


def test_a_run_of_the_program_itself_stays_open(plan, log):
    sys.modules["wandb"].run = "open"
    sys.modules["mlflow"].active_run = lambda: "open"
    with trackers.tracking(replace(plan, wandb=True, mlflow=True)) as callbacks:
        assert len(callbacks) == 2
    assert [call[0] for call in log] == ["update", "parameters"]


def test_the_first_run_ends_if_the_second_cannot_begin(plan, log):
    def refuse():
        raise OSError("no server")

    sys.modules["mlflow"].start_run = refuse
    both = replace(plan, wandb=True, mlflow=True)
    message = "^mlflow: cannot begin a run: no server"
    with pytest.raises(SettingError, match=message), trackers.tracking(both):
        pytest.fail("it began")
    assert [call[0] for call in log] == ["init", "finish"]


def test_what_wandb_says_is_passed_on(plan, log):
    def refuse(**_):
        raise KeyError("no API key")

    sys.modules["wandb"].init = refuse
    plan, message = replace(plan, wandb=True), "^wandb: cannot begin a run: .*no API key"
    with pytest.raises(SettingError, match=message), trackers.tracking(plan):
        pytest.fail("it began")
