"""A model file and image files in, detections out; bin/test_detect.py has the command."""

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection import photos
from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.videos import VideoFile
from keras_retinanet.geometry.filter_settings import FilterSettings
from tests.fakes import detailed_finder, picture, tiny_retinanet

BOXES = [(2, 2, 20, 20), (5, 5, 30, 25), (1, 8, 12, 30)]


@pytest.fixture
def files(tmp_path):
    """Three photos of two sizes, each with a rectangle; a bad file stands second."""
    paths = []
    for i, (box, size) in enumerate(zip(BOXES, [(40, 40), (40, 50), (40, 40)], strict=True)):
        paths.append(str(tmp_path / f"{i}.png"))
        cv2.imwrite(paths[-1], picture(*size, box))
    (tmp_path / "bad.png").write_bytes(b"")
    return [paths[0], str(tmp_path / "bad.png"), *paths[1:]]


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr(models, "load_model", lambda path: detailed_finder())
    return Detector.load("model.keras")


@pytest.mark.parametrize("batch_size", [1, 2])
def test_bad_files_are_set_aside(files, detector, batch_size):
    errors = {}
    found = list(photos.detect_photos(detector, files, batch_size, on_error=errors.__setitem__))
    assert list(errors) == [files[1]]
    assert "bad.png: expected an image" in str(errors[files[1]])
    by_path = {photo.path: photo for photo in found}
    assert set(by_path) == {files[0], *files[2:]}
    for path, box in zip([files[0], *files[2:]], BOXES, strict=True):
        assert by_path[path].detections.boxes.tolist() == [list(box)]
        np.testing.assert_array_equal(by_path[path].image, cv2.imread(path))
    assert [photo.path for photo in found] == [files[0], *files[2:]]


def test_without_a_handler_a_bad_file_raises(files, detector):
    with pytest.raises(ValueError, match=r"bad\.png: expected an image"):
        list(photos.detect_photos(detector, files))
    with pytest.raises(FileNotFoundError):
        list(photos.detect_photos(detector, ["gone.png"]))


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras's way to save
def test_a_snapshot_is_converted_with_sides_and_threshold(tmp_path):
    models.save_model(tiny_retinanet(), tmp_path / "model.keras")
    trained = Detector.load(tmp_path / "model.keras", score_threshold=0.001)
    image = picture(40, 60)
    assert trained.prepare(image).image.shape == (64, 96, 3)
    kept = trained.model.get_layer("filtered_detections")
    assert kept.score_threshold == 0.001
    with pytest.warns(UserWarning, match="with sides 32 and 96; the model was trained with sides"):
        smaller = Detector.load(tmp_path / "model.keras", min_side=32)
    assert smaller.prepare(image).image.shape == (32, 48, 3)


def test_the_bound_on_pixels_is_handed_on(files, detector):
    errors = {}
    found = list(photos.detect_photos(detector, files, 2, errors.__setitem__, max_pixels=1600))
    assert [photo.path for photo in found] == [files[0], files[3]]
    assert "bad.png" in str(errors[files[1]])
    assert "at most 1600 pixels" in str(errors[files[2]])


def test_images_that_fit_one_by_one_are_done_so(files, detector, monkeypatch):
    """Stands for a network without memory for two images, and for none of those 50 wide."""
    run = detector.run_network
    batches = []

    def small_memory(batch):
        batches.append(len(batch))
        if batch.shape[0] > 1 or batch.shape[2] == 50:
            raise MemoryError("no memory")
        return run(batch)

    monkeypatch.setattr(detector, "run_network", small_memory)
    errors = {}
    found = list(photos.detect_photos(detector, files, 2, errors.__setitem__))
    assert [photo.path for photo in found] == [files[0], files[3]]
    assert [photo.detections.boxes.tolist() for photo in found] == [
        [list(BOXES[0])],
        [list(BOXES[2])],
    ]
    assert isinstance(errors[files[2]], MemoryError)
    assert sorted(batches) == [1, 1, 1, 2]
    with pytest.raises(MemoryError):
        list(photos.detect_photos(detector, files[2:], 2))


