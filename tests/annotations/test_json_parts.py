import json

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


def join(path, lists):
    found = {}
    for key, value in json_parts(path, lists):
        found[key] = found[key] + value if key in lists and key in found else value
    return found


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 10**6])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_parts_joined_are_what_json_reads(tmp_path, monkeypatch, size, indent, encoding):
    monkeypatch.setattr(parts_module, "_PART", size)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DATASET, indent=indent, ensure_ascii=False) + "\n", encoding)
    assert join(path, ("images", "annotations")) == DATASET


def test_a_list_comes_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(parts_module, "_PART", 300)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [{"id": 100 + i, "x": "y" * 30} for i in range(50)]}))
    sizes = [len(value) for key, value in json_parts(path, ("images",)) if key == "images"]
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
        list(json_parts(path, ("images",)))


@pytest.mark.parametrize("size", [1, 64, 300, 10**6])
def test_a_short_cut_takes_the_parts_that_it_can(tmp_path, monkeypatch, size):
    """The last part ends with the list, and so is always decoded."""
    monkeypatch.setattr(parts_module, "_PART", size)
    entries = [{"id": i, "x": "}, {" if i == 20 else i} for i in range(50)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": entries, "b": entries}))
    taken = []

    def short_cut(text):
        try:
            found = json.loads(f"[{text}]")
        except ValueError:  # it ends inside an entry, or behind the list
            return None
        taken.extend(found)
        return found

    found = {"a": [], "b": []}
    for key, part in json_parts(path, ("a", "b"), {"a": short_cut}):
        found[key] += part
    assert found == {"a": entries, "b": entries}
    assert [entry in taken for entry in (entries[0], entries[-1])] == [size < 1000, False]
