import subprocess
import sys

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


@pytest.mark.parametrize("redirection", [">&- 2>&-", "2>&-", "2>&1 | true"])
def test_tensorflow_starts_without_streams(tmp_path, redirection):
    done = tmp_path / "done"
    code = (
        "from keras_retinanet.system import devices; devices.start_tensorflow(); "
        f"open({str(done)!r}, 'w')"
    )
    subprocess.run(["bash", "-c", f"'{sys.executable}' -c \"{code}\" {redirection}"], check=True)
    assert done.read_text() == ""
