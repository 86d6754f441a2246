import json

import msgspec
import pytest

from keras_retinanet.annotations import json_parts as parts_module
from keras_retinanet.annotations.json_parts import json_parts

# Looks like the end of an entry, but is none.
TRICKY = {"text": '}, {"x": [', "deep": [{"a": {}}, {"b": [{}, {}]}], "é": -1.5e3}
DATASET = {
    "info": {"images": [1, 2]},
    "images": [{"id": i, **TRICKY} for i in range(50)],
    "empty": [],
    "number": 123456,
    "annotations": [],
    "last": [{"id": 1}, {"id": 2}],
}


class Entry(msgspec.Struct):
    """The entries of the lists above: what is not named here is skipped."""

    id: int
    text: str = ""


TYPES = {"images": Entry, "annotations": Entry, "last": Entry}


def join(path, types):
    found = {}
    for key, entries in json_parts(path, types):
        found[key] = found.get(key, []) + entries
    return found


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 10**6])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_parts_joined_are_what_the_file_says(tmp_path, monkeypatch, size, indent, encoding):
    monkeypatch.setattr(parts_module, "_PART", size)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DATASET, indent=indent, ensure_ascii=False) + "\n", encoding)
    found = join(path, TYPES)
    assert found["images"] == [Entry(i, TRICKY["text"]) for i in range(50)]
    assert found["annotations"] == []
    assert found["last"] == [Entry(1), Entry(2)]


def test_a_list_comes_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(parts_module, "_PART", 300)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [{"id": 100 + i, "x": "y" * 30} for i in range(50)]}))
    sizes = [len(entries) for _, entries in json_parts(path, {"images": Entry})]
    assert sum(sizes) == 50
    assert max(sizes) <= 300 // 50 + 2


@pytest.mark.parametrize("size", [1, 10, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"images": [{"id": 1}',
        '{"images": [{"id": 1}]',
        '{"images": [{"id": 1}, ]}',
        '{"images": [{"id": 1} {"id": 2}]}',
        '{"images": {"id": 1}}',
        '{"images": [], "images": []}',
        '{"images": []} x',
        '{"other": 1',
        "{1: 2}",
        '{"a": "line\nend"}',
    ],
)
def test_what_is_malformed_is_refused(tmp_path, monkeypatch, size, text):
    monkeypatch.setattr(parts_module, "_PART", size)
    path = tmp_path / "a.json"
    path.write_text(text)
    # Python 3.13 has words of its own for the comma.
    words = r"xpect|Illegal trailing comma" if ", ]" in text else r"xpect|control|delimiter|Extra"
    with pytest.raises(ValueError, match=words):
        list(json_parts(path, {"images": Entry}))


@pytest.mark.parametrize("size", [1, 64, 300, 10**6])
@pytest.mark.parametrize("wrong", ["x", 1.5, None])
def test_an_entry_of_another_type_is_refused(tmp_path, monkeypatch, size, wrong):
    monkeypatch.setattr(parts_module, "_PART", size)
    path = tmp_path / "a.json"
    for index in (0, 20, 49):
        entries = [{"id": i} for i in range(50)]
        entries[index]["id"] = wrong
        path.write_text(json.dumps({"images": entries}))
        with pytest.raises(ValueError, match="Expected `int`"):
            list(json_parts(path, {"images": Entry}))
