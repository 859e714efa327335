"""Writes values into params.yaml; comments, order and whatever else the file holds stay as they are."""

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Return the text of a YAML file with other values.

    Args:
        text: of the file, which `parameters.read` can read.
        values: by key path, such as data.train_size. The mapping that holds the key must be there. A mapping takes the
            place of what is there; an equal value changes nothing; None removes the key.
    """
    editor = YAML()
    editor.width = 10**6
    editor.preserve_quotes = True
    document = editor.load(text)
    for path, value in values.items():
        *parents, key = path.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        if value is None:
            _remove(section, key)
        elif key not in section:  # first, since a comment behind the last key belongs to that key
            section.insert(0, key, _node(value))
        elif section[key] != value:
            _replace(section, key, value)
    stream = io.StringIO()
    editor.dump(document, stream)
    return stream.getvalue()


def _remove(section: CommentedMap, key: str) -> None:
    """Remove a key and the comment beside it; the lines behind go to the key before."""
    keys = list(section)
    if key in keys:
        lines_behind = _cut_lines_behind(section, key)
        del section[key]
        if keys[0] != key:
            _add_lines_behind(section, keys[keys.index(key) - 1], lines_behind)


def _replace(section: CommentedMap, key: str, value: Any) -> None:
    """Put a value in the place of another; the lines behind the old one stay."""
    lines_behind = _cut_lines_behind(section, key)
    section[key] = _node(value)
    _add_lines_behind(section, key, lines_behind)


def _cut_lines_behind(section: CommentedMap, key: str) -> str:
    """Return the lines behind a value, such as the comment of the next section, and remove them.

    ruamel.yaml keeps these lines in the comment of the last value above them.
    """
    comment = _last_comment(section, key)
    beside, _, lines_behind = comment.value.partition("\n") if comment else ("", "", "")
    if comment:
        comment.value = f"{beside}\n"
    return lines_behind


def _add_lines_behind(section: CommentedMap, key: str, lines: str) -> None:
    if lines:
        comment = _last_comment(section, key, make=True)
        comment.value = f"{comment.value.rstrip()}\n{lines}"


def _last_comment(container: CommentedMap, key: Any, make: bool = False) -> CommentToken | None:
    """Return the comment beside and behind the last value of a block; `make`: an empty one where there is none."""
    while isinstance(node := container[key], CommentedMap | CommentedSeq) and node and not node.fa.flow_style():
        container, key = node, list(node)[-1] if isinstance(node, CommentedMap) else len(node) - 1
    place = 0 if isinstance(container, CommentedSeq) else 2
    comments = container.ca.items.get(key, [None] * 4)
    if make and comments[place] is None:
        comments[place] = CommentToken("", CommentMark(0), None)
        container.ca.items[key] = comments
    return comments[place]


def _node(value: Any) -> Any:
    """Return what ruamel.yaml writes in the style of params.yaml: mappings as blocks, lists and `{}` in one line."""
    if isinstance(value, dict):
        node = CommentedMap({key: _node(member) for key, member in value.items()})
    elif isinstance(value, list):
        node = CommentedSeq(map(_node, value))
    else:
        return value
    if isinstance(value, list) or not value:
        node.fa.set_flow_style()
    return node
