"""`retinanet-detect`, from files to files."""

import json
import os
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin import detect
from keras_retinanet.images import read_image_bgr
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system import devices
from tests import bombs

BOX = (30, 20, 90, 60)


class BrightSpot:
    """Stands for an inference model: finds the bright rectangle of each image, as label 1."""

    info = ModelInfo(
        "mobilenet_v2",
        2,
        ("dark", "bright [x]"),
        normalisation="tf_rgb",
        image_min_side=200,
        image_max_side=300,
    )

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, batch):
        self.batches.append(batch.shape)
        boxes = np.full((len(batch), 3, 4), -1.0, np.float32)
        for found, image in zip(boxes, batch, strict=True):
            x, y, width, height = cv2.boundingRect((image[..., 0] > 0.5).astype(np.uint8))
            found[:2] = x, y, x + width, y + height
        scores = np.tile(np.float32([0.4, 0.9, -1]), (len(batch), 1))
        labels = np.tile([0, 1, -1], (len(batch), 1))
        return boxes, scores, labels


@pytest.fixture
def model(monkeypatch):
    found = BrightSpot()
    monkeypatch.setattr(models, "load_model", lambda path, **_: found, raising=False)
    return found


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in [("b.png", (100, 120)), ("a.jpg", (100, 120)), ("c.png", (150, 100))]:
        image = np.full((*size, 3), 10, np.uint8)
        image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 250
        cv2.imwrite(str(photos / name), image)
    (photos / "notes.txt").write_text("not an image")
    (tmp_path / "model.keras").write_bytes(b"x")
    return photos


def run(folder, *arguments):
    """Run the command; return its exit code and what it wrote to found.json, or None."""
    report = folder.parent / "found.json"
    code = 0
    try:
        detect.main([str(folder.parent / "model.keras"), *arguments, "--json", str(report)])
    except SystemExit as stop:
        code = stop.code
    return code, json.loads(report.read_text()) if report.exists() else None


def test_folder_gives_boxes_in_pixels_of_the_photos(folder, model, capsys):
    code, report = run(folder, str(folder))
    assert code == 0
    assert [entry["file"] for entry in report] == [
        str(folder / name) for name in ("a.jpg", "b.png", "c.png")
    ]
    assert [(entry["width"], entry["height"]) for entry in report] == [
        (120, 100),
        (120, 100),
        (100, 150),
    ]
    for entry in report:
        assert list(entry) == ["file", "width", "height", "detections"]
        (found,) = entry["detections"]
        assert list(found) == ["box", "score", "label", "name"]
        np.testing.assert_allclose(found["box"], BOX, atol=1.0)
        assert found["score"] == pytest.approx(0.9)
        assert (found["label"], found["name"]) == (1, "bright [x]")
    assert {batch[1:] for batch in model.batches} == {(200, 240, 3), (300, 200, 3)}
    output = capsys.readouterr()
    row = next(line for line in output.out.splitlines() if "bright [x]" in line)
    assert [word for word in row.replace("│", " ").split()[2:]] == ["3", "3", "0.900", "0.900"]
    assert "Detecting" in output.err


def test_threshold_and_batches(folder, model):
    code, report = run(folder, str(folder), "--score-threshold", "0.3", "--batch-size", "2")
    assert code == 0
    assert [[d["label"] for d in entry["detections"]] for entry in report] == [[1, 0]] * 3
    assert sorted(batch[0] for batch in model.batches) == [1, 2]


def test_nothing_found_is_said(folder, model, capsys):
    code, report = run(folder, str(folder), "--score-threshold", "0.95")
    assert code == 0
    assert [entry["detections"] for entry in report] == [[], [], []]
    assert "nothing" in capsys.readouterr().out


