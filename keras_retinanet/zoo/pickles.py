"""Pickles as data: an interpreter of what checkpoints need, which runs nothing.

A pickle is a program for a small machine with a stack. Python's own reader imports and calls
whatever the program names; this one has no way to. A name is a marker, a call is looked up in a
table of the caller, and whatever else is refused.
"""

import dataclasses
import pickletools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from keras_retinanet.system.limits import MAX_PICKLE_STEPS, MAX_PICKLE_TEXT_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.zoo.stored import describe

# From the full name of a function or class to what stands for it.
Handlers = Mapping[str, Callable[..., Any]]

# The encodings of arguments whose length is not fixed: bytes of the length that stands before them.
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_MAX_NAME = 500  # bytes of a module, and of a name in it
_MAX_ARGUMENTS = 16  # of a call
_STOP = ord(".")
_NOTHING = memoryview(b"")
_MAX_PROTOCOL = 5
# Upper bound of integers that are keys. Those beyond may be chosen to have all the same hash.
_MAX_KEY = 2**53
_LATIN1_LEAD = 0xC3  # no byte of Latin-1 text in UTF-8 is larger


@dataclasses.dataclass(frozen=True)
class Global:
    """What a pickle names, such as a class: not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Built:
    """Base of values that a handler returns and that get their state later, by BUILD."""

    def build(self, state: Any) -> None:
        """Take the state.

        Raises:
            ValueError: if it is no such state.
        """
        raise NotImplementedError


def load_pickle(
    data: memoryview,
    handlers: Handlers,
    load_persistent: Callable[[Any], Any] | None = None,
    start: int = 0,
) -> tuple[Any, int]:
    """Return what a pickle of protocols 2 to 5 describes, without running anything.

    Args:
        data: bytes with a pickle in them. Bytes in the result are views of these.
        handlers: full name of each function or class that may be called -> what is called instead.
            A call takes a few bytes, so each must be quick and return something small: values may
            be huge and shared. An ordered dictionary is to be a `dict`.
        load_persistent: returns the value of a persistent id; None if the pickle may have none.
        start: the place in `data` where the pickle begins.

    Returns:
        The value, and the place where the pickle ends. A name is a `Global`, bytes are
        `memoryview`, text of Python 2 is decoded as Latin-1.

    Raises:
        ValueError: if the pickle is damaged, has unusual parts, or calls something else.
    """
    machine = _Machine(data, start, handlers, load_persistent)
    try:
        return machine.run(), machine.place
    # What a damaged program does: takes from an empty stack, or calls with other arguments.
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError) as error:
        raise ValueError(
            f"expected a pickle, got a damaged one: byte {machine.place} makes no sense"
        ) from error


class _Machine:
    """The stack, the memo and the place of a pickle that is being read."""

    def __init__(
        self,
        data: memoryview,
        place: int,
        handlers: Handlers,
        load_persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.data = data
        self.place = place
        self.handlers = handlers
        self.load_persistent = load_persistent
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}
        self.text_bytes = 0

    def run(self) -> Any:
        for _ in range(MAX_PICKLE_STEPS):
            code = self.take(1)[0]
            if code == _STOP:
                return self.stack.pop()
            opcode = _OPCODES.get(code)
            action = _ACTIONS.get(opcode.name) if opcode else None
            if opcode is None or action is None:
                name = opcode.name if opcode else f"byte {code}"
                raise _refusal(f"with {name} at byte {self.place - 1}")
            action(self, self._argument(opcode) if opcode.arg else _NOTHING)
        raise ValueError(f"expected a pickle of at most {MAX_PICKLE_STEPS} steps")

    def take(self, count: int) -> memoryview:
        """Return the next bytes."""
        end = self.place + count
        if end > len(self.data):
            raise ValueError(
                f"expected {end} bytes or more, got {len(self.data)}: the file is truncated or "
                "damaged"
            )
        start, self.place = self.place, end
        return self.data[start:end]

    def _argument(self, opcode: pickletools.OpcodeInfo) -> memoryview:
        size = opcode.arg.n if opcode.arg else 0
        if size == pickletools.UP_TO_NEWLINE:  # see `line`
            return _NOTHING
        if size in _LENGTH_BYTES:
            size = int.from_bytes(self.take(_LENGTH_BYTES[size]), "little")
        return self.take(size)

    def line(self) -> str:
        """Return the text up to the end of a line."""
        found = bytes(self.data[self.place : self.place + _MAX_NAME])
        length = found.find(b"\n")
        if length < 0:
            raise ValueError(f"expected a name at byte {self.place}")
        self.place += length + 1
        return found[:length].decode()

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """Return what is above the last mark, and take it and the mark away."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop(self, count: int) -> list[Any]:
        """Return and take away the upper values of the stack."""
        if len(self.stack) < count:
            raise IndexError(count)
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def push_text(self, data: memoryview) -> None:
        """Put UTF-8 text on the stack; some of it may take four bytes for each in the file."""
        self.text_bytes += len(data)
        if self.text_bytes > MAX_PICKLE_TEXT_BYTES and (
            np.frombuffer(data, "uint8").max(initial=0) > _LATIN1_LEAD
        ):
            raise ValueError(f"expected at most {MAX_PICKLE_TEXT_BYTES} bytes of text")
        self.stack.append(str(data, "utf-8"))

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def push_tuple(self, items: Sequence[Any]) -> None:
        self.stack.append(tuple(items))

    def call(self) -> None:
        function, arguments = self.pop(2)
        handler = self.handlers.get(str(function)) if isinstance(function, Global) else None
        if handler is None:
            raise _refusal(f"that calls {_name(function)}")
        # A few bytes may repeat a call whose arguments are very many.
        if not isinstance(arguments, tuple) or len(arguments) > _MAX_ARGUMENTS:
            raise TypeError
        self.stack.append(handler(*arguments))

    def build(self) -> None:
        value, state = self.stack[-2], self.stack.pop()
        if isinstance(value, Built):
            value.build(state)
        # The attributes of an ordered dictionary: torch's `_metadata`, versions of modules.
        elif not isinstance(value, dict) or not isinstance(state, dict):
            raise _refusal(f"that sets the state of {_name(value)}")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def append(self, items: list[Any]) -> None:
        self.stack[-1].extend(items)  # nothing but a list has this

    def stack_global(self) -> None:
        module, name = self.pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError
        self.stack.append(Global(module, name))

    def load(self) -> None:
        if self.load_persistent is None:
            raise ValueError("expected a pickle by itself, got one that refers to other data")
        self.stack.append(self.load_persistent(self.stack.pop()))

    def check_protocol(self, data: memoryview) -> None:
        if not 2 <= data[0] <= _MAX_PROTOCOL:
            raise ValueError(f"expected a pickle of protocol 2 to {_MAX_PROTOCOL}, got {data[0]}")


