import json
import os

import pytest

from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.reports.results import EarlierRun, Results

BOX = {"box": [1, 2, 3, 4], "score": 0.9, "label": 0, "name": "cat"}


def found(path, frame=None):
    return ImageDetections(path, 60, 50, [BOX], frame, None if frame is None else frame / 10)


def files(folder):
    return {"json": str(folder / "found.json"), "csv": str(folder / "found.csv")}


def run(folder, paths, copies=(), videos=(), **options):
    """A run over images, or the first three frames of videos; return what it went through."""
    earlier = EarlierRun.of(files(folder), dict(copies))
    results = Results(files(folder), dict(copies), earlier)
    left = [path for path in paths if not earlier.has(path, dict(videos))]
    with results.writing(("cat",)):
        for path in left:
            frames = range(3) if path in dict(videos) else [None]
            for frame in frames:
                results.add(found(path, frame), None, is_live=dict(videos).get(path, False))
    return left


def recorded(folder):
    entries = json.loads((folder / "found.json").read_text())
    return [(entry["file"], entry.get("frame")) for entry in entries]


def test_images_are_done_once_however_they_are_spelt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, ["a.png", "b.png"]) == ["a.png", "b.png"]
    assert run(tmp_path, ["./a.png", str(tmp_path / "b.png"), "c.png"]) == ["c.png"]
    assert recorded(tmp_path) == [("a.png", None), ("b.png", None), ("c.png", None)]


def test_an_image_is_added_only_to_the_file_that_lacks_it(tmp_path):
    run(tmp_path, ["a.png"])
    (tmp_path / "found.csv").unlink()
    assert run(tmp_path, ["a.png"]) == ["a.png"]
    assert recorded(tmp_path) == [("a.png", None)]
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 1


def test_a_copy_has_to_be_there(tmp_path):
    copies = {"a.png": str(tmp_path / "copy.png")}
    assert run(tmp_path, ["a.png"], copies) == ["a.png"]
    assert run(tmp_path, ["a.png"], copies) == ["a.png"]
    (tmp_path / "copy.png").touch()
    assert run(tmp_path, ["a.png"], copies) == []


def test_a_video_is_done_with_its_copy_and_a_camera_never(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.files", lambda folder: {"json": str(folder / "found.json")})
    videos = {"v.mp4": False, "0": True}
    copies = {"v.mp4": str(tmp_path / "v.mp4"), "0": str(tmp_path / "camera.mp4")}
    paths = list(videos)
    assert run(tmp_path, paths, copies, videos) == paths
    for copy in copies.values():
        open(copy, "w").close()
    assert run(tmp_path, paths, copies, videos) == ["0"]
    assert recorded(tmp_path) == [
        *((path, frame) for path in (os.path.basename("v.mp4"), "0") for frame in range(3)),
        *(("0", frame) for frame in range(3)),
    ]
    # Without a copy nobody knows whether it was whole: it is run again, but not written twice.
    assert run(tmp_path, ["v.mp4"], {}, videos) == ["v.mp4"]
    assert len(recorded(tmp_path)) == 9


def test_what_went_wrong_and_what_was_full_is_told(tmp_path, capsys):
    results = Results({}, {}, EarlierRun())
    with results.writing(None):
        results.add(found("a.png"), 300)
        results.add(found("b.png"), None)
        results.add(found("c.png"), 300)
    results.fail("d.png", FileNotFoundError(2, "No such file", "d.png"))
    assert results.errors == {"d.png": "d.png: No such file"}
    results.report(0.5)
    told = capsys.readouterr()
    assert "Found on 3 images" in told.out
    assert "warning: a.png and 1 more images: 300 detections, the maximum" in told.err


def test_another_file_is_not_appended_to(tmp_path):
    (tmp_path / "found.json").write_text('{"other": 1}')
    with pytest.raises(ValueError, match="expected a file of detections to append to"):
        EarlierRun.of({"json": str(tmp_path / "found.json")}, {})
