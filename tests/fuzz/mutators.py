"""Ways to damage the content of a file: functions of a random generator and bytes."""

import io
import json
import re
import zipfile
import zlib

import h5py
import numpy as np
import yaml

MAX_BYTES = 1 << 23  # of a damaged file
MAX_BYTES_TO_SEARCH = 2**16
RARELY = 0.02  # the chance of what takes long to read

DIGITS = "9" * 5000
_NUMBERS = """-1 0 1 2 -0.0 1e999 -1e999 1e-320 nan NaN Infinity 0.1.2 0x10 1_0 true 1e5 65536
    2147483648 9223372036854775808 18446744073709551616 99999999999 \u0661 \uff11"""
NUMBERS = [*_NUMBERS.split(), "", " 1", "1" + "0" * 400, DIGITS]
_WORDS = rb""" " ' , ,, ; \ %(x)s [ ] { } : # < & <!-- ]]> ../ / ~ * - ... \ud800"""
WORDS = [*_WORDS.split(), b"? ", b"| ", b"---\n", b"\r", b"\n", b"\t", b"x" * 100_000]
WORDS += [b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x85", b"\x1a"]
WORDS += [each.encode() for each in ("\u2028", "\u0130", "\U0001f600")]
LINE_ENDS = ("\r", "\r\n", "\n\r", "\u2028", "\x85", "\v", "\0")
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037")
VALUES = json.loads(
    """[null, true, false, 0, 1, -1, 2, 0.5, -0.0, 1e300, Infinity, NaN, 2147483648, 99999999999,
    9223372036854775808, -9223372036854775808, "", " ", "0", "nan", "\\ud800", "\\u0000", "../x",
    [], [[]], [null], [0, 0, 0, 0], [Infinity], ["a", 1], [[[[1]]]], {}, {"": 0}, {"id": 1},
    {"a": {"b": []}}, {"0": 1}, {"class_name": "x", "config": {}},
    {"module": "os", "class_name": "system", "config": {}, "registered_name": null}]"""
)
VALUES += [10**400, "x" * 100_000, [1] * 100_000]
YAML = """!!bool x|!!int x|!!float x|!!null x|!!timestamp x|!!binary x|!!set|!!omap|!!pairs|!!seq x
    |!!map x|!!str|!!python/object:os.system|!x|&a|*a|<<: *a|&a [*a]|&a {a: *a}|{<<: 1}|{<<: [1]}
    |{<<: &a {<<: *a}}|=x|? [a]|{[a]: 1}|{{a: b}: 1}|2024-02-31|0b2|1:99|08|!!int 0x|.inf"""
ALIASES = b"a0: &a0 [1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b"*a%d, " % (i - 1) * 10) for i in range(1, 9)
)
ENTITIES = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]>' % b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(8)
)
XML_INSIDE = (
    b"&#0; &#xD800; &#99999999999; &x; &lt; &#48; <![CDATA[1]]> <?a?> <a/> <b>1</b>".split()
)
XML_BEFORE = [
    *(
        b"<?xml version='1.0' encoding='%s'?>" % name
        for name in b"klingon utf-16 utf-7 latin-1 hex idna rot13".split()
    ),
    *(b'<!DOCTYPE a [<!ENTITY b SYSTEM "%s">]>' % path for path in (b"/dev/zero", b"/etc/passwd")),
    *(ENTITIES, b"<?xml version='1.1'?>", b" "),
]
NPY_HEADERS = b"""{'descr': '|O', 'fortran_order': False, 'shape': (3,), }
    {'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }
    {'descr': '<f8', 'fortran_order': True, 'shape': (-1,), }
    {'descr': '|S0', 'fortran_order': True, 'shape': (999999999,), }
    {'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 0), }
    {'descr': '<U0', 'fortran_order': 1, 'shape': [], }
    {'descr': ((((((((((((((((((((((((((((((}""".split(b"\n    ")