def checked_key(key: Any) -> str | int | float | None:
    """Return the key of a dictionary.

    Raises:
        ValueError: if it is no plain value: one whose hash takes long, or that others share.
    """
    is_integer = isinstance(key, int) and abs(key) < _MAX_KEY
    if key is None or is_integer or isinstance(key, str | float):
        return key
    raise ValueError(f"expected a text or number as the key of a dictionary, got {describe(key)}")


def _refusal(what: str) -> ValueError:
    return ValueError(
        f"expected a pickle of tensors and plain values, got one {what}: refused, nothing was run. "
        "Whoever trusts it can save its state dict alone, in a new file"
    )


def _name(value: Any) -> str:
    """Return the name of what is called or changed, printable and short."""
    if not isinstance(value, Global):
        return describe(value)
    return shorten(ascii(f"{value.module[:_MAX_NAME]}.{value.name[:_MAX_NAME]}")[1:-1], 80)


def _unsigned(data: memoryview) -> int:
    return int.from_bytes(data, "little")


def _signed(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


def _old_text(data: memoryview) -> str:
    return str(data, "latin-1")


def _same(data: memoryview) -> memoryview:
    return data


_Action: TypeAlias = Callable[[_Machine, memoryview], None]


def _push(convert: Callable[[memoryview], Any]) -> _Action:
    """Return an action that puts a value made of its argument on the stack."""
    return lambda machine, data: machine.stack.append(convert(data))


_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
# Protocol 0 is not among them, whose numbers are text, nor what makes objects in other ways.
_ACTIONS: dict[str, _Action] = {
    "PROTO": lambda machine, data: machine.check_protocol(data),
    "FRAME": lambda machine, data: None,  # says how much to read at once
    "NONE": _push(lambda data: None),
    "NEWTRUE": _push(lambda data: True),
    "NEWFALSE": _push(lambda data: False),
    "BININT": _push(_signed),
    "BININT1": _push(_unsigned),
    "BININT2": _push(_unsigned),
    "LONG1": _push(_signed),
    "BINFLOAT": _push(lambda data: struct.unpack(">d", data)[0]),
    "BINUNICODE": lambda machine, data: machine.push_text(data),
    "SHORT_BINUNICODE": lambda machine, data: machine.push_text(data),
    "BINUNICODE8": lambda machine, data: machine.push_text(data),
    "BINSTRING": _push(_old_text),
    "SHORT_BINSTRING": _push(_old_text),
    "BINBYTES": _push(_same),
    "SHORT_BINBYTES": _push(_same),
    "BINBYTES8": _push(_same),
    "BYTEARRAY8": _push(_same),
    "MARK": lambda machine, data: machine.mark(),
    "EMPTY_TUPLE": _push(lambda data: ()),
    "TUPLE1": lambda machine, data: machine.push_tuple(machine.pop(1)),
    "TUPLE2": lambda machine, data: machine.push_tuple(machine.pop(2)),
    "TUPLE3": lambda machine, data: machine.push_tuple(machine.pop(3)),
    "TUPLE": lambda machine, data: machine.push_tuple(machine.items()),
    "EMPTY_LIST": _push(lambda data: []),
    "APPEND": lambda machine, data: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, data: machine.append(machine.items()),
    "EMPTY_DICT": _push(lambda data: {}),
    "SETITEM": lambda machine, data: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, data: machine.set_items(machine.items()),
    "BINGET": lambda machine, data: machine.recall(_unsigned(data)),
    "LONG_BINGET": lambda machine, data: machine.recall(_unsigned(data)),
    "BINPUT": lambda machine, data: machine.remember(_unsigned(data)),
    "LONG_BINPUT": lambda machine, data: machine.remember(_unsigned(data)),
    "MEMOIZE": lambda machine, data: machine.remember(len(machine.memo)),
    "GLOBAL": lambda machine, data: machine.stack.append(Global(machine.line(), machine.line())),
    "STACK_GLOBAL": lambda machine, data: machine.stack_global(),
    "REDUCE": lambda machine, data: machine.call(),
    "NEWOBJ": lambda machine, data: machine.call(),
    "BUILD": lambda machine, data: machine.build(),
    "BINPERSID": lambda machine, data: machine.load(),
}
