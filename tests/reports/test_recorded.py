"""What files of detections hold."""

import json
import os
import tracemalloc
from dataclasses import replace

import pytest

from keras_retinanet.reports import records
from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.reports.recorded import Recorded, recorded_csv, recorded_json

DOG = {"box": [1.235, 2, 30, 40], "score": 0.75, "label": 1, "name": "dog"}
FOUND = ImageDetections("a.png", 60, 50, [DOG, {**DOG, "name": None}])
NOTHING = ImageDetections("b.png", 60, 50, [])
FORMS = {
    "found.json": (records.json_file, recorded_json),
    "found.jsonl": (records.json_file, recorded_json),
    "found.csv": (records.csv_file, recorded_csv),
}


def write(path, *images, end=0):
    """Write what was found on images; return the text of the file."""
    file = FORMS[path.name][0](path, end)
    for found in images:
        file.add(found)
    file.close()
    return path.read_text()


def keys(*paths):
    return {(os.path.abspath(path), None) for path in paths}


@pytest.mark.parametrize("name", FORMS)
def test_a_run_goes_on_where_another_was_stopped(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, (_, recorded) = tmp_path / name, FORMS[name]
    assert recorded(path) == Recorded()
    whole = write(path, FOUND, NOTHING, FOUND)
    write(path)  # a new file
    for found in (FOUND, NOTHING, FOUND):  # each in a run of its own
        write(path, found, end=recorded(path).end)
    assert path.read_text() == whole
    assert recorded(path).keys == keys("a.png", "b.png")
    assert write(path) == ("[]\n" if name == "found.json" else "")
    assert recorded(path) == Recorded()


@pytest.mark.parametrize("name", ["found.json", "found.jsonl"])
def test_frames_of_videos_and_names_that_are_no_text(tmp_path, name):
    odd = os.fsdecode(b"caf\xe9.png")
    frame = replace(NOTHING, path="v.mp4", frame=12, seconds=0.48)
    write(tmp_path / name, frame, replace(FOUND, path=odd))
    expected = {(os.path.abspath("v.mp4"), 12), (os.path.abspath(odd), None)}
    assert recorded_json(tmp_path / name).keys == expected


@pytest.mark.parametrize("name", ["found.jsonl", "found.csv"])
def test_a_line_that_was_cut_off_is_written_again(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, (_, recorded) = tmp_path / name, FORMS[name]
    first = write(path, FOUND)
    whole = write(path, FOUND, NOTHING)
    for length in range(len(first) + 1, len(whole) - 1):
        path.write_text(whole[:length])
        assert recorded(path).keys == keys("a.png")
        assert write(path, NOTHING, end=recorded(path).end) == whole


@pytest.mark.parametrize("name", ["found.jsonl", "found.csv"])
def test_a_last_line_without_its_end_is_kept(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, (_, recorded) = tmp_path / name, FORMS[name]
    first, whole = write(path, NOTHING), write(path, NOTHING, FOUND)
    path.write_text(first.removesuffix("\n"))
    assert recorded(path).keys == keys("b.png")
    assert write(path, FOUND, end=recorded(path).end) == whole


def test_rows_of_other_programs(tmp_path):
    path = tmp_path / "found.csv"
    path.write_bytes(b'"a\nb, c.png",1,2,3,4,dog\r\n\r\n/d.png,,,,,\r\n\r\n')
    held = recorded_csv(path)
    assert held.keys == {(str(tmp_path / "a\nb, c.png"), None), ("/d.png", None)}
    assert path.read_bytes()[: held.end].endswith(b"/d.png,,,,,")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("found.json", text) for text in ("{", '{"a": 1}', "[1]", '[{"image_id": 1}]', "[] x")),
        ("found.json", '[\n {\n  "image_id": 1\n }\n]\n'),
        ("found.jsonl", "text"),
        ("found.jsonl", '{"file": "a.png"}\ntext\n'),
        ("found.jsonl", '{"image_id": 1}\n'),
        ("found.csv", "Dear diary"),
        ("found.csv", "a.png,1,2,3,4,dog\nDear diary,\n"),
        ("found.csv", "a.png,1,2,3,4,dog,0.5\n"),
        ("found.csv", "a.png,1,2,3,4,\n"),
        ("found.csv", 'a.png,1,2,3,4,dog\nb.png,1,2,3,4,"dog\nc.png,1,2,3,4,dog'),
    ],
)
def test_other_files_are_not_appended_to(tmp_path, name, text):
    path, (_, recorded) = tmp_path / name, FORMS[name]
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{name}: expected a file of detections to append to"):
        recorded(path)


def test_a_part_of_a_list_is_not_appended_to(tmp_path):
    path = tmp_path / "found.json"
    whole = write(path, NOTHING, FOUND)
    for length in range(1, len(whole) - 1):
        path.write_text(whole[:length])
        with pytest.raises(ValueError, match="or a part of one: move it away"):
            recorded_json(path)


@pytest.mark.parametrize("name", FORMS)
def test_few_entries_are_in_memory_at_once(tmp_path, name):
    path, (_, recorded) = tmp_path / name, FORMS[name]
    many = [replace(FOUND, path=f"/{i}.png", detections=[DOG] * 100) for i in range(100)]
    size = len(write(path, *many))
    tracemalloc.start()
    held = recorded(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(held.keys) == 100
    assert peak < size / 2
    # An entry that is longer than what is read at once.
    write(path, FOUND, replace(many[0], detections=[DOG] * 2000), NOTHING)
    assert len(recorded(path).keys) == 3
    assert write(path, NOTHING, end=recorded(path).end).count("b.png") == 2


def test_an_entry_may_look_like_several(tmp_path):
    path = tmp_path / "found.json"
    names = ["\n },\n", "\n }\n]", "]"]
    write(path, *(replace(FOUND, path=f"/{name}") for name in names))
    assert len(json.loads(path.read_text())) == 3
    assert recorded_json(path).keys == {(f"/{name}", None) for name in names}
