import cv2
import numpy as np
import pytest

from keras_retinanet.detection import videos
from keras_retinanet.detection.videos import Video, VideoFile


def frame(number, height=48, width=64):
    """A grey frame that tells its number."""
    return np.full((height, width, 3), 20 + 10 * number, "uint8")


def write(path, count, rate=10.0):
    with VideoFile(path, rate, (64, 48)) as file:
        for number in range(count):
            file.write(frame(number))


def test_a_video_comes_back_with_its_rate_size_and_frames(tmp_path):
    write(tmp_path / "v.mp4", 7, rate=12.5)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
    video = Video(tmp_path / "v.mp4")
    assert (video.rate, video.size, video.count) == (12.5, (64, 48), 7)
    for number, read in enumerate(video.frames()):
        assert read.shape == (48, 64, 3)
        assert abs(float(read.mean()) - (20 + 10 * number)) < 4
    assert number == 6
    video.close()


def test_frames_of_another_size_are_resized(tmp_path):
    with VideoFile(tmp_path / "v.mp4", 10, (64, 48)) as file:
        file.write(frame(3, 96, 128))
    (read,) = Video(tmp_path / "v.mp4").frames()
    assert read.shape == (48, 64, 3)


@pytest.mark.parametrize("keep_part", [True, False])
def test_a_part_of_a_video_is_kept_where_it_is_wanted(tmp_path, keep_part):
    file = VideoFile(tmp_path / "v.mp4", 10, (64, 48), keep_part=keep_part)
    with pytest.raises(KeyboardInterrupt), file:
        for number in range(3):
            file.write(frame(number))
        raise KeyboardInterrupt
    if keep_part:
        assert Video(tmp_path / "v.mp4").count == 3
    assert len(list(tmp_path.iterdir())) == keep_part


def test_a_rate_with_many_digits_is_rounded_where_the_codec_refuses_it(tmp_path):
    write(tmp_path / "v.mp4", 2, rate=239.873)
    assert Video(tmp_path / "v.mp4").rate == pytest.approx(239.9)


def test_odd_sides_are_told(tmp_path):
    message = r"v\.mp4: an odd side of 65x48 is one pixel shorter"
    file = VideoFile(tmp_path / "v.mp4", 10, (65, 48))
    with pytest.warns(UserWarning, match=message), file:
        file.write(frame(0, width=65))
    assert Video(tmp_path / "v.mp4").size == (64, 48)


def test_a_video_that_is_not_whole_is_an_error(tmp_path, monkeypatch):
    """Stands for a full disk, of which OpenCV does not tell."""
    (tmp_path / "v.mp4").write_text("before")
    file = VideoFile(tmp_path / "v.mp4", 10, (64, 48))
    with pytest.raises(OSError, match="the video has 0 of 3 frames: is the disk full"), file:
        for number in range(3):
            file.write(frame(number))
        file._writer.release()
        with open(file._temporary, "r+b") as written:
            written.truncate(40)
    assert (tmp_path / "v.mp4").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_video_that_breaks_off_is_told(tmp_path):
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(100):
        writer.write(frame(number % 20))
    writer.release()
    whole = Video(path)
    assert whole.missing(len(list(whole.frames()))) == ""
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    part = Video(path)
    read = len(list(part.frames()))
    assert 20 < read < 80
    assert f"v.avi: the video is damaged: it has {read} of 100 frames" in part.missing(read)
    assert "expected a video, got none with a frame" in part.missing(0)


def test_an_address_with_an_end_is_not_live(tmp_path):
    write(tmp_path / "v.mp4", 3)
    video = Video(tmp_path / "v.mp4", is_live=True)  # as a playlist of a finished stream
    assert not video.is_live
    assert len(list(video.frames())) == 3


def test_a_name_with_a_colon_is_no_address(tmp_path, monkeypatch):
    write(tmp_path / "cam1:front.mp4", 2)
    monkeypatch.chdir(tmp_path)
    assert Video("cam1:front.mp4").count == 2


@pytest.mark.parametrize("name", ["gone.mp4", "text.mp4"])
def test_what_is_no_video_is_named(tmp_path, name):
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(ValueError, match=f"{name}: expected a video"):
        Video(tmp_path / name)


class Stream:
    """Stands for `cv2.VideoCapture`: each connection gives two frames, then breaks off."""

    connections = 0
    lasting = 3

    def __init__(self, source):
        type(self).connections += 1
        self.left = 2 if self.connections <= self.lasting else 0

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return True

    def get(self, what):
        return 0.0

    def read(self):
        self.left -= 1
        return (True, frame(self.left)) if self.left >= 0 else (False, None)

    def release(self):
        pass


def test_a_stream_is_connected_again_until_it_stays_away(monkeypatch):
    monkeypatch.setattr(videos.cv2, "VideoCapture", Stream)
    waits = []
    video = Video("rtsp://camera/1", is_live=True, sleep=waits.append)
    assert (video.rate, video.count) == (25.0, None)
    assert len(list(video.frames())) == 6
    assert waits == [1, 1, 1, 2, 4, 8, 16]
    assert Stream.connections == 1 + len(waits)
    assert "rtsp://camera/1: the stream broke off" in video.missing(6)
