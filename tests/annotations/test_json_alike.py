import json

import pytest

from keras_retinanet.annotations.json_alike import read_alike

ENTRIES = [
    {"id": 12, "box": [1, -2.5, 30.25], "area": 4.5, "name_id": 7},
    {"id": 3, "box": [0.125, 2, 3], "area": 10, "name_id": 81234},
    {"id": 4, "box": [1, 2.0, 3], "area": -1, "name_id": 0},
]


def text_of(entries, **options):
    return json.dumps(entries, **options).strip("[] \n")


def found(text, keys=("id", "box")):
    columns = read_alike(text, keys)
    return columns and {key: column.tolist() for key, column in columns.items()}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_columns_hold_what_the_objects_say(count, options):
    entries = ENTRIES[:count]
    assert found(text_of(entries, **options), ("id", "box", "absent")) == {
        "id": [entry["id"] for entry in entries],
        "box": [entry["box"] for entry in entries],
    }


@pytest.mark.parametrize("place", [0, 1, 4])
def test_polygons_differ(place):
    polygons = [[[1, 2.5, 3, 4]], [], [[1, 2], [3.5, 4, 5, 6]]]
    entries = []
    for entry, polygon in zip(ENTRIES, polygons, strict=True):
        items = list(entry.items())
        items.insert(place, ("segmentation", polygon))
        entries.append(dict(items))
    assert found(text_of(entries)) == found(text_of(ENTRIES))


def changed(**values):
    return text_of([ENTRIES[0], {**ENTRIES[1], **values}, ENTRIES[2]])


@pytest.mark.parametrize(
    "text",
    [
        changed(area=1e-7),
        changed(area=None),
        changed(area="4.5"),
        changed(area=float("nan")),
        changed(box=[1, 2]),
        changed(box=[1, 2, 3, 4]),
        changed(box=[[1], 2, 3]),
        changed(more=1),
        changed(segmentation={"counts": [1, 2], "size": [3, 4]}),
        text_of([{"id": "1", "area": 2}]),
        text_of([{"id": "a1", "area": 2}]),
        text_of([{"id": True}, {"id": True}]),
        text_of([{"id": 1e30}, {"id": 1e30}]),
        '{"id": 0e0}, {"id": 1e5}',
        '{"id": 1}, {"i5d": 1}',
        '{"id": 1}, {"id,": }',
        '{"id": 1}, {"id":2 3}',
        '{"id": [1, 2]}, {"id":3 [4, 5]}',
        '{"id": [1, 2]}, {"id":3 [, 5]}',
        '{"id": [1, 2]}, {"id": [3,4 5]}',
        '{"id1": NaN}',
        '{"id": 1}, {"id": }, {"id":2 3}',
        '{"id": 1}, {"1id": }',
        text_of([{"id1": 5, "id": 2}]),
        text_of([{"id-1": 5, "id": 2}]),
        text_of([{"id": {"id": 5}}]),
        text_of([ENTRIES[0], dict(reversed(ENTRIES[1].items()))]),
        text_of(ENTRIES).replace('"id": 3', '"di": 3'),
        text_of(ENTRIES).replace('"id": 3', '"id": '),
        text_of(ENTRIES).replace('"id": 3', '"id": -'),
        text_of(ENTRIES).replace('"id": 3', '"id": 3-4'),
        text_of(ENTRIES).replace('"id": 3', '"id": 3, "id": 4'),
        text_of(ENTRIES).replace('"id"', '"id": 1, "id"'),
        text_of(ENTRIES).replace("}, {", "} {"),
        text_of(ENTRIES).replace("}, {", "}\f, {"),
        text_of(ENTRIES) + ", 5",
        text_of(ENTRIES) + ", ",
        text_of(ENTRIES) + "]",
        text_of(ENTRIES)[:-1],
        "",
        "5",
        "{}",
    ],
)
def test_what_differs_is_left_to_others(text):
    assert not found(text)
