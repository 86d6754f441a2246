import collections
import fractions
import os
import pickle
import pickletools
import struct
import time
import tracemalloc

import numpy as np
import pytest

from keras_retinanet.system import limits
from keras_retinanet.zoo import pickles
from keras_retinanet.zoo.pickles import Built, Global, load_pickle
from tests.checkpoints import Call, Name, Raw, Reference, pickled

PLAIN = {
    "none": None,
    "flags": [True, False],
    "integers": [0, 1, 255, 256, 65_535, 65_536, -1, -(2**31), 2**31, 2**40, -(2**63), 2**80],
    "floats": [0.0, -1.5, 1e300, float("inf")],
    "text": ["", "a", "ä€😀", "x" * 300, "y" * 70_000],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "nested": {"a": {"b": [{"c": ()}]}, 1: 2, None: 3, 0.5: 4},
}
SHARED = ["x"]


def load(code, handlers=None, load_persistent=None):
    return load_pickle(memoryview(code), handlers or {}, load_persistent)[0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_those_of_python(protocol):
    assert load(pickle.dumps(PLAIN, protocol)) == PLAIN
    assert load(pickletools.optimize(pickle.dumps(PLAIN, protocol))) == PLAIN


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_many_values_are_those_of_python(protocol):
    rng = np.random.default_rng(0)
    values = {str(key): [int(key), float(key)] for key in rng.integers(-(2**40), 2**40, 1000)}
    assert load(pickle.dumps(values, protocol)) == values


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_are_views(protocol):
    code = pickle.dumps([b"", b"ab", b"c" * 300, bytearray(b"d" * 70_000)], protocol)
    handlers = {"builtins.bytearray": lambda data: data}  # protocols 3 and 4 call it
    found = load(code, handlers)
    assert [bytes(each) for each in found] == [b"", b"ab", b"c" * 300, b"d" * 70_000]
    assert all(isinstance(each, memoryview) and each.obj is code for each in found)


def test_text_of_python_2_is_latin1():
    assert load(b"\x80\x02(U\x02a\xe4T\x03\0\0\0b\xff\0t.") == ("aä", "bÿ\0")


def test_a_value_that_occurs_twice_is_the_same():
    one, other = load(pickle.dumps([SHARED, SHARED]))
    assert one is other


def test_a_list_may_hold_itself():
    value = []
    value.append(value)
    found = load(pickle.dumps(value))
    assert found[0] is found


def test_a_pickle_ends_where_its_end_is():
    code = b"ab" + pickle.dumps(1) + pickle.dumps("x") + b"rest"
    one, place = load_pickle(memoryview(code), {}, start=2)
    other, place = load_pickle(memoryview(code), {}, start=place)
    assert (one, other, code[place:]) == (1, "x", b"rest")


@pytest.mark.parametrize("protocol", [2, 4])
def test_names_are_markers(protocol):
    found = load(pickle.dumps([collections.OrderedDict, fractions.Fraction], protocol))
    assert found == [Global("collections", "OrderedDict"), Global("fractions", "Fraction")]
    assert str(found[0]) == "collections.OrderedDict"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_handlers_are_called_in_the_place_of_functions(protocol):
    code = pickle.dumps({"third": fractions.Fraction(1, 3)}, protocol)
    assert load(code, {"fractions.Fraction": lambda *parts: parts}) in (
        {"third": ("1/3",)},
        {"third": (1, 3)},
    )


def test_an_ordered_dictionary_may_have_attributes():
    value = collections.OrderedDict(a=1)
    value._metadata = {"": {"version": 2}}
    assert load(pickle.dumps(value), {"collections.OrderedDict": dict}) == {"a": 1}
    assert load(pickled(value), {"collections.OrderedDict": dict}) == {"a": 1}


def test_a_built_value_gets_its_state():
    class Kept(Built):
        def build(self, state):
            self.state = state

    code = pickled([Call(Name("a", "b"), (), ("state", 1))])
    assert load(code, {"a.b": Kept})[0].state == ("state", 1)


def test_persistent_ids_are_looked_up():
    code = pickled([Reference(("storage", 1)), Reference(("storage", 2))])
    assert load(code, {}, lambda identity: identity[1] * 10) == [10, 20]
    with pytest.raises(ValueError, match="refers to other data"):
        load(code)


# What would happen if Python read it: see `test_python_itself_would_run_them`.


class Calls:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def attacks(mark):
    """Return pickles that make a file when Python reads them, with what they call."""
    order = f"open({str(mark)!r}, 'w').close()"
    getattr_chain = Call(
        Call(
            Name("builtins", "getattr"),
            (Call(Name("builtins", "__import__"), ("os",)), "system"),
        ),
        (f"touch {mark}",),
    )
    return {
        "os.system": (pickled(Call(Name("os", "system"), (f"touch {mark}",))), "os.system"),
        "posix": (pickled(Call(Name("posix", "system"), (f"touch {mark}",))), "posix.system"),
        "eval": (pickled(Call(Name("builtins", "eval"), (order,))), "builtins.eval"),
        "protocol 4": (pickle.dumps(Calls(eval, order), 4), "builtins.eval"),
        "protocol 5": (pickle.dumps(Calls(os.mkdir, str(mark)), 5), "posix.mkdir"),
        "getattr": (pickled(getattr_chain), "builtins.__import__"),
        "in a list": (pickled([1, Call(Name("builtins", "exec"), (order,))]), "builtins.exec"),
        "as a new object": (
            pickled(Raw(b"csubprocess\nPopen\n(" + pickled(["touch", str(mark)])[2:-1] + b"t\x81")),
            "subprocess.Popen",
        ),
        "the old way": (pickled(Raw(b"(" + pickled(order)[2:-1] + b"ibuiltins\neval\n")), "INST"),
        "the old way, on the stack": (
            pickled(Raw(b"(cbuiltins\neval\n" + pickled(order)[2:-1] + b"o")),
            "OBJ",
        ),
        "by its state": (
            pickled(Call(Name("types", "SimpleNamespace"), (), {"a": 1})),
            "types.SimpleNamespace",
        ),
        "state of a name": (
            pickled(Raw(b"cos\nsystem\n" + pickled({"a": 1})[2:-1] + b"b")),
            "sets the state of os.system",
        ),
        "extension": (pickled(Raw(b"\x82\x01")), "EXT1"),
        "buffer": (pickled(Raw(b"\x97")), "NEXT_BUFFER"),
        "protocol 0": (pickle.dumps(PLAIN, 0), "MARK|PUT|protocol|byte|UNICODE"),
    }


ATTACKS = tuple(attacks("mark"))


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_run(tmp_path, name):
    mark = tmp_path / "mark"
    code, called = attacks(mark)[name]
    handlers = {"collections.OrderedDict": dict}
    with pytest.raises(ValueError, match=f"({called}).*refused, nothing was run"):
        load(code, handlers)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix", "eval", "protocol 4", "protocol 5", "getattr", "in a list"]
    + ["the old way", "the old way, on the stack"],
)
def test_python_itself_would_run_them(tmp_path, name):
    mark = tmp_path / "mark"
    pickle.loads(attacks(mark)[name][0])
    assert mark.exists()


