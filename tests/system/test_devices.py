import cv2
import pytest

from keras_retinanet.system import devices


@pytest.mark.parametrize(("workers", "threads"), [(1, 6), (4, 1), (3, 2), (8, 1)])
def test_workers_share_the_cores_for_a_while(monkeypatch, workers, threads):
    monkeypatch.setattr(devices, "cores", lambda: 6)
    before = cv2.getNumThreads()
    with devices.sharing_cores(workers):
        assert cv2.getNumThreads() == threads
    assert cv2.getNumThreads() == before
