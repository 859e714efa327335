"""What DVC reads through `memo` is what ruamel.yaml reads."""

import io

import pytest
from pipeline import ROOT
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from descent.jobs import memo

parse = YAML.load


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(YAML, "load", parse)  # what it is set back to
    monkeypatch.setattr(memo, "_parsed", {})
    memo.install()


def read(text, typ="safe"):
    return YAML(typ=typ).load(text)


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "tuning/dvc.yaml", "tuning/dvc.lock", "params.yaml"])
def test_text_is_parsed_once_and_says_the_same_each_time(name, monkeypatch):
    text = (ROOT / name).read_text(encoding="utf-8")
    expected = parse(YAML(typ="safe"), text)
    memo.read_ahead([ROOT / name])
    monkeypatch.setattr(memo, "_parse", lambda *_: pytest.fail("parsed again"))
    assert read(text) == expected
    assert read(text) == expected


def test_what_was_read_may_be_changed():
    text = "a: [1]\nb: {c: 1e-05}"
    read(text)["a"].append(2)
    assert read(text) == {"a": [1], "b": {"c": 1e-05}}


def test_other_types_and_streams_are_read_as_ever():
    assert type(read("a: 1 # one", typ="rt")) is CommentedMap
    assert read(io.StringIO("a: 1")) == {"a": 1}
    assert memo._parsed == {}


def test_what_is_damaged_or_missing_is_told_by_who_reads_it_and_by_nobody_before(tmp_path):
    (tmp_path / "damaged").write_text("a: [")
    memo.read_ahead([tmp_path / "missing", tmp_path / "damaged"])
    with pytest.raises(YAMLError):
        read("a: [")