def test_copies_show_the_box_and_leave_the_photos_alone(folder, model, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, _ = run(folder, str(folder), "--output", str(tmp_path / "new" / "drawn"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new" / "drawn").iterdir()) == [
        "a.jpg",
        "b.png",
        "c.png",
    ]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    original = read_image_bgr(folder / "b.png")
    copy = read_image_bgr(tmp_path / "new" / "drawn" / "b.png")
    assert copy.shape == original.shape
    changed = np.argwhere((copy != original).any(axis=2))
    assert (copy[BOX[3]] != original[BOX[3]]).any(axis=1)[BOX[0] + 2 : BOX[2] - 2].all()
    assert changed[:, 1].min() >= BOX[0] - 3
    assert changed[:, 0].max() <= BOX[3] + 3


def test_output_into_the_photos_folder_is_refused(folder, model, capsys):
    code, report = run(folder, str(folder), "--output", str(folder))
    assert (code, report) == (2, None)
    assert "would replace an image" in capsys.readouterr().err
    assert not model.batches


def test_bad_images_are_named_and_the_others_done(folder, model, capsys):
    (folder / "a2.png").write_bytes(b"")
    (folder / "a3.jpg").write_bytes(b"no image at all")
    code, report = run(folder, str(folder), "--batch-size", "4")
    assert code == 1
    assert len(report) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: 2 of 5 images had errors: ")
    assert str(folder / "a2.png") in lines[0]
    assert str(folder / "a3.jpg") in lines[0]


def sparse(path):
    path.touch()
    os.truncate(path, 200 * 10**9)


def thin(path):
    cv2.imwrite(str(path), np.zeros((1, 30000, 3), "uint8"))


# What may go wrong with a file: how it is made, what is said.
BAD = {
    "sparse.jpg": (sparse, "expected a file of at most"),
    "bomb.gif": (
        lambda path: path.write_bytes(bombs.BOMBS["GIF screen"]()),
        "declares 32000 x 32000",
    ),
    "bomb.ico": (
        lambda path: path.write_bytes(bombs.BOMBS["ICO with PNG"]()),
        "declares 32000 x 32000",
    ),
    "pipe.jpg": (os.mkfifo, "expected a regular file"),
    "nowhere.jpg": (lambda path: path.symlink_to("gone"), "No such file or directory"),
    "empty.jpg": (lambda path: path.touch(), "got an empty file"),
    "thin.png": (thin, "after resizing"),
    "film.jpg": (lambda path: path.write_bytes(b"\0\0\0\x20ftypisom"), "a video: take frames out"),
    "big.png": (
        lambda path: cv2.imwrite(str(path), np.zeros((1000, 1001, 3), "uint8")),
        "at most 1000000 pixels (max_pixels)",
    ),
}


@pytest.mark.filterwarnings("ignore:detecting with sides")
def test_no_file_costs_the_others(folder, model, capsys, tmp_path):
    for name, (make, _) in BAD.items():
        make(folder / name)
    (folder / "list.csv").write_text("text")
    options = [
        "--image-min-side",
        "500",
        "--image-max-side",
        "1000000000",
        "--max-pixels",
        "1000000",
    ]
    out = tmp_path / "out"
    bad = [str(folder / "list.csv"), str(folder), *options, "--output", str(out)]
    code, report = run(folder, *bad)
    assert code == 1
    assert [entry["file"] for entry in report] == [
        str(folder / name) for name in ("a.jpg", "b.png", "c.png")
    ]
    assert sorted(os.listdir(out)) == ["a.jpg", "b.png", "c.png"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert line.startswith(f"error: {len(BAD) + 1} of {len(BAD) + 4} images had errors: ")
    parts = line.split("; ")
    for name, words in [*((name, words) for name, (_, words) in BAD.items()), ("list.csv", "text")]:
        (part,) = [part for part in parts if str(folder / name) in part]
        assert words in part
        assert len(part) < 300 + len(str(folder))


def test_a_copy_that_cannot_be_written_does_not_cost_the_others(folder, model, capsys, tmp_path):
    out = tmp_path / "out"
    (out / "b.png").mkdir(parents=True)
    code, report = run(folder, str(folder), "--output", str(out))
    assert code == 1
    assert len(report) == 3
    assert sorted(os.listdir(out)) == ["a.jpg", "b.png", "c.png"]
    error = capsys.readouterr().err
    assert f"error: 1 of 3 images had errors: {folder / 'b.png'}: " in error


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError(), cv2.error("odd")])
def test_an_error_of_the_network_or_of_drawing_does_not_cost_the_others(
    folder, model, capsys, tmp_path, monkeypatch, error
):
    from keras_retinanet.reports import copies

    def fail_for_b(image, found, target):
        if found.path.endswith("b.png"):
            raise error
        return write_copy(image, found, target)

    def fail_for_c(batch):
        if batch.shape[1] == 300:
            raise error
        return predict(batch)

    write_copy, predict = copies.write_copy, model.predict_on_batch
    monkeypatch.setattr(copies, "write_copy", fail_for_b)
    monkeypatch.setattr(model, "predict_on_batch", fail_for_c)
    code, report = run(folder, str(folder), "--output", str(tmp_path / "out"))
    assert code == 1
    assert [os.path.basename(entry["file"]) for entry in report] == ["a.jpg", "b.png"]
    message = capsys.readouterr().err
    for name in ("b.png", "c.png"):
        assert f"{folder / name}: {type(error).__name__}: {error}".strip() in message


def test_a_run_that_is_stopped_leaves_what_it_found(folder, model, tmp_path, monkeypatch):
    predict = model.predict_on_batch

    def stop_at_c(batch):
        if batch.shape[1] == 300:
            raise KeyboardInterrupt
        return predict(batch)

    monkeypatch.setattr(model, "predict_on_batch", stop_at_c)
    code, report = run(folder, str(folder), "--output", str(tmp_path / "out"))
    assert code == 130
    assert len(report) == 2
    assert sorted(os.listdir(tmp_path / "out")) == ["a.jpg", "b.png"]


def test_subfolders_are_mirrored_and_those_of_the_output_are_not_read(folder, model, tmp_path):
    for name in ("2019/a.jpg", "2019/may/c.gif", "2020/a.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((folder / "a.jpg").read_bytes())
    other = tmp_path / "other" / "2019"
    other.mkdir(parents=True)
    (other / "a.jpg").write_bytes((folder / "a.jpg").read_bytes())
    out = folder / "out"
    names = ["a.jpg", "b.png", "c.png", "2019/a.jpg", "2019/may/c.gif", "2020/a.jpg"]
    for _ in range(2):  # the second time, the copies of the first are there
        code, report = run(folder, str(folder), str(other.parent), "--output", str(out))
        assert code == 0
        assert [entry["file"] for entry in report] == [
            *(str(folder / name) for name in names),
            str(other / "a.jpg"),
        ]
        written = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
        assert written == {*names, "2019/a-2.jpg", "2019/may/c.gif.png"} - {"2019/may/c.gif"}
    code, report = run(folder, str(folder), "--no-recursive")
    assert [entry["file"] for entry in report] == [str(folder / name) for name in names[:3]]


def test_files_that_are_no_images_are_counted_once(folder, model, capsys):
    for i in range(7):
        (folder / f"z{i}.csv").touch()
    assert run(folder, str(folder))[0] == 0
    expected = (
        "left out 8 files that are no images: notes.txt, z0.csv, z1.csv, z2.csv, z3.csv, ...\n"
    )
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["a.jpg", "model.keras"],
            "a.jpg: expected a model, got the name of an image; write the model before",
        ),
        (["photos", "a.jpg"], "model not found: photos (it is a folder)"),
        (["model.keras", "model.keras"], "model.keras: expected an image, got a model"),
        (["model.keras", "a.pdf"], "a.pdf: expected an image, got a PDF document"),
        (
            ["model.keras", "clip.mp4", "--csv", "a.csv"],
            "--csv: expected images only, got the video clip.mp4",
        ),
        (["model.keras", "clip.mp4", "--coco", "a.json"], "--coco: expected images only, got the"),
        (["model.keras", "http://h/a.jpg", "--csv", "a.csv"], "--csv: expected files only, as ret"),
        (
            ["model.keras", "photos", "--json", "a.json", "--coco", "./a.json"],
            "--coco ./a.json: would replace the file of --json",
        ),
        (
            ["model.keras", "photos", "--json", "photos/a.jpg"],
            "--json photos/a.jpg: expected a file",
        ),
        (
            ["model.keras", "photos", "--json", "model.keras"],
            "--json model.keras: would replace model.keras",
        ),
        (
            ["model.keras", "photos", "list.txt", "--json", "photos/../list.txt"],
            "--json photos/../list.txt: would replace list.txt",
        ),
        (["m.xml", "photos", "--coco", "m.bin"], "--coco m.bin: would replace m.bin"),
        (
            ["saved", "photos", "--csv", "saved/saved_model.pb"],
            "--csv saved/saved_model.pb: would replace saved/saved_model.pb",
        ),
        (
            ["model.keras", "photos", "more", "--coco", "a.json"],
            "--coco: photos/a.jpg and more/a.png would have the same image id, 'a'",
        ),
        (
            ["model.keras", "photos", "more", "--output", "out", "--skip-existing"],
            "--skip-existing: several images have the name b.png",
        ),
        (["model.keras", "photos", "--output", "model.keras"], "--output: model.keras"),
        (["model.keras", "photos", "--output", "model.keras/x"], "--output: model.keras/x"),
        (["model.keras", "photos", "--json", "photos"], "--json: photos cannot be written: Is a"),
        (["model.keras", "photos", "--json", "model.keras/x"], "--json: model.keras/x cannot be"),
        (["model.keras", "photos", "--json", f"{'x' * 260}"], "--json: xxx"),
        (["model.keras", "photos", "--output", f"{'x' * 260}"], "--output: xxx"),
        (
            ["model.keras", "photos", "--json", "nowhere/x"],
            "--json: nowhere/x cannot be written: No",
        ),
    ],
)
def test_what_cannot_work_is_said_before_the_model_is_loaded(
    folder, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr(models, "load_model", None)
    monkeypatch.chdir(folder.parent)
    (folder.parent / "list.txt").write_text("photos/a.jpg")
    (folder.parent / "nowhere").symlink_to("gone")
    (folder.parent / "more").mkdir()
    (folder.parent / "saved").mkdir()
    for name in ("clip.mp4", "a.pdf", "m.xml", "saved/saved_model.pb", "more/a.png", "more/b.png"):
        (folder.parent / name).touch()
    with pytest.raises(SystemExit) as stop:
        detect.main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert len(error) < 400


def test_a_run_that_cannot_work_leaves_no_folders_behind(folder, model, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    model_file, new = str(tmp_path / "model.keras"), tmp_path / "new1" / "new2"
    options = ["--json", str(new / "r.json"), "--output", str(new / "drawn")]
    with pytest.raises(SystemExit):
        detect.main([model_file, str(folder), *options, "--classes", "dim"])
    assert "got 'dim'" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    detect.main([model_file, str(folder), *options])
    assert sorted(os.listdir(new)) == ["drawn", "r.json"]


def test_a_full_result_is_told_once(folder, model, capsys, monkeypatch):
    full = "a.jpg and 2 more images: 2 detections, the maximum: there may be more; raise --max-det"
    for arguments, told in [
        (["--max-detections", "2", "--score-threshold", "0.3"], False),  # no third box anyway
        (["--max-detections", "1", "--score-threshold", "0.3"], True),
        (["--max-detections", "1"], False),  # nor a second above the threshold
        (["--max-detections", "1", "--score-threshold", "0.95"], False),
    ]:
        code, report = run(folder, str(folder), *arguments)
        assert code == 0
        assert max(len(entry["detections"]) for entry in report) <= int(arguments[1])
        assert (full.replace("2 det", "1 det") in capsys.readouterr().err) == told
    # Without padding the network may have cut some off.
    predict = model.predict_on_batch
    monkeypatch.setattr(
        model, "predict_on_batch", lambda batch: [part[:, :2] for part in predict(batch)]
    )
    assert run(folder, str(folder), "--score-threshold", "0.3")[0] == 0
    assert full in capsys.readouterr().err
    assert run(folder, str(folder), "--score-threshold", "0.5")[0] == 0
    assert "the maximum" not in capsys.readouterr().err


def test_only_bad_images(folder, model, capsys):
    (folder / "empty.png").write_bytes(b"")
    code, report = run(folder, str(folder / "empty.png"))
    assert (code, report) == (2, [])
    assert "error: 1 of 1 images had errors: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.jpg", "no such file or folder"),
        ("*.gif", "no file matches"),
        ("empty", "a folder without files ending in .jpg"),
    ],
)
def test_source_without_images_is_named(folder, model, capsys, source, reason):
    (folder / "empty").mkdir()
    code, report = run(folder, str(folder / "a.jpg"), str(folder / source))
    assert (code, report) == (2, None)
    error = capsys.readouterr().err
    assert f"no image found: {folder / source} ({reason}" in error
    assert len(error.splitlines()) == 1


