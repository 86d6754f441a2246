"""JSON objects that are written alike, read without decoding each: most lists of boxes are such."""

import json
import math
import re
from collections.abc import Collection
from itertools import chain

import numpy as np

from keras_retinanet.annotations.decimals import read_decimals

_DECODER = json.JSONDecoder()
_NUMERALS = b"-.0123456789"
_IS_NUMERAL = bytes(byte in _NUMERALS for byte in range(256))
_NO_NUMERALS = bytes(set(range(256)) - set(_NUMERALS + b","))
# Most of the text of a COCO file. Their lengths differ, and boxes do not need them.
_POLYGONS = re.compile(r'"segmentation":\s*\[[^"{}]*\]')


def read_alike(text: str, keys: Collection[str]) -> dict[str, np.ndarray] | None:
    """Return the numbers of some keys in JSON objects, `{...}, {...}`.

    Polygons are passed over: nobody looks whether they are well-formed. Zeros before a number,
    which JSON does not allow, are no error.

    Returns:
        For each of the keys that the objects have, float64 `(n,)`, or `(n, m)` where the values are
        lists of m numbers. None if an object differs from the first in more than digits and
        polygons, has other values than numbers and lists of numbers, or is malformed.
    """
    text = _POLYGONS.sub('"segmentation":0', text)
    try:
        first, end = _DECODER.raw_decode(text)
        lists = {key: value if isinstance(value, list) else [value] for key, value in first.items()}
        if not all(map(_is_number, chain.from_iterable(lists.values()))):
            return None
        data, width = text.encode(), sum(map(len, lists.values()))
        _expect_alike(data, text[:end].encode(), width)
        rows = read_decimals(data.translate(None, _NO_NUMERALS)).reshape(-1, width)
    except (ValueError, AttributeError):
        return None
    columns, place = {}, 0
    for key, values in lists.items():
        if key in keys:
            column = rows[:, place : place + len(values)].copy()
            columns[key] = column if values is first[key] else column[:, 0]
        place += len(values)
    return columns


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)


def _expect_alike(text, first, width):
    """Raise ValueError if objects differ from the first, of so many numbers, in more than those."""
    (form, places), (one, places_in_one) = _without_numbers(text), _without_numbers(first)
    count, comma = form.count(b"{"), form[len(one) : form.find(b"{", 1)]
    expected = np.arange(count)[:, None] * len(one + comma) + places_in_one
    if (
        comma.join([one] * count) != form
        or (count > 1 and comma.strip(b" \t\n\r") != b",")
        or len(places_in_one) != width  # an exponent, or a digit in a key
        or not np.array_equal(places, expected.ravel())
    ):
        raise ValueError("not alike")


def _without_numbers(text):
    """Return what is left of text without the characters of numbers, and where they stood in it."""
    is_numeral = np.frombuffer(text.translate(_IS_NUMERAL), bool)
    edges = np.flatnonzero(is_numeral[1:] != is_numeral[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    return text.translate(None, _NUMERALS), ends - np.cumsum(ends - starts)
