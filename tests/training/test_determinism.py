from types import SimpleNamespace

import pytest

from keras_retinanet.training import determinism
from keras_retinanet.training.settings import SettingError


class Config:
    """What TensorFlow is told; it has run something if `late`."""

    def __init__(self, late, threads=0):
        self.late, self.threads, self.is_deterministic = late, threads, False
        self.experimental = self.threading = self

    def enable_op_determinism(self):
        self.is_deterministic = True

    def get_intra_op_parallelism_threads(self):
        return self.threads

    def set_intra_op_parallelism_threads(self, threads):
        if self.late:
            raise RuntimeError("cannot be modified after initialization")
        self.threads = threads


@pytest.mark.parametrize(
    ("late", "threads", "variable", "expected"),
    [(False, 0, "", 1), (True, 1, "", 1), (True, 0, "1", 0)],
)
def test_determinism_is_one_thread_an_operation_and_deterministic_kernels(
    monkeypatch, late, threads, variable, expected
):
    config = Config(late, threads)
    monkeypatch.setattr(determinism, "tf", SimpleNamespace(config=config))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", variable)
    determinism.make_deterministic()
    assert config.is_deterministic
    assert config.threads == expected


def test_more_threads_are_refused(monkeypatch):
    monkeypatch.setattr(determinism, "tf", SimpleNamespace(config=Config(late=True)))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "4")
    with pytest.raises(SettingError, match="^deterministic: needs one thread an operation"):
        determinism.make_deterministic()
