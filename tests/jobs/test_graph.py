"""What must run, and what it must wait for, in this project's own graph and in one that can be read at a glance."""

from pathlib import Path

import pytest
from pipeline import ROOT

from descent.jobs import graph


# DVC 3.67 calls pygtrie in a way that its newest release deprecates.
@pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")
def test_comparison_waits_for_every_training(monkeypatch):
    monkeypatch.chdir(ROOT)  # it reads what they leave
    stages = graph.read("dvc.yaml")
    trainings = {name for name in stages if name.startswith("train")}
    assert len(trainings) > 1
    assert trainings <= stages["compare"].needs


def test_up_to_date_is_what_needs_nothing_that_is_not():
    def stage(needs, outdated=False):
        return graph.Stage(set(needs), outdated, Path("dvc.lock"), "")

    stages = {"a": stage([]), "b": stage(["a"], outdated=True), "c": stage(["a"]), "d": stage(["b", "c"])}
    assert graph.to_do(stages) == {"b": set(), "d": {"b"}}
