"""Whatever YAML stands in params.yaml, `check` takes it, or says what is wrong on lines that name file and key path."""

import copy
import datetime
import io
import re
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline import ROOT, shrink, yaml
from ruamel.yaml import YAML

from descent.core import process
from stages import check

pytestmark = pytest.mark.slow

SECTIONS = "|".join(check.SECTIONS)
WHOLE = r"line \d+: |unknown section |not readable as YAML: |expected a mapping of sections, got "
FAULT = re.compile(rf"params\.yaml: ((?P<section>{SECTIONS})[.:]|{WHOLE})")
SECONDS = 10  # of CPU for one file, its network and optimizers tried
BOUNDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def document():
    """The parameters of the project, shrunk, with an optimizer of the user's own and a schedule."""
    found = yaml.load(ROOT / "params.yaml")
    shrink(found)
    lion = {"class_name": "Lion", "config": {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99}}
    found["optimizers"]["lion"] = {"file": "optimizers/lion.py", **lion}
    decay = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}
    found["optimizers"]["sgd"]["config"]["learning_rate"] = {"class_name": "ExponentialDecay", "config": decay}
    return YAML(typ="safe").load(text_of(found))


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


DOCUMENT = document()
TEXT, INNER = text_of(DOCUMENT), [path for path in paths(DOCUMENT) if len(path) > 1]
NUMBERS = [0, 1, -1, 2**31, 0.0, 1.0, -0.5, 1e308, 1e-320, float("nan"), -float("inf")]
WORDS = ["", " ", "1e-3", "x" * 300, "a b", "ä", "$(id)", "<script>", "../x.py", "~nobody/x", "a\nb", "\x07", "${data}"]
ODD = [None, True, datetime.date(2020, 1, 1), b"bytes", "glu", "threshold", "relu", "Muon", "networks/cnn.py", "None"]
SCALARS = st.sampled_from([*NUMBERS, *WORDS, *ODD]) | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["learning_rate", "momentum", "name", "seeds", "file", "x", 5, None, 0.5, True, (1, 2)])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)


@st.composite
def documents(draw):
    """The document, changed in one place or two: a value replaced, a key dropped, renamed or added."""
    changed = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 2))):
        *above, key = draw(st.sampled_from(list(paths(changed))))
        inside = changed
        for step in above:
            inside = inside[step]
        match draw(st.sampled_from(["replace", "replace", "drop", "rename", "add"])):
            case "drop":
                del inside[key]
            case "rename" if isinstance(inside, dict):
                inside[draw(KEYS)] = inside.pop(key)
            case "add" if isinstance(inside, dict):
                inside[draw(KEYS)] = draw(VALUES)
            case _:
                inside[key] = draw(VALUES)
    return changed


@st.composite
def texts(draw):
    """The text of the document, with some of it cut out and something else put there."""
    start = draw(st.integers(0, len(TEXT)))
    marks = ["&a ", "*a", "<<: *a", "!!int ", "!!set ", "!!binary x", "? ", "- ", "\t", "---\n", "{", "]", "'"]
    noise = st.lists(st.sampled_from(marks) | st.text(max_size=5), max_size=4).map("".join)
    return TEXT[:start] + draw(noise) + TEXT[start + draw(st.integers(0, 40)) :]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Writes params.yaml, and does in this process all that `check` does; returns the lines with which it would end."""
    process.load_tensorflow("test")
    folder = tmp_path_factory.mktemp("check")
    for name in ("networks", "optimizers"):
        shutil.copytree(ROOT / name, folder / name)
    tried = {}

    def found(facts, **sections):
        """What is wrong with one thing that is tried; most files have it in common."""
        key = repr((sections, facts))
        if key not in tried:
            tried[key] = []
            check.try_out(sections, facts, tried[key])
        return tried[key]

    def run(text):
        Path("params.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        started = time.process_time()
        faults, read, facts = check.understand()
        faults += found(facts, network=read["network"]) if "network" in read else []
        for name, entry in read.get("optimizers", {}).items():  # on small weights, whatever the network
            faults += found(None, optimizers={name: entry})
        assert time.process_time() - started < SECONDS
        for line in faults:
            assert FAULT.match(line), line
            assert line.isprintable(), line
        assert faults or read.keys() == check.SECTIONS.keys()
        return faults

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("descent.training.environment.configure", str)  # what it sets is set for the whole process
        yield run


def test_parameters_that_the_others_begin_with_are_understood(outcome):
    assert outcome(TEXT) == []


@BOUNDED.__class__(BOUNDED, max_examples=150)
@given(documents())
def test_changed_values_and_keys_are_taken_or_refused_by_their_key_path(outcome, changed):
    outcome(text_of(changed))


@BOUNDED.__class__(BOUNDED, max_examples=100)
@given(texts())
def test_changed_text_is_taken_or_refused_with_its_place(outcome, text):
    outcome(text)