def test_the_result_of_a_call_cannot_be_called():
    code = pickled(Call(Call(Name("a", "b"), ()), ()))
    with pytest.raises(ValueError, match="calls a value of type builtin_function"):
        load(code, {"a.b": lambda: len})


def test_what_is_called_is_shown_printable_and_short():
    code = pickled(Raw(b"c\x1b[31m" + b"x" * 400 + b"\nname\n)R"))
    with pytest.raises(ValueError, match=r"calls \\x1b\[31mxx") as caught:
        load(code)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def _u4(number):
    return struct.pack("<I", number)


HUGE = 2**60
DAMAGED = {
    "empty": b"",
    "only a protocol": b"\x80\x02",
    "protocol 6": b"\x80\x06N.",
    "protocol 1": b"\x80\x01N.",
    "nothing to return": b"\x80\x02.",
    "unknown opcode": b"\x80\x02\xff.",
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b"abc.",
    "more bytes than a number can count": b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b"abc.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", HUGE) + b"abc.",
    "short text": b"\x80\x02X" + _u4(2**32 - 1) + b"abc.",
    "text of Python 2": b"\x80\x02T" + _u4(2**32 - 1) + b"abc.",
    "negative length": b"\x80\x02T" + struct.pack("<i", -5) + b"abc.",
    "integer": b"\x80\x02\x8a\xffabc.",
    "long integer": b"\x80\x02\x8b" + _u4(2**31 - 1) + b"abc.",
    "integer as text": b"\x80\x02L" + b"9" * 2_000_000 + b"L\n.",
    "short integer as text": b"\x80\x02I" + b"9" * 2_000_000 + b"\n.",
    "get as text": b"\x80\x02g" + b"9" * 2_000_000 + b"\n.",
    "no UTF-8": b"\x80\x02X\x02\0\0\0\xff\xff.",
    "surrogate": b"\x80\x02X\x03\0\0\0\xed\xa0\x80.",
    "name without an end": b"\x80\x02c" + b"x" * 10_000_000,
    "name that is no text": b"\x80\x02c\xff\n\xff\n.",
    "name from numbers": b"\x80\x04K\x01K\x02\x93.",
    "memo without a value": b"\x80\x02q\0.",
    "unknown memo": b"\x80\x02j" + _u4(2**32 - 1) + b".",
    "tuple of nothing": b"\x80\x02\x87.",
    "tuple across a mark": b"\x80\x02K\x01(\x85.",
    "no mark": b"\x80\x02K\x01t.",
    "items of a number": b"\x80\x02K\x01(K\x01e.",
    "items of a tuple": b"\x80\x02)(K\x01e.",
    "keys of a list": b"\x80\x02](K\x01e(K\0K\x02u.",
    "a key without a value": b"\x80\x02}(K\x01u.",
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a tuple as a key": b"\x80\x02})K\x01s.",
    "bytes as a key": b"\x80\x03}C\x01aK\x01s.",
    "a huge number as a key": b"\x80\x02}\x8a\x09" + b"\xff" * 8 + b"\0K\x01s.",
    "arguments that are no tuple": b"\x80\x02ca\nb\n]R.",
    "too many arguments": b"\x80\x02cany\narguments\n(" + b"N" * 17 + b"tR.",
    "wrong arguments": b"\x80\x02ca\nb\nN\x85R.",
    "a call of nothing": b"\x80\x02)R.",
    "state of nothing": b"\x80\x02Nb.",
    "state of a list": b"\x80\x02]}b.",
    "a persistent id": b"\x80\x02K\x01Q.",
    "a persistent id as text": b"\x80\x02P1\n.",
    "deep lists": b"\x80\x02" + b"]" * 10_000 + b"a" * 10_000 + b".",
    "deep tuples without an end": b"\x80\x02)" + b"\x85" * 30_000,
    "deep marks": b"\x80\x02" + b"(" * 30_000 + b".",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_refused_at_once(name):
    tracemalloc.start()
    try:
        start = time.process_time()
        with pytest.raises(ValueError, match="^expected ") as caught:
            load(DAMAGED[name], {"a.b": dict, "any.arguments": lambda *_: None})
        spent, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
    assert peak < 100e6 and spent < 5


