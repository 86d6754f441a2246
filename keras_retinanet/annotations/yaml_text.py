"""Read YAML files as text, lists and dictionaries, whatever is in them."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias, Union

import yaml

from keras_retinanet.annotations.text import naming_file, read_text
from keras_retinanet.system.limits import MAX_DESCRIPTION_BYTES, MAX_YAML_VALUES
from keras_retinanet.system.types import StrPath

Yaml: TypeAlias = Union[str, list["Yaml"], Mapping[str, "Yaml"]]  # noqa: UP007  # it names itself


def read_yaml(path: StrPath) -> Yaml:
    """Return the contents of a YAML file.

    Every scalar is the text as it is written: a class called `no` or `2024-01-01` keeps its name.
    Tags have no meaning.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not YAML, has a key twice, is nested too deeply, or
            has more than `MAX_YAML_VALUES` values when aliases are replaced by what they stand for.
    """
    text = read_text(path, MAX_DESCRIPTION_BYTES)
    with naming_file(path):
        # PyYAML takes seconds to get to the last value that is allowed.
        if text.count("\n") + text.count(",") > MAX_YAML_VALUES:
            raise ValueError(f"expected at most {MAX_YAML_VALUES} values")
        try:
            return yaml.load(text, _Loader) or ""
        # PyYAML lets some errors of Python's own functions through.
        except (yaml.YAMLError, ValueError, LookupError, OverflowError, TypeError) as error:
            raise ValueError(f"expected YAML: {error}") from None


class _Loader(yaml.BaseLoader):
    """A loader of text, lists and dictionaries that bounds aliases and refuses duplicate keys."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = 0
        self._sizes: dict[yaml.Node | None, int] = {}  # with all below

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; raise ComposerError for too many, or an alias inside its target."""
        is_alias = self.check_event(yaml.AliasEvent)
        start, before = self.peek_event().start_mark, self._values
        node = super().compose_node(parent, index)
        # An alias inside its own target stands for a list without end: its size is not known yet.
        self._values += self._sizes.get(node, MAX_YAML_VALUES) if is_alias else 1
        if self._values > MAX_YAML_VALUES:
            raise yaml.composer.ComposerError(
                problem=f"expected at most {MAX_YAML_VALUES} values after aliases are replaced",
                problem_mark=start,
            )
        if not is_alias:
            self._sizes[node] = self._values - before
        return node

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """Return a text; raise ConstructorError if no file name or message can hold it."""
        text = super().construct_scalar(node)
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise yaml.constructor.ConstructorError(
                problem="expected text without zero bytes and surrogates",
                problem_mark=node.start_mark,
            )
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a dictionary; raise ConstructorError, naming the line, for a duplicate key."""
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, str) or key in mapping:
                what = "duplicate key" if isinstance(key, str) else "expected text as key, got"
                raise yaml.constructor.ConstructorError(
                    problem=f"{what} {key!r}", problem_mark=key_node.start_mark
                )
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping
