from dataclasses import replace

import pytest

from keras_retinanet.training import distribution, run
from keras_retinanet.training.settings import SettingError


def test_more_gpus_than_there_are_are_refused(plan, monkeypatch):
    monkeypatch.setattr(
        distribution.tf.config, "list_logical_devices", lambda kind: ["/gpu:0", "/gpu:1"]
    )
    with pytest.raises(SettingError, match="^multi_gpu: expected at most 2, .* got 4"):
        run.train(replace(plan, multi_gpu=4, batch_size=4), log=lambda text: None)
