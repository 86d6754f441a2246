import cv2
import pytest

from keras_retinanet.system import devices


@pytest.mark.parametrize(("workers", "threads"), [(1, 6), (4, 1), (3, 2), (8, 1)])
def test_workers_share_the_cores(monkeypatch, workers, threads):
    seen = []
    monkeypatch.setattr(devices, "cores", lambda: 6)
    monkeypatch.setattr(cv2, "setNumThreads", seen.append)
    devices.share_cores(workers)
    assert seen == [threads]