def test_missing_model_is_named(folder, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.main([str(folder / "none.keras"), str(folder)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: model not found: {folder / 'none.keras'}\n"


def test_an_unknown_name_is_refused_before_tensorflow_is_imported(folder):
    code = (
        "import sys; from keras_retinanet.bin import detect\n"
        "try: detect.main(['cocoo', '.'])\n"
        "except SystemExit as stop:\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
        "    sys.exit(stop.code)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: model not found: there is no file 'cocoo', and no published model of that name; "
        "did you mean coco? retinanet-detect --list-models lists them\n"
    )


def test_the_name_of_a_published_model_stands_for_a_file(folder, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(models, "load_model", lambda path: asked.append(path) or BrightSpot())
    monkeypatch.chdir(tmp_path)
    detect.main(["coco", "photos/", "--output", "found/"])
    assert asked == ["coco"]
    assert sorted(os.listdir("found")) == ["a.jpg", "b.png", "c.png"]


@pytest.mark.filterwarnings("default:the names of COCO")
def test_names_are_assumed_where_the_model_has_none(folder, model, capsys):
    model.info = ModelInfo("resnet50", 80, normalisation="tf_rgb")
    code, report = run(folder, str(folder), "--score-threshold", "0.3")
    assert code == 0
    names = [[found["name"] for found in entry["detections"]] for entry in report]
    assert names == [["bicycle", "person"]] * 3
    output = capsys.readouterr()
    assert output.err.count("warning: the names of COCO's 80 classes are assumed") == 1
    assert "bicycle" in output.out


def test_a_label_without_a_name_is_shown_by_its_number(folder, model, capsys):
    model.info = ModelInfo("resnet50", 2, ("dark", None), normalisation="tf_rgb")
    code, report = run(folder, str(folder))
    assert code == 0
    assert [entry["detections"][0]["name"] for entry in report] == [None] * 3
    assert "label 1" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_sides_given_win_over_those_of_training_with_a_warning(folder, model, capsys):
    code, report = run(folder, str(folder / "b.png"), "--image-min-side", "50")
    assert code == 0
    assert model.batches == [(1, 50, 60, 3)]
    np.testing.assert_allclose(report[0]["detections"][0]["box"], BOX, atol=2.0)
    assert (
        "warning: detecting with sides 50 and 300; the model was trained with sides 200 and 300"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-detections", "0"],
        ["--max-pixels", "-1"],
        ["--batch-size", "0"],
        ["--score-threshold", "1.5"],
        ["--image-min-side", "-3"],
        ["--tile", "0"],
        ["--overlap", "10"],
        ["--tile", "100", "--overlap", "100"],
        ["--address", "auto"],
        ["--engine", "ray", "--gpu", "0"],
        ["--engine", "ray", "--coco", "a.json"],
        ["--skip-existing"],
        ["--skip-existing", "--coco", "a.json", "--json", "b.json"],
        [],
    ],
)
def test_options_that_cannot_be_right(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.parse_args(["model.keras", *(["a.jpg"] if arguments else []), *arguments])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def files_of(report):
    return [os.path.basename(entry["file"]) for entry in report]


@pytest.mark.parametrize("stopped_at", ["b.png", "c.png"])
def test_a_run_goes_on_where_it_was_stopped(folder, model, tmp_path, monkeypatch, stopped_at):
    def stop(path, **options):
        if path.endswith(stopped_at):
            raise KeyboardInterrupt
        return read(path, **options)

    from keras_retinanet.detection import photos

    read = photos.as_image
    out = [str(folder), "--output", str(tmp_path / "out"), "--csv", str(tmp_path / "out.csv")]
    with monkeypatch.context() as patch:
        patch.setattr(photos, "as_image", stop)
        code, first = run(folder, *out)
    assert code == 130
    assert len(first) < 3
    model.batches.clear()
    code, report = run(folder, *out, "--skip-existing")
    assert code == 0
    assert files_of(report) == ["a.jpg", "b.png", "c.png"]
    assert len(model.batches) == 3 - len(first)
    assert len(os.listdir(tmp_path / "out")) == 3
    rows = [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert [os.path.basename(row) for row in rows] == ["a.jpg", "b.png", "c.png"]
    # An output that is new gets all images, the others are not written again.
    os.remove(tmp_path / "out.csv")
    model.batches.clear()
    assert run(folder, *out, "--skip-existing")[1] == report
    assert len(model.batches) == len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_a_run_that_is_done_loads_no_model(folder, model, tmp_path, monkeypatch, capsys):
    (folder / "d.png").write_bytes(b"")  # no image
    assert run(folder, str(folder))[0] == 1
    monkeypatch.setattr(models, "load_model", lambda path: pytest.fail("loaded"))
    (folder / "d.png").unlink()
    assert run(folder, str(folder), "--skip-existing")[0] == 0
    assert "skipped 3 images that are done" in capsys.readouterr().err


def test_one_bad_image_among_many_that_are_done_is_no_total_failure(folder, model, capsys):
    (folder / "d.png").write_bytes(b"")
    for _ in range(2):
        assert run(folder, str(folder), "--skip-existing")[0] == 1
        assert "error: 1 of 4 images had errors: " in capsys.readouterr().err


def test_a_camera_is_ended_by_hand_with_its_results(folder, model, tmp_path, monkeypatch, capsys):
    """A video stands for the camera; after three frames somebody presses Ctrl-C."""
    from keras_retinanet.detection import photos
    from keras_retinanet.detection.videos import VideoFile

    monkeypatch.chdir(tmp_path)
    with VideoFile("clip.mp4", 10, (120, 100)) as file:
        for _ in range(5):
            file.write(cv2.imread(str(folder / "b.png")))

    class Camera(photos.Video):
        def __init__(self, source, is_live):
            super().__init__("clip.mp4")
            self.is_live = is_live

        def frames(self):
            for number, image in enumerate(super().frames()):
                if number == 3:
                    raise KeyboardInterrupt
                yield image

    monkeypatch.setattr(photos, "Video", Camera)
    code, report = run(folder, "0", "--output", "out")
    assert "Found on 3 images" in " ".join(capsys.readouterr().out.split())
    assert [entry["frame"] for entry in report] == [0, 1, 2]
    assert photos.Video.__mro__[1]("out/camera-0.mp4").count == 3
    # Nothing of a camera is done: the frames of another day are added.
    code, report = run(folder, "0", "--skip-existing")
    assert [entry["frame"] for entry in report] == [0, 1, 2] * 2


def test_only_the_classes_asked_for(folder, model, capsys):
    every = ["--score-threshold", "0.3"]
    for classes, labels in (("dark", [0]), ("bright [x], dark", [1, 0])):
        code, report = run(folder, str(folder), *every, "--classes", classes)
        assert code == 0
        assert [[d["label"] for d in entry["detections"]] for entry in report] == [labels] * 3
    for classes in ("dim", "2", ""):  # the last is that of a shell variable without a value
        code, _ = run(folder, str(folder), "--classes", classes)
        assert code == 2
        assert f"got '{classes}'; it has dark, bright [x]" in capsys.readouterr().err


def test_coco_results_and_json_lines(folder, model, tmp_path):
    results, lines = tmp_path / "results.json", tmp_path / "found.jsonl"
    detect.main(
        [str(tmp_path / "model.keras"), str(folder), "--coco", str(results), "--json", str(lines)]
    )
    assert [entry["image_id"] for entry in json.loads(results.read_text())] == ["a", "b", "c"]
    entries = [json.loads(line) for line in lines.read_text().splitlines()]
    assert files_of(entries) == ["a.jpg", "b.png", "c.png"]


def test_a_video_becomes_a_video(folder, model, tmp_path):
    source = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(source, cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (120, 100))
    image = cv2.imread(str(folder / "b.png"))
    for _ in range(7):
        writer.write(image)
    writer.release()
    out = tmp_path / "out"
    code, report = run(folder, str(folder / "a.jpg"), source, "--output", str(out))
    assert code == 0
    assert [entry.get("frame") for entry in report] == [None, 0, 1, 2, 3, 4, 5, 6]
    assert [entry["time"] for entry in report[1:3]] == [0.0, 0.08]
    for entry in report:
        np.testing.assert_allclose(entry["detections"][0]["box"], BOX, atol=2)
    assert sorted(os.listdir(out)) == ["a.jpg", "clip.mp4"]
    copy = cv2.VideoCapture(str(out / "clip.mp4"))
    what = (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH)
    assert [copy.get(one) for one in what] == [12.5, 7, 120]
    copy.release()


@pytest.mark.filterwarnings("ignore:detecting with sides")
def test_large_images_are_cut_into_tiles(folder, model, tmp_path):
    image = np.full((400, 700, 3), 10, "uint8")
    boxes = [[50, 40, 110, 80], [300, 290, 360, 330], [600, 30, 660, 70]]
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 250
    cv2.imwrite(str(tmp_path / "large.png"), image)
    code, report = run(folder, str(tmp_path / "large.png"), "--tile", "200", "--overlap", "80")
    assert code == 0
    # It finds an empty box where it sees nothing.
    found = sorted(box for item in report[0]["detections"] if (box := item["box"])[2] > box[0])
    np.testing.assert_allclose(found, boxes, atol=1.5)


def write_snapshot(path, factor):
    """Write an untrained training snapshot, its last classification weights times a factor."""
    names = ("circle", "square", "star")
    keras.utils.set_random_seed(1)
    training = models.backbone("mobilenet_v2").retinanet(num_classes=3)
    details = ModelInfo(
        "mobilenet_v2",
        3,
        names,
        normalisation="tf_rgb",
        image_min_side=64,
        image_max_side=96,
    )
    models.set_info(training, details)
    last = training.get_layer("classification_submodel").get_layer("pyramid_classification")
    kernel, bias = last.get_weights()
    last.set_weights([factor * kernel, bias])
    models.save_model(training, path)
    return names


# Keras 3.15 turns variables into arrays the old way when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_training_snapshot_is_converted_on_the_fly(folder, tmp_path):
    names = write_snapshot(tmp_path / "model.keras", factor=100)
    code, report = run(folder, str(folder), "--score-threshold", "0.001")
    assert code == 0
    for entry in report:
        assert entry["detections"]
        assert {detection["name"] for detection in entry["detections"]} <= set(names)
        scores = {detection["score"] for detection in entry["detections"]}
        assert len(scores) > 10
        assert max(scores) < 0.05  # less than a converted model keeps unless asked


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_command_finds_what_a_call_does(folder, tmp_path):
    """The command lets oneDNN keep the weights, which a call in this process must not."""
    write_snapshot(tmp_path / "model.keras", factor=1e5)  # scores that differ from place to place
    _, expected = run(folder, str(folder), "--score-threshold", "0.001")
    assert "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS" not in os.environ
    report = tmp_path / "command.json"
    command = [sys.executable, "-m", "keras_retinanet.bin.detect", str(tmp_path / "model.keras")]
    command += [str(folder), "--score-threshold", "0.001", "--json", str(report)]
    subprocess.run(command, check=True, capture_output=True)
    for entry, there in zip(expected, json.loads(report.read_text()), strict=True):
        best, best_there = entry["detections"][:20], there["detections"][:20]
        assert len({detection["score"] for detection in best}) > 10
        for one, other in zip(best, best_there, strict=True):
            assert other["score"] == pytest.approx(one["score"], abs=1e-5)
            np.testing.assert_allclose(other["box"], one["box"], atol=1e-2)


def test_only_the_command_assumes_frozen_weights(folder, model, monkeypatch):
    calls = []
    monkeypatch.setattr(devices, "start_tensorflow", lambda **named: calls.append(named))
    monkeypatch.setattr(sys, "argv", ["x", str(folder.parent / "model.keras"), str(folder)])
    detect.main()
    detect.command()
    assert calls == [{"weights_are_frozen": False}, {"weights_are_frozen": True}]


def test_help_is_quick():
    def seconds():
        start = time.perf_counter()
        command = [sys.executable, "-m", "keras_retinanet.bin.detect", "--help"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "--score-threshold" in text
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.5  # importing TensorFlow alone takes longer
