import cv2
import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.photos import Photo
from keras_retinanet.detection.videos import Video, VideoFile
from keras_retinanet.drawing import label_color
from keras_retinanet.reports.copies import Copies
from keras_retinanet.reports.detections import describe

FOUND = Detections(np.float32([[10, 10, 40, 30]]), np.float32([0.9]), np.array([1]))
IMAGE = np.full((48, 64, 3), 90, "uint8")


def add(copies, path, **frame):
    photo = Photo(path, IMAGE.copy(), FOUND, **frame)
    copies.add(photo, describe(photo, FOUND))


@pytest.fixture
def video(tmp_path):
    with VideoFile(tmp_path / "in.mp4", 12.5, (64, 48)) as file:
        file.write(IMAGE)
    return Video(tmp_path / "in.mp4")


def test_images_and_videos_get_copies_with_boxes(tmp_path, video):
    targets = {name: str(tmp_path / "out" / name) for name in ("a.png", "v.mp4", "b.png")}
    errors = {}
    with Copies(targets, errors.__setitem__) as copies:
        add(copies, "a.png")
        for frame in range(5):
            add(copies, "v.mp4", frame=frame, video=video)
        add(copies, "b.png")
        add(copies, "without a copy.png")
    assert errors == {}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(targets)
    for name in ("a.png", "b.png"):
        assert cv2.imread(targets[name])[30, 20].tolist() == label_color(1)
    copy = Video(targets["v.mp4"])
    assert (copy.rate, copy.size, copy.count) == (12.5, (64, 48), 5)
    for frame in copy.frames():
        assert np.abs(frame[30, 20].astype(int) - label_color(1)).max() < 60


def test_a_copy_that_cannot_be_written_costs_no_other(tmp_path):
    (tmp_path / "a.png").mkdir()
    targets = {name: str(tmp_path / name) for name in ("a.png", "b.png")}
    errors = {}
    with Copies(targets, errors.__setitem__) as copies:
        for name in targets:
            add(copies, name)
    assert list(errors) == ["a.png"]
    assert (tmp_path / "b.png").is_file()


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_that_is_stopped_keeps_what_a_camera_gave(tmp_path, video, is_live):
    targets = {"0": str(tmp_path / "out" / "camera.mp4")}
    video.is_live = is_live
    with pytest.raises(KeyboardInterrupt), Copies(targets, print) as copies:
        for frame in range(3):
            add(copies, "0", frame=frame, video=video)
        raise KeyboardInterrupt
    assert len(list((tmp_path / "out").iterdir())) == is_live


def test_a_video_that_cannot_be_written_is_told_once_and_costs_no_other(tmp_path, video):
    (tmp_path / "bad.mp4").mkdir()
    targets = {name: str(tmp_path / name) for name in ("bad.mp4", "good.mp4")}
    errors = []
    with Copies(targets, lambda path, error: errors.append((path, error))) as copies:
        for name in targets:
            for frame in range(3):
                add(copies, name, frame=frame, video=video)
    ((path, error),) = errors
    assert path == "bad.mp4"
    assert "bad.mp4" in str(error)
    assert Video(targets["good.mp4"]).count == 3
