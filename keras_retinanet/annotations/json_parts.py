"""JSON files with long lists, read a part at a time, so that few entries are in memory at once."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
# Where one object ends and the next begins; inside an entry or a text it may look the same.
_BETWEEN = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\{")
# Characters to decode at once: the objects of a part fit into the processor's cache.
_PART = 1 << 16


def json_parts(
    path, lists: Collection[str], short_cuts: Mapping[str, Callable] | None = None
) -> Iterator[tuple[str, object]]:
    """Yield the keys and values of the object in a JSON file, as they come.

    Args:
        path: the file, UTF-8, with or without a byte-order mark.
        lists: keys whose values are lists of objects: these come in several parts, each a list.
        short_cuts: for some of them, a function of the text of a part, `{...}, {...}`, that returns
            what to yield in place of the list; None to have it decoded, which it has to be where
            the text ends inside an object or behind the list.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such file, or a key comes twice. It does not say where: `json.loads`
            does, of the whole.
    """
    # Ends of lines stay what they are: inside a text they are an error.
    with open(path, encoding="utf-8-sig", newline="") as file:
        text, keys = _Text(file), set()
        text.take("{")
        while True:
            key = text.value()
            text.take(":")
            if not isinstance(key, str) or key in keys:
                raise ValueError("expected a key, once")
            keys.add(key)
            if key in lists:
                for part in text.parts((short_cuts or {}).get(key)):
                    yield key, part
            else:
                yield key, text.value()
            if text.take(",}") == "}":
                break
        if not text.is_at_end():
            raise ValueError("expected the end")


class _Text:
    """The text of a file, of which only what lies ahead is in memory."""

    def __init__(self, file):
        self._file = file
        self._text = ""
        self._place = 0  # of the next character in `_text`

    def _read_on(self, count=_PART) -> bool:
        """Drop what has been read, and add more; return whether there was more."""
        more = self._file.read(count)
        self._text, self._place = self._text[self._place :] + more, 0
        return bool(more)

    def is_at_end(self) -> bool:
        """Pass over white space, and return whether nothing follows."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()
            if self._place < len(self._text):
                return False
            if not self._read_on():
                return True

    def take(self, characters) -> str:
        """Pass over white space and one of some characters, and return it."""
        if self.is_at_end() or self._text[self._place] not in characters:
            raise ValueError(f"expected one of {characters}")
        self._place += 1
        return self._text[self._place - 1]

    def value(self):
        """Pass over white space and a value, and return the value."""
        self.is_at_end()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
                complete = end < len(self._text)  # the digits of a number may go on
            except ValueError:
                complete = False
            if complete:
                self._place = end
                return value
            if not self._read_on(max(_PART, len(self._text))):
                raise ValueError("expected a value, and more after it")

    def parts(self, short_cut=None) -> Iterator:
        """Pass over a list, and yield its entries a part at a time."""
        self.take("[")
        more, size = True, _PART
        while more:
            between = self._between(size)
            if between and short_cut:
                part = short_cut(self._text[self._place : between.start() + 1])
                if part is not None:
                    self._place, size = between.end() - 1, _PART
                    yield part
                    continue
            end = between.start() + 1 if between else len(self._text)
            part = f"[{self._text[self._place : end]}]"
            try:
                # Where the list ends inside the part, decoding stops there.
                entries, stop = _DECODER.raw_decode(part)
            except ValueError:
                if not between:
                    raise
                size *= 2  # perhaps the cut is inside an entry
                continue
            more, size = stop == len(part), _PART
            if more and not between:
                raise ValueError("expected ] after a list")
            self._place = between.end() - 1 if more else self._place + stop - 1
            yield entries

    def _between(self, size):
        """Return where to cut off a part of at least a size; None if the file ends before."""
        while True:
            while len(self._text) - self._place < 2 * size and self._read_on(size):
                pass
            found = _BETWEEN.search(self._text, self._place + size)
            if found or len(self._text) - self._place < 2 * size:
                return found
            size *= 2
