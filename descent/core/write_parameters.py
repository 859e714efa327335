"""Writes values into params.yaml, for commands; whatever else the file holds stays as it is, to the byte."""

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Return the text of a YAML file with other values.

    Args:
        text: of the file, which `parameters.read` can read.
        values: by key path, such as data.train_size. The mapping that holds the key must be there. A mapping takes the
            place of what is there; an equal value changes nothing. A new key comes first.
    """
    for path, value in values.items():
        text = _with_value(text, path.split("."), value)
    return text


def _with_value(text: str, path: list[str], value: Any) -> str:
    section, content = YAML().compose(text), YAML(typ="safe").load(text)
    *parents, key = path
    for parent in parents:
        section, content = _members(section)[parent][1], content[parent]
    if content.get(key) == value:
        return text
    start, column = section.start_mark.index, section.start_mark.column
    if section.flow_style:
        return f"{text[:start]}{_in_one_line(content | {key: value})}{text[section.end_mark.index :]}"
    if key not in content:
        return f"{text[:start]}{key}:{_behind_key(value, column)}\n{' ' * column}{text[start:]}"

    name, old = _members(section)[key]
    end, comment = _end(old), ""
    end_of_line = f"{text}\n".index("\n", end)
    if _is_block(old):  # the comment beside its key stays, those inside go
        end, comment = end_of_line, text[name.end_mark.index : old.start_mark.index].strip(": \n")
    first, newline, more = _behind_key(value, column).partition("\n")
    if text[end:end_of_line]:  # a comment, which stays in its column
        first = first.ljust(end - name.end_mark.index - 1)
    return f"{text[: name.end_mark.index]}:{first}{comment and f' {comment}'}{newline}{more}{text[end:]}"


def _members(section: MappingNode) -> dict[str, tuple[ScalarNode, Node]]:
    return {name.value: (name, member) for name, member in section.value}


def _is_block(node: Node) -> bool:
    return not isinstance(node, ScalarNode) and not node.flow_style


def _end(node: Node) -> int:
    """Where a value ends; to ruamel.yaml, the comments of the next section belong to the last block above them."""
    while _is_block(node):
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    return node.end_mark.index


def _behind_key(value: Any, column: int) -> str:
    """Write a value as params.yaml has it: mappings as blocks, lists and `{}` in one line."""
    if not isinstance(value, dict) or not value:
        return f" {_in_one_line(value)}"
    indent = " " * (column + 2)
    return "".join(f"\n{indent}{key}:{_behind_key(member, column + 2)}" for key, member in value.items())


def _in_one_line(value: Any) -> str:
    editor, stream = YAML(), io.StringIO()
    editor.default_flow_style, editor.width = True, 10**6
    editor.dump({"v": value}, stream)
    return stream.getvalue().strip().removeprefix("{v: ").removesuffix("}")