ARRAYS = [np.zeros(0), np.zeros((3, 0)), np.array(1), np.array("x"), np.array(["\ud800"])]
ARRAYS += [np.array([b"\xff"]), np.full(9, np.nan), np.full((4, 2), 2**62), np.full((4, 2), -5)]
ARRAYS += [np.zeros((4, 2), kind) for kind in ("?", "c16", "M8[ns]", "i4,f8")]
ARRAYS += [np.full((4, 2), 1e300), np.arange(4), np.zeros((1, 2, 3, 4)), np.array([""])]


def pick(rng, items):
    """Return one of some items."""
    return items[int(rng.integers(len(items)))]


def _place(rng, content):
    return int(rng.integers(len(content) + 1))


def _insert(content, place, new):
    return content[:place] + new + content[place:]


# Any bytes.


def flip_bits(rng, content):
    damaged = bytearray(content)
    for place in rng.integers(len(damaged), size=rng.integers(1, 5)) if damaged else ():
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def truncate(rng, content):
    return content[: _place(rng, content)]


def splice(rng, content):
    return content[: _place(rng, content)] + content[_place(rng, content) :]


def change_part(rng, content):
    """Delete or repeat some bytes, or replace them by random ones."""
    start = _place(rng, content)
    end = start + int(rng.integers(1, 64))
    part = content[start:end]
    times = MAX_BYTES // 64 if rng.random() < RARELY else pick(rng, (2, 3, 10, 1000))
    return content[:start] + pick(rng, (b"", part * times, rng.bytes(len(part)))) + content[end:]


