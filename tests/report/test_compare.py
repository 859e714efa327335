"""The stage `compare`: what it writes, prints and refuses."""

import contextlib
import html
import os
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
from ruamel.yaml import YAML

from descent.report import figures
from stages import compare

NAMES = ("sgd", "adam", "own")


def run(folder, **variables):
    """Run the stage as users do; returns what it printed."""
    command = [sys.executable, "-W", "error", "-m", "stages.compare"]
    environment = os.environ | {"PYTHONPATH": str(synthetic.ROOT), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder in which the stage ran, and what it printed."""
    folder = synthetic.project(tmp_path_factory.mktemp("compared"), NAMES)
    return folder, run(folder)


def edit(folder, section, **values):
    document = YAML(typ="safe").load(folder / "params.yaml")
    document[section] |= values
    YAML().dump(document, folder / "params.yaml")


def test_compare_prints_the_ranking_and_last_where_the_page_is(compared):
    folder, printed = compared
    text, last = printed.rstrip().rsplit("\n", 1)
    assert text.startswith("**adam is the best of the three optimizers (95 % confidence). ")
    assert text.strip() == (folder / "results/report/ranking.md").read_text(encoding="utf-8").strip()
    assert last == "Report: results/report/index.html"


def test_order_of_optimizers_and_files_of_others_change_no_byte_of_the_report(compared, tmp_path):
    folder = synthetic.project(tmp_path, NAMES[::-1])
    left = folder / "results/history/ghost.csv"
    left.write_text("damaged", encoding="utf-8")
    with contextlib.chdir(folder):
        compare.main()
    assert left.read_text(encoding="utf-8") == "damaged"
    assert synthetic.report(folder) == synthetic.report(compared[0])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("results/history/adam.csv", None),
        ("results/metrics/adam.json", "{}"),
        ("results/network.json", "{}"),
        ("data/reference/tutorial_history.csv", "optimizer\nsgd\n"),
        ("results/trajectories/trajectories.svg", None),
        ("params.yaml", "data: {}"),
    ],
)
def test_a_missing_or_damaged_file_is_named_and_nothing_is_written(path, content, tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam", "sgd"]))
    Path(path).unlink() if content is None else Path(path).write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^{path}: "):
        compare.main()
    assert not Path("results/report").exists()


def test_a_failure_while_drawing_leaves_the_old_report_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam"]))
    Path("results/report").mkdir()
    Path("results/report/ranking.md").write_text("old", encoding="utf-8")
    monkeypatch.setitem(figures.FIGURES, "tutorial", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare.main()
    assert synthetic.report(tmp_path) == {"ranking.md": b"old"}


@pytest.mark.parametrize("runs", [1, 2])
def test_few_runs_give_a_whole_report_that_says_what_it_cannot_say(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam", "sgd"], runs))
    compare.main()
    kinds = (".md", ".html")
    texts = "".join(content.decode() for name, content in synthetic.report(tmp_path).items() if name.endswith(kinds))
    assert "nan" not in texts
    assert "cannot be bounded" in texts


def test_text_of_params_yaml_is_text_on_the_page_whatever_it_looks_like(tmp_path):
    hostile = "<script>alert(1)</script> <!-- $(touch PWNED) `touch PWNED` $\\frac{ ${answer}"
    folder = synthetic.project(tmp_path, NAMES)
    edit(folder, "report", note=hostile)
    edit(folder, "network", config={"<script>": hostile})
    with contextlib.chdir(folder):
        compare.main()
    page = (folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert hostile in html.unescape(page)
    assert list(folder.rglob("PWNED*")) == []
