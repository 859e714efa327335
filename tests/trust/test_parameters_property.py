"""Whatever YAML stands in params.yaml, `check` takes it, or says what is wrong on lines that name file and key path."""

import copy
import datetime
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline import ROOT, shrink, yaml
from ruamel.yaml import YAML

from stages import check

pytestmark = pytest.mark.slow

WHOLE = r"line \d+: |unknown section |not readable as YAML: |expected a mapping of sections, got "
FAULT = re.compile(rf"params\.yaml: (({'|'.join(check.SECTIONS)})[.:]|{WHOLE})")
BOUNDED = settings(derandomize=True, database=None, deadline=None, max_examples=150)


def text_of(value):
    """A document as YAML."""
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def paths(value, at=()):
    """Key paths of everything inside a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*at, key)
        yield from paths(member, (*at, key))


SHRUNK = yaml.load(ROOT / "params.yaml")
shrink(SHRUNK)
DOCUMENT = YAML(typ="safe").load(text_of(SHRUNK))
NUMBERS = [0, 1, -1, 2**31, 2**70, 0.0, 1.0, -0.5, 1e308, 1e-320, float("nan"), -float("inf")]
WORDS = ["", " ", "1e-3", "x" * 300, "ä", "$(id)", "<script>", "../x.py", "~nobody/x", "a\nb", "\x07", "${data}"]
SCALARS = st.sampled_from([*NUMBERS, *WORDS, None, True, datetime.date(2020, 1, 1), b"bytes"]) | st.text(max_size=8)
KEYS = st.sampled_from(["learning_rate", "seeds", "file", "x", 5, None, 0.5, True, (1, 2)])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)


@st.composite
def documents(draw):
    """The document with a value replaced, a key dropped or one added."""
    changed = copy.deepcopy(DOCUMENT)
    *above, key = draw(st.sampled_from(list(paths(changed))))
    inside = changed
    for step in above:
        inside = inside[step]
    match draw(st.sampled_from(["replace", "replace", "drop", "add"])):
        case "drop":
            del inside[key]
        case "add" if isinstance(inside, dict):
            inside[draw(KEYS)] = draw(VALUES)
        case _:
            inside[key] = draw(VALUES)
    return text_of(changed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("check"))
        yield


@pytest.mark.usefixtures("folder")
@BOUNDED
@given(documents())
def test_changed_parameters_are_understood_or_refused_by_their_key_path(text):
    Path("params.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    faults, read, _ = check.understand()
    for line in faults:
        assert FAULT.match(line), line
        assert line.isprintable(), line
    assert faults or read.keys() == check.SECTIONS.keys()
