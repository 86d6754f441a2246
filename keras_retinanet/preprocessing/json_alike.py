"""JSON objects that are written alike, read without decoding each: most lists of boxes are such."""

import json
import re
from collections.abc import Collection

import numpy as np

from keras_retinanet.preprocessing.decimals import read_decimals

_DECODER = json.JSONDecoder()
_NUMERALS = b"-.0123456789"
_NO_NUMERALS = bytes(set(range(256)) - set(_NUMERALS + b',"'))
_PUNCTUATION = b"{}[]:, \t\n\r"
_STRING = re.compile(rb'"[^"]*"')
# Most of the text of a COCO file. Their lengths differ, and boxes do not need them.
_POLYGONS = re.compile(r'"segmentation":\s*\[[^"{}]*\]')


def read_alike(text: str, keys: Collection[str]) -> dict[str, np.ndarray] | None:
    """Return the numbers of some keys in JSON objects, `{...}, {...}`.

    Polygons are passed over: nobody looks whether they are well-formed.

    Returns:
        For each of the keys that the objects have, float64 `(n,)`, or `(n, m)` where the values are
        lists of m numbers. None if an object differs from the first in more than digits and
        polygons, has other values than numbers and lists of numbers, or is malformed.
    """
    text = _POLYGONS.sub('"segmentation":0', text)
    try:
        first, end = _DECODER.raw_decode(text)
        lists = {key: value if isinstance(value, list) else [value] for key, value in first.items()}
        if not {type(number) for values in lists.values() for number in values} <= {int, float}:
            return None
        data = text.encode()
        _expect_alike(data, text[:end].encode())
        # Keys become pairs of quotes, but for those with a digit.
        numerals = data.translate(None, _NO_NUMERALS).replace(b'""', b"")
        rows = read_decimals(numerals).reshape(text.count("{"), sum(map(len, lists.values())))
    except (ValueError, AttributeError):
        return None
    columns, place = {}, 0
    for key, values in lists.items():
        if key in keys:
            column = rows[:, place : place + len(values)].copy()
            columns[key] = column if values is first[key] else column[:, 0]
        place += len(values)
    return columns


def _expect_alike(text, first):
    """Raise ValueError if objects differ from the first in more than digits, or have exponents."""
    form, one = (part.translate(None, _NUMERALS) for part in (text, first))
    count, comma = form.count(b"{"), form[len(one) : form.find(b"{", 1)]
    if (
        comma.join([one] * count) != form
        or (count > 1 and comma.strip(b" \t\n\r") != b",")
        or _STRING.sub(b"", one).translate(None, _PUNCTUATION)
    ):
        raise ValueError("not alike")
