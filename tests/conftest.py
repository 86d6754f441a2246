import os

import pytest

from keras_retinanet.system import devices
from keras_retinanet.training import precision


@pytest.fixture(autouse=True)
def the_same_precision_on_any_machine(monkeypatch):
    """Let a run whose precision is "auto" compute in float32, whatever this machine is fast at."""
    monkeypatch.setattr(precision, "choose", lambda *facts: ("none", "of the tests"))


@pytest.fixture(autouse=True)
def weights_that_may_change():
    """Fail a test that leaves behind what would let later ones train with old weights."""
    yield
    assert os.environ.pop(devices.FROZEN_WEIGHTS, None) is None
