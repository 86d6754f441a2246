"""Decode the long lists in a JSON file part by part, so that few entries are in memory at once."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO

import msgspec

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_TEXT_BYTES
from keras_retinanet.system.types import StrPath


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"expected JSON, which has no {text}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # NaN and infinities
_SPACE = re.compile(r"[ \t\n\r]*")
# Where one object ends and the next begins. Inside an entry or a string it may look the same.
_BETWEEN = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\{")
_PART = 1 << 16  # characters to decode at once


def json_parts(
    path: StrPath, entry_types: Mapping[str, type[msgspec.Struct]]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the entries of some lists in a JSON file, in the order of the file.

    Args:
        path: a file with one JSON object, UTF-8, with or without a byte-order mark.
        entry_types: for each key whose list to read, the type of its entries. The values of other
            keys are skipped.

    Yields:
        A key and the next entries of its list.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is malformed, a key comes twice, or an entry is not of its type. The
            message does not give the place in the file.
    """
    # Translating line ends would hide one inside a string, which JSON does not allow.
    with open(path, encoding="utf-8-sig", newline="", opener=only_regular) as file:
        if os.fstat(file.fileno()).st_size > MAX_TEXT_BYTES:
            raise ValueError(f"expected a file of at most {MAX_TEXT_BYTES} bytes")
        text, keys = _Text(file), set()
        text.take("{")
        while True:
            key = text.value()
            text.take(":")
            if not isinstance(key, str) or key in keys:
                raise ValueError(f"expected each key once, got {key!r}")
            keys.add(key)
            if key in entry_types:
                for entries in text.entries(entry_types[key]):
                    yield key, entries
            else:
                text.value()
            if text.take(",}") == "}":
                break
        if not text.is_at_end():
            raise ValueError("expected the end of the file")


class ZeroByteError(ValueError):
    """A zero byte, as in the holes of a sparse file: reading on would take all memory."""


class _Text:
    """The text of a file from the current position on; the text before it is dropped."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._position = 0  # of the next character in `_text`

    def _read_more(self) -> bool:
        """Append the next part of the file; return False at its end."""
        rest = self._text[self._position :]
        # A long value is tried again after each part: doubling keeps the time linear.
        more = self._file.read(max(_PART, len(rest)))
        if "\0" in more:
            raise ZeroByteError("expected JSON, got a zero byte")
        self._text, self._position = rest + more, 0
        return bool(more)

    def is_at_end(self) -> bool:
        """Skip white space, and return whether nothing follows."""
        while True:
            space = _SPACE.match(self._text, self._position)
            self._position = space.end() if space else self._position
            if self._position < len(self._text):
                return False
            if not self._read_more():
                return True

    def take(self, characters: str) -> str:
        """Skip white space, and return the next character, which must be one of `characters`."""
        if self.is_at_end() or self._text[self._position] not in characters:
            raise ValueError(f"expected one of {characters}")
        self._position += 1
        return self._text[self._position - 1]

    def value(self) -> Any:
        """Skip white space, and return the next value, which must not end the file."""
        self.is_at_end()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except ValueError:
                end = len(self._text)
            if end < len(self._text):  # else the digits of a number may go on
                self._position = end
                return value
            if not self._read_more():
                raise ValueError("expected a value, and more after it")

    def entries(self, entry_type: type[msgspec.Struct]) -> Iterator[list[Any]]:
        """Skip white space and a list, and yield its entries part by part."""
        list_type = list[entry_type]  # type: ignore[valid-type]  # known at run time only
        decoder = msgspec.json.Decoder(list_type)
        self.take("[")
        size = _PART
        while True:
            between = self._next_between(size)
            end = between.start() + 1 if between else len(self._text)
            part = f"[{self._text[self._position : end]}"
            try:
                entries = decoder.decode(part + "]")
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                pass  # the list ends inside the part, or the part inside an entry
            else:
                self._position, size = end, _PART
                self.take(",")
                yield entries
                continue
            try:
                entries, length = _DECODER.raw_decode(part)  # stops where the list ends
            except ValueError:
                if not between:
                    raise
                size *= 2
            else:
                self._position += length - 1
                yield msgspec.convert(entries, list_type)
                return

    def _next_between(self, size: int) -> re.Match[str] | None:
        """Return the first gap between objects after `size` characters; None if there is none."""
        while True:
            found = _BETWEEN.search(self._text, self._position + size)
            if found or not self._read_more():
                return found