def test_an_end_is_said_to_be_one():
    code = pickle.dumps({"a": ["b" * 300, 1.5, 70_000]}, 4)
    for length in range(len(code)):
        with pytest.raises(ValueError, match=rf"or more, got {length}: the file is truncated"):
            load(code[:length])


ACCEPTED = {
    "a huge place in the memo": (b"\x80\x02Nr" + _u4(2**32 - 1) + b"j" + _u4(2**32 - 1) + b".", 0),
    "a frame of 2^60": (b"\x80\x04\x95" + struct.pack("<Q", HUGE) + b"N.", 0),
    "deep lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", 1),
    "deep tuples": (b"\x80\x02)" + b"\x85" * 30_000 + b".", 1),
    # Each of 10,000 tuples holds the previous one three times: 3^10,000 values.
    "a billion laughs": (b"\x80\x02)" + b"q\0h\0h\0\x87" * 10_000 + b".", 3),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_looks_large_takes_little(name):
    code, length = ACCEPTED[name]
    tracemalloc.start()
    try:
        found = load(code)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is None if length == 0 else len(found) == length
    assert peak < 100e6


def test_text_beyond_latin1_is_bounded(monkeypatch):
    monkeypatch.setattr(pickles, "MAX_PICKLE_TEXT_BYTES", 20)
    assert load(pickled(["ä" * 1000, "ÿ"])) == ["ä" * 1000, "ÿ"]
    assert load(pickled(["x", "€"])) == ["x", "€"]
    with pytest.raises(ValueError, match="at most 20 bytes of text"):
        load(pickled(["x" * 20, "€"]))


def test_the_number_of_steps_is_bounded(monkeypatch):
    code = b"\x80\x02(" + b"N" * 96 + b"t."
    monkeypatch.setattr(pickles, "MAX_PICKLE_STEPS", 100)
    assert load(code) == (None,) * 96
    monkeypatch.setattr(pickles, "MAX_PICKLE_STEPS", 99)
    with pytest.raises(ValueError, match="at most 99 steps"):
        load(code)
    assert limits.MAX_PICKLE_STEPS >= 500_000