def test_an_image_that_cannot_be_resized_does_not_cost_the_others(files, detector, monkeypatch):
    def no_memory(image):
        raise MemoryError

    monkeypatch.setattr(detector, "prepare", no_memory)
    errors = {}
    assert not list(photos.detect_photos(detector, files, 2, errors.__setitem__))
    assert list(errors) == files


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"score_threshold": 0.3, "max_detections": 20}, []),
        ({"score_threshold": 0.5}, []),
        ({"score_threshold": 0.1}, ["a score threshold of 0.3, so detections between 0.1 and"]),
        (
            {"score_threshold": 0.1, "max_detections": 500},
            ["a score threshold of 0.3", "at most 20 detections per image, fewer than the 500"],
        ),
    ],
)
def test_a_converted_model_that_keeps_less_than_asked_for_warns(
    tmp_path, monkeypatch, asked, expected
):
    converted = models.convert_model(tiny_retinanet(), score_threshold=0.3, max_detections=20)
    monkeypatch.setattr(models, "load_model", lambda path: converted)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Detector.load("model.keras", **asked)
    texts = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert len(texts) == len(expected)
    for text, part in zip(texts, expected, strict=True):
        assert text.startswith("model.keras: converted")
        assert part in text


def test_a_snapshot_keeps_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(models, "load_model", lambda path: tiny_retinanet())
    for asked, kept in [(None, 300), (20, 300), (500, 500)]:
        detector = Detector.load("model.keras", max_detections=asked)
        assert detector.model.get_layer("filtered_detections").max_detections == kept


def test_a_snapshot_keeps_what_its_library_does(monkeypatch):
    model = tiny_retinanet()
    kept = FilterSettings(score_threshold=0.01, max_detections=100)
    models.set_info(model, replace(model.info, filter_settings=kept))
    monkeypatch.setattr(models, "load_model", lambda path: model)
    for asked, expected in [(20, 100), (150, 150)]:
        detector = Detector.load("model.keras", max_detections=asked)
        layer = detector.model.get_layer("filtered_detections")
        assert (layer.max_detections, layer.score_threshold) == (expected, 0.01)


def test_frames_of_a_video_come_with_their_numbers(tmp_path, files, detector):
    with VideoFile(tmp_path / "v.mp4", 10, (40, 40)) as file:
        for box in BOXES:
            file.write(picture(40, 40, box))
    video = str(tmp_path / "v.mp4")
    paths = [files[0], video, files[3]]
    found = list(photos.detect_photos(detector, paths, 2, videos={video: False}))
    assert [photo.path for photo in found] == [files[0], video, video, video, files[3]]
    assert [photo.frame for photo in found] == [None, 0, 1, 2, None]
    assert {photo.video.rate for photo in found[1:4]} == {10}
    for photo, box in zip(found[1:4], BOXES, strict=True):  # compression blurs the edges
        np.testing.assert_allclose(photo.detections.boxes[0], box, atol=2)


def test_a_video_that_cannot_be_read_does_not_cost_the_others(tmp_path, files, detector):
    (tmp_path / "v.mp4").write_text("text")
    errors = {}
    paths = [str(tmp_path / "v.mp4"), files[0]]
    found = photos.detect_photos(detector, paths, 1, errors.__setitem__, videos={paths[0]: False})
    assert [photo.path for photo in found] == [files[0]]
    assert "expected a video" in str(errors[paths[0]])


def test_few_images_are_in_memory(files, detector, monkeypatch):
    read = []
    monkeypatch.setattr(photos, "as_image", lambda path, **_: read.append(path) or picture(8, 8))
    found = photos.detect_photos(detector, [f"{i}.png" for i in range(1000)])
    for count, _ in enumerate(found, 1):
        assert len(read) - count <= 4
        if count == 50:
            break
    found.close()
    assert len(read) < 60


def test_images_larger_than_a_tile_are_cut(detector, tmp_path):
    image = np.zeros((100, 320, 3), "uint8")
    for x in (10, 110, 210):
        image[40:60, x : x + 25] = picture(20, 25, (0, 0, 25, 20))
    cv2.imwrite(str(tmp_path / "large.png"), image)
    # The network finds one rectangle in an image: whole, it takes the three for one.
    (whole,) = photos.detect_photos(detector, [str(tmp_path / "large.png")])
    assert whole.detections.boxes.tolist() == [[10, 40, 235, 60]]
    detector.tile, detector.overlap = 60, 30
    (cut,) = photos.detect_photos(detector, [str(tmp_path / "large.png")], 3)
    boxes = sorted(cut.detections.boxes.tolist())
    assert boxes == [[10, 40, 35, 60], [110, 40, 135, 60], [210, 40, 235, 60]]
    (same,) = detector.detect([image])
    assert sorted(same.boxes.tolist()) == boxes
