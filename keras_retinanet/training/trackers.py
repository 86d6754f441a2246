"""Services that keep the numbers of runs: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import keras

from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.settings import SettingError

# Setting of a plan -> package that it needs.
_PACKAGES = {"tensorboard_dir": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
_MAX_PARAMETER = 500  # characters of a parameter in MLflow


def check_installed(plan: TrainingPlan) -> None:
    """Check that the packages are there that a plan needs beside the usual ones.

    Raises:
        SettingError: naming the setting, and how to install its package.
    """
    for name, package in _PACKAGES.items():
        if getattr(plan, name) and importlib.util.find_spec(package) is None:
            raise SettingError(name, f"needs a package that is not there: pip install {package}")


@contextlib.contextmanager
def tracking(plan: TrainingPlan) -> Iterator[list[keras.callbacks.Callback]]:
    """Begin a run in each service that the plan names; yield their callbacks, and end the runs.

    The settings of the plan are the run's configuration, or its parameters. An error marks it as
    failed. A run that the program has begun itself is used, and stays open.

    Raises:
        SettingError: naming the setting, if a service cannot be used.
    """
    settings = plan.fixed_settings()
    with contextlib.ExitStack() as runs:
        callbacks = []
        if plan.wandb:
            callbacks.append(_begin_wandb(plan, settings, runs))
        if plan.mlflow:
            callbacks.append(_begin_mlflow(settings, runs))
        yield callbacks


def _begin_wandb(
    plan: TrainingPlan, settings: dict[str, Any], runs: contextlib.ExitStack
) -> keras.callbacks.Callback:
    """Begin a run that ends with `runs`; return the callback that logs to it."""
    wandb = importlib.import_module("wandb")
    if wandb.run is None:
        with _naming("wandb", wandb.Error):
            run = wandb.init(dir=plan.snapshot_path, config=settings)
        # As a context, the run would print a traceback of each error.
        runs.push(lambda error, *_: run.finish(exit_code=int(error is not None)))
    else:
        wandb.config.update(settings, allow_val_change=True)
    return importlib.import_module("wandb.integration.keras").WandbMetricsLogger()


def _begin_mlflow(settings: dict[str, Any], runs: contextlib.ExitStack) -> keras.callbacks.Callback:
    """Begin a run that ends with `runs`; return the callback that logs to it."""
    mlflow = importlib.import_module("mlflow")
    with _naming("mlflow", mlflow.MlflowException):
        if mlflow.active_run() is None:
            runs.enter_context(mlflow.start_run())
        mlflow.log_params({name: _text(value) for name, value in settings.items()})
    return importlib.import_module("mlflow.keras").MlflowCallback()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_MAX_PARAMETER]


@contextlib.contextmanager
def _naming(name: str, error: type[Exception]) -> Iterator[None]:
    """Name the setting where its package raises an error."""
    try:
        yield
    except error as problem:
        raise SettingError(name, f"cannot begin a run: {problem}") from None
