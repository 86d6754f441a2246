import os

import pytest

from keras_retinanet.annotations import yaml_text
from keras_retinanet.annotations.yaml_text import read_yaml


def write(tmp_path, text):
    path = tmp_path / "data.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: 1\nb: [x, 2.0]\n", {"a": "1", "b": ["x", "2.0"]}),
        # Text stays as it is written.
        ("[no, ~, 0x10, 010, 1_0, 2024-01-01]", ["no", "~", "0x10", "010", "1_0", "2024-01-01"]),
        ("a:\n", {"a": ""}),
        ("", ""),
        ("# nothing\n", ""),
        ("---\na: b\n...\n", {"a": "b"}),
        ("a: &x [b]\nc: *x\n", {"a": ["b"], "c": ["b"]}),
        ("\ufeffé: 数据\r\n", {"é": "数据"}),
        # Tags have no meaning, so they can do no harm.
        ("a: !!bool x", {"a": "x"}),
        ("a: !!int ''", {"a": ""}),
        ("a: !!float nope", {"a": "nope"}),
        ("a: !!binary x", {"a": "x"}),
        ("a: !!timestamp x", {"a": "x"}),
        ("a: 2024-02-31", {"a": "2024-02-31"}),
        ("a: !!python/object:os.system x", {"a": "x"}),
        ("a: {<<: 1}", {"a": {"<<": "1"}}),
    ],
)
def test_what_is_read(tmp_path, text, content):
    assert read_yaml(write(tmp_path, text)) == content


BOMB = "a0: &a0 [1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
BAD = {
    "not closed": ("a: [", "expected YAML: while parsing a flow"),
    "key twice": ("a: 1\nb: 2\na: 3", "duplicate key 'a' in .* line 3"),
    "key twice in a list": ("- {a: 1, a: 2}", "duplicate key 'a'"),
    "list as key": ("? [a]\n: b", "expected text as key"),
    "mapping as key": ("{{a: b}: 1}", "expected text as key"),
    "two documents": ("a\n---\nb", "expected a single document"),
    "aliases of aliases": (BOMB, "expected at most 1000 values after aliases are replaced"),
    "merge keys": (BOMB + "<<: *a9\n", "expected at most 1000 values"),
    "alias of itself": ("a: &a [*a]", "expected at most 1000 values"),
    "mapping of itself": ("&a {b: *a}", "expected at most 1000 values"),
    "unknown alias": ("a: *b", "undefined alias"),
    "many values": ("[" + "a," * 1100 + "]", "expected at most 1000 values"),
    "very many values": ("\n- a" * 2100, "expected at most 1000 values"),
    "nested lists": ("[" * 1_000, "expected fewer levels of nesting"),
    "nested mappings": ("{a: " * 2_000 + "}" * 2_000, "expected fewer levels of nesting"),
    "nested blocks": ("- " * 3_000, "expected fewer levels of nesting"),
    "no character": ('a: "\\UFFFFFFFF"', "expected YAML: Python int too large"),
    "half a character": ('a: "\\ud800"', "expected text without zero bytes and surrogates"),
    "zero byte": ('a: "\\0"', "expected text without zero bytes and surrogates"),
    "control character": ("a: \x01", "expected YAML: unacceptable character"),
    "huge version": (f"%YAML {'9' * 5000}.1\n---\na", "expected YAML: Exceeds the limit"),
    "bad tag": ("!%ff a", "expected YAML: while scanning a tag"),
    "long line": ("a: b: " + "x" * 100_000, "mapping values are not allowed here"),
    "long file": ("#" + "x" * 2**22, "expected a file of at most 4194304 bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, monkeypatch, case):
    monkeypatch.setattr(yaml_text, "MAX_YAML_VALUES", 1000)
    text, message = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < 300 + len(str(path))


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "data.yaml")
    with pytest.raises(ValueError, match="expected a regular file"):
        read_yaml(tmp_path / "data.yaml")
    with pytest.raises(OSError, match="none.yaml"):
        read_yaml(tmp_path / "none.yaml")
