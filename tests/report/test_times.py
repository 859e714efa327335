"""The copy of the report page with the times of this machine."""

import json

import pytest
import synthetic

from descent.parameters import InputError
from stages import times


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """Goes to a project whose report was made, and which trained for four epochs, or where it did not."""
    folder = synthetic.project(tmp_path, ["sgd", "adam", "own"])
    monkeypatch.chdir(folder)
    (folder / "results/report").mkdir(parents=True, exist_ok=True)
    (folder / "results/report/index.html").write_text("<p>before</p><!-- times --><p>after</p>")
    (folder / "logs").mkdir()
    return folder


def log(folder, name, content):
    (folder / f"logs/{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_copy_has_the_times_of_those_that_were_trained_here_and_the_page_none(reported, capsys):
    log(reported, "adam", {"epoch_seconds": [9.04, 1.5, 2.5, 1.75]})
    log(reported, "own", {"epoch_seconds": [1.0, 2.0]})  # of a training that had other epochs
    log(reported, "sgd", "{")
    times.main()
    written = (reported / "logs/report.html").read_text()
    assert written.startswith("<p>before</p><div")
    assert written.endswith("</div><p>after</p>")
    row = '<th scope="row">adam</th><td>14.8</td><td>9.0</td><td>1.75</td>'
    assert row in written
    assert written.count('scope="row"') == 1
    assert (reported / "results/report/index.html").read_text() == "<p>before</p><!-- times --><p>after</p>"
    assert capsys.readouterr().out == "With the times of this machine: logs/report.html\n"


def test_nothing_is_written_where_nothing_was_trained(reported, capsys):
    times.main()
    assert not (reported / "logs/report.html").exists()
    assert capsys.readouterr().out == ""


def test_page_has_the_place_for_them():
    assert (synthetic.ROOT / "descent/report/page.html").read_text().count(times.MARK) == 1


def test_params_that_are_not_understood_are_refused(reported):
    (reported / "params.yaml").write_text("training: 5\n")
    with pytest.raises((InputError, SystemExit), match=r"params\.yaml: training: expected a mapping"):
        times.main()