def overwrite_integer(rng, content):
    """Overwrite 1, 2, 4 or 8 bytes, preferably near the start, by an extreme integer."""
    size = pick(rng, (1, 2, 4, 8))
    start = int(rng.integers(min(pick(rng, (32, 128, 1024, 1 << 30)), len(content)) + 1))
    most = (1 << 8 * size) - 1
    value = pick(rng, (0, 1, most, most // 2, most // 2 + 1, 17, 30_000, 100_000)) & most
    return (
        content[:start]
        + value.to_bytes(size, pick(rng, ("little", "big")))
        + content[start + size :]
    )


BYTES = (flip_bits, truncate, splice, change_part, change_part, overwrite_integer)


# Text.


def _find(rng, pattern, content):
    """Return a match of a pattern after a random place, or else the first one; None if none."""
    return re.compile(pattern).search(content, _place(rng, content)) or re.search(pattern, content)


def insert_word(rng, content):
    return _insert(content, _place(rng, content), pick(rng, WORDS))


def change_number(rng, content):
    found = _find(rng, rb"-?\d+(\.\d+)?", content)
    if not found:
        return insert_word(rng, content)
    return content[: found.start()] + pick(rng, NUMBERS).encode() + content[found.end() :]


def change_field(rng, content):
    """Replace, delete or repeat a word or field."""
    found, other = (_find(rng, rb"[^\s,;:=<>\[\]{}\"]+", content) for _ in range(2))
    if not found:
        return insert_word(rng, content)
    old, other = found.group(), other.group()
    news = [b"", other, b"%s,%s" % (old, old), b"%s %s" % (old, other), b'"' + old, b'"%s"' % old]
    news += [b"   ", pick(rng, WORDS), pick(rng, NUMBERS).encode()]
    return content[: found.start()] + pick(rng, news) + content[found.end() :]


def change_lines(rng, content):
    """Delete, repeat, join or insert lines."""
    lines = content.splitlines(keepends=True) or [b""]
    at = int(rng.integers(len(lines)))
    if rng.random() < RARELY:
        new = [lines[at], pick(rng, (b",", b"1 ", b"a,", b"0.5,", b"<a>")) * 2_000_000 + b"\n"]
    else:
        blank = pick(rng, (b"\n", b" \n", b"\t\r\n", b",\n", b",,,,,\n", b"\0\n"))
        joined = lines[at].rstrip()
        new = pick(rng, ([], [lines[at], pick(rng, lines)], [joined], [lines[at], blank]))
    return b"".join([*lines[:at], *new, *lines[at + 1 :]])


def change_encoding(rng, content):
    """Encode the text otherwise, or change its line ends."""
    text = content.decode(errors="replace")
    if rng.random() < 0.5:
        return text.encode(pick(rng, ENCODINGS), errors="replace")
    return text.replace("\n", pick(rng, LINE_ENDS)).encode()


def nest(rng, content):
    """Insert deep nesting, with its ends or without."""
    depth = 100_000 if rng.random() < RARELY else pick(rng, (500, 950, 5000))
    before, after = pick(rng, ((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"- ", b"")))
    after = after * depth if rng.random() < 0.7 else b""
    return _insert(content, _place(rng, content), before * depth + pick(rng, (b"", b"1")) + after)


TEXT = (*BYTES, insert_word, change_number, change_field, change_lines, change_encoding, nest)


# Trees of values.


def _places(tree, parents=()):
    """Yield the path of each value in a tree of lists and dictionaries."""
    yield parents
    items = tree.items() if isinstance(tree, dict) else ()
    for key, value in enumerate(tree) if isinstance(tree, list) else items:
        yield from _places(value, (*parents, key))


def _at(tree, place):
    for key in place:
        tree = tree[key]
    return tree


def change_tree(rng, tree):
    """Return a tree with a value changed, missing, wrapped or given twice, or a key renamed."""
    places = list(_places(tree))
    # Places near the root would be rare among many others.
    place = pick(rng, [each for each in places if len(each) < 3] if rng.random() < 0.3 else places)
    if not place:
        return pick(rng, VALUES)
    parent, key = _at(tree, place[:-1]), place[-1]
    value, change = parent[key], rng.random()
    if change < 0.1:
        del parent[key]
    elif change < 0.2:
        parent[key] = pick(rng, ([value], {"a": value}, [value] * 1000))
    elif change < 0.3 and isinstance(parent, dict):
        parent[pick(rng, ("", "x", "id", "name", "config", "\0"))] = parent.pop(key)
    elif change < 0.3:
        parent.append(value)
    elif change < 0.4:  # a value from elsewhere
        parent[key] = json.loads(json.dumps(_at(tree, pick(rng, places))))
    else:
        parent[key] = pick(rng, VALUES)
    return tree


def change_json(rng, content):
    """Change a value in JSON, or repeat a key."""
    if rng.random() < 0.1 and (key := _find(rng, rb'"[^"]*" *:', content)):
        value = json.dumps(pick(rng, VALUES)).encode()
        return _insert(content, key.start(), key.group() + value + b",")
    try:
        text = json.dumps(change_tree(rng, json.loads(content)))
    except (ValueError, RecursionError):  # an earlier change broke it, or nested it deeply
        return flip_bits(rng, content)
    if rng.random() < 0.05:
        text = text.replace("0", pick(rng, (DIGITS, "[" * 900 + "]" * 900)), 1)
    return text.encode()


def change_yaml(rng, content):
    """Change a value in YAML, or insert a tag, an alias or a merge key."""
    change = rng.random()
    if change < 0.5:
        found = _find(rng, rb"(?<=[:\[,{] )\S|(?<=\n)\S|(?<=\[)\S", content)
        new = pick(rng, YAML.split("|")).strip() + pick(rng, (" ", ", ", "\n", ": 1\n"))
        return _insert(content, found.start() if found else 0, new.encode())
    if change < 0.55:
        return ALIASES + content + b"\nval: *a8\n"
    if b"*a" in content:  # it may stand for a very large tree
        return flip_bits(rng, content)
    try:
        tree = change_tree(rng, yaml.safe_load(content))
        return yaml.safe_dump(tree, allow_unicode=True).encode(errors="replace")
    except Exception:  # an earlier change broke it, or nested it deeply
        return flip_bits(rng, content)


def change_xml(rng, content):
    """Change elements and entities of XML."""
    tag = _find(rng, rb"<(/?)(\w+)>", content)
    if not tag or rng.random() < 0.3:
        content = pick(rng, XML_BEFORE) + content
        return content.replace(b">1", pick(rng, (b">&a;", b">&b;", b">&i;", b">1")), 1)
    start, end, name = tag.start(), tag.end(), tag.group(2)
    element = re.compile(rb"<%s>.*?</%s>" % (name, name), re.DOTALL).search(content)
    if element and rng.random() < 0.4:  # missing, given twice or empty
        new = pick(rng, (b"", element.group() * 2, b"<%s/>" % name, b"<%s></%s>" % (name, name)))
        return content[: element.start()] + new + content[element.end() :]
    if rng.random() < 0.2:
        return content[:start] + b"<%s a='b' xmlns='c'>" % name + content[end:]
    return _insert(content, end, pick(rng, XML_INSIDE))


# Images.


def change_image(rng, content):
    """Change the header of an image; give the chunks of a PNG their checksums again."""
    change = pick(rng, (flip_bits, overwrite_integer, overwrite_integer, change_part))
    content = change(rng, content[:128]) + content[128:]
    parts, at = [content[:8]], 8
    while content.startswith(b"\x89PNG") and at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunk = content[at + 4 : at + 8 + length]
        parts += [content[at : at + 4], chunk, zlib.crc32(chunk).to_bytes(4, "big")]
        at += 12 + length
    return b"".join(parts) + content[at:]


# Archives.


def change_zip(rng, content):
    """Change a member of an archive, its name, or what the archive says of it."""
    stream = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name, change = pick(rng, list(members)), rng.random()
    except Exception:  # an earlier change broke it, or emptied it
        return flip_bits(rng, content)
    if change < 0.7:
        members[name] = mutate(rng, members[name], name)
    elif change < 0.8:
        del members[name]
    elif change < 0.85:
        members[pick(rng, ("../x", "/x", "x/", "a\0b", "a" * 60_000))] = members.pop(name)
    elif change < 0.9:
        members[pick(rng, (name, "x", "config.json", "metadata.json"))] = bytes(1 << 26)
    else:
        return _with_other_sizes(rng, content)
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if len(data) > 1e6 else 0)
    return stream.getvalue()


def _with_other_sizes(rng, content):
    """Return an archive with a size or an offset in its headers changed."""
    headers = ((b"PK\x03\x04", (18, 22)), (b"PK\x01\x02", (20, 24, 42)), (b"PK\x05\x06", (8, 16)))
    signature, places = pick(rng, headers)
    start = _find(rng, re.escape(signature), content)
    at = (start.start() if start else 0) + pick(rng, places)
    value = pick(rng, (0, 1, 2**31, 2**32 - 1, 2**32 - 2, len(content)))
    return content[:at] + value.to_bytes(4, "little") + content[at + 4 :]


def change_npy(rng, content):
    """Replace an array by another one, or change its header."""
    if rng.random() < 0.5:
        stream = io.BytesIO()
        np.save(stream, pick(rng, ARRAYS), allow_pickle=False)
        return stream.getvalue()
    header = re.search(rb"\{.*\}", content[:1000])
    if not header or rng.random() < 0.4:
        return pick(rng, BYTES)(rng, content)
    new = pick(rng, NPY_HEADERS).ljust(len(header.group()))
    return content[: header.start()] + new + content[header.end() :]


# HDF5.


def change_hdf5(rng, content):
    """Change an object, a link or an attribute in an HDF5 file."""
    stream = io.BytesIO(content)
    try:
        with h5py.File(stream, "r+") as file:
            pick(rng, (_change_object, _change_object, _change_link, _change_attribute))(rng, file)
    except Exception:  # an earlier change broke it, or this one is not possible there
        return flip_bits(rng, content)
    return stream.getvalue()


def _names(file):
    names = []
    file.visit(names.append)
    return names


def _change_link(rng, file):
    name = pick(rng, _names(file))
    soft, external = h5py.SoftLink, h5py.ExternalLink("/etc/passwd", "/")
    new = pick(rng, (file, file[name].parent, soft("/"), soft("/none"), soft(name), external, None))
    if new is None:
        file.move(name, pick(rng, ("x", "vars", "0", f"{name}/x", "layers", "optimizer")))
        return
    del file[name]
    file[name] = new


def _change_object(rng, file):
    """Replace an object by a group, a type, or values of another type or shape, or none at all."""
    name = pick(rng, _names(file))
    shape = getattr(file[name], "shape", (3,))
    if isinstance(file[name], h5py.Group) and rng.random() < 0.3:
        for i in range(pick(rng, (1, 10, 10_000))):
            file[name].create_group(f"new{i}")
        return
    del file[name]
    change = int(rng.integers(10))
    if change == 0:
        file.create_group(name)
    elif change == 1:
        file[name] = np.dtype("f4")
    elif change == 2:
        file.create_dataset(name, data=h5py.Empty("f4"))
    elif change == 3:  # declared, never written
        file.create_dataset(name, (1 << 40,), "f4", chunks=(1 << 16,))
    elif change == 4:
        file.create_dataset(name, (1 << 16, 1 << 12), "f4", chunks=True, compression=9)
    elif change == 5:
        file.create_dataset(name, pick(rng, ((), (0,), (3,), (1,) * 32, (*shape, 1), shape[::-1])))
    else:
        types = ("f2", "f4", "f8", ">f4", "i4", "u1", "S3", "c8", "?", h5py.string_dtype())
        file.create_dataset(name, shape, pick(rng, types))


def _change_attribute(rng, file):
    names = [name for name in _names(file) if len(file[name].attrs)]
    attributes = pick(rng, [file, *(file[name] for name in names)]).attrs
    name = pick(rng, list(attributes) or ["layer_names"])
    value = attributes.get(name)
    if isinstance(value, str | bytes) and rng.random() < 0.7:
        text = value.encode() if isinstance(value, str) else value
        attributes[name] = np.bytes_(mutate(rng, text, f"{name}.json"))
    elif isinstance(value, np.ndarray) and value.size and rng.random() < 0.5:
        names = [str(each) for each in value]
        new = (names[0], "", "x", "..", "/", "vars", "a/b/c", "x" * 999)
        names[int(rng.integers(len(names)))] = pick(rng, new)
        attributes[name] = names
    else:
        values = (0, 1.5, "", "x", b"\xff", [1, 2], ["a"], [[b"a"]], h5py.Empty("f4"), [], True)
        attributes[name] = pick(rng, values)


# By the end of the file's name: the functions that know its structure, and those for any file.
_TABLE = (change_field, change_number, change_lines)
_BY_SUFFIX = {
    ".json": ((change_json,), TEXT),
    ".value": ((change_json,), (change_json,)),
    ".yaml": ((change_yaml,), TEXT),
    ".xml": ((change_xml,), TEXT),
    **dict.fromkeys((".csv", ".txt", ".ini"), (_TABLE, TEXT)),
    ".npz": ((change_zip,), BYTES),
    ".npy": ((change_npy,), BYTES),
    ".keras": ((change_zip,), BYTES),
    ".h5": ((change_hdf5,), BYTES),
    ".bytes": (BYTES, BYTES),
}


def mutate(rng, content, name):
    """Return the content of a file of some name, damaged in one to three ways."""
    special, others = _BY_SUFFIX.get(name[name.rfind(".") :], ((change_image,), BYTES))
    for _ in range(pick(rng, (1, 1, 1, 2, 3))):
        # Those that look for a place take too long once an earlier one made the content large.
        is_special = rng.random() < 0.6 and len(content) <= MAX_BYTES_TO_SEARCH
        content = pick(rng, special if is_special else others)(rng, content)
    return content[:MAX_BYTES]
