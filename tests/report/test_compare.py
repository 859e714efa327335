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

PICTURES = ("curves", "diagnostics", "ranking", "tutorial")
TEXTS = (
    "accuracy.json", "curves.csv", "diagnostics.csv", "differences.csv", "index.html", "ranking.csv", "ranking.md",
    "summary.md", "tutorial.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The stage, run as users run it; its folder and what it printed."""
    folder = synthetic.project(tmp_path_factory.mktemp("compared"), ["sgd", "adam", "own"])
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(synthetic.ROOT)!r})\n"
        "runpy.run_module('stages.compare', run_name='__main__')\n"
        "print(sorted({'keras', 'tensorflow', 'matplotlib.pyplot', 'dvc'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder, done.stdout


def test_compare_writes_its_outputs_and_nothing_else(compared):
    pictures = [f"figures/{name}.svg" for name in PICTURES]
    assert sorted(synthetic.report(compared[0])) == sorted([*TEXTS, *pictures])


def test_every_figure_has_a_table_of_its_name(compared):
    names = synthetic.report(compared[0])
    assert all(f"{Path(name).stem}.csv" in names for name in names if name.endswith(".svg"))


def test_compare_prints_the_sentence_and_the_table_once_and_last_where_the_page_is(compared):
    folder, printed = compared
    *lines, last, _modules = printed.splitlines()
    assert lines[0].startswith("**At 95 % confidence the best of the three is adam (3 runs each)")
    assert "\n".join(lines).strip() == (folder / "results/report/ranking.md").read_text(encoding="utf-8").strip()
    assert last == "Report: results/report/index.html"


@pytest.mark.slow
def test_output_that_cannot_show_all_letters_fails_nothing(compared):
    command = [sys.executable, "-m", "stages.compare"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(synthetic.ROOT)}
    done = subprocess.run(command, cwd=compared[0], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("Report: results/report/index.html\n")
    assert " ? 0." in done.stdout  # in place of ±


def test_compare_loads_neither_keras_nor_dvc_nor_pyplot(compared):
    assert compared[1].endswith("[]\n")


def test_order_of_optimizers_changes_no_byte_of_the_report(compared, tmp_path):
    with contextlib.chdir(synthetic.project(tmp_path, ["own", "adam", "sgd"])):
        compare.main()
    assert synthetic.report(tmp_path) == synthetic.report(compared[0])


def test_order_of_seeds_changes_no_byte_of_the_report_but_the_parameter_that_it_states(compared, tmp_path):
    with contextlib.chdir(synthetic.project(tmp_path, ["sgd", "adam", "own"], seeds=(1, 2, 0))):
        compare.main()
    ours, theirs = synthetic.report(tmp_path), synthetic.report(compared[0])
    page, other = ours.pop("index.html").decode(), theirs.pop("index.html").decode()
    assert ours == theirs
    assert page.replace("[1, 2, 0]", "[0, 1, 2]") == other


def test_files_of_an_optimizer_that_is_no_longer_listed_stay_and_count_for_nothing(compared, tmp_path):
    folder = synthetic.project(tmp_path, ["sgd", "adam", "own"])
    left = [folder / "results/history/ghost.csv", folder / "results/metrics/ghost.json"]
    for path in left:
        path.write_text("damaged", encoding="utf-8")
    with contextlib.chdir(folder):
        compare.main()
    assert all(path.read_text(encoding="utf-8") == "damaged" for path in left)
    assert synthetic.report(folder) == synthetic.report(compared[0])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("results/history/adam.csv", None),
        ("results/metrics/adam.json", None),
        ("results/metrics/adam.json", "{}"),
        ("results/history/sgd.csv", "damaged"),
        ("data/reference/tutorial_history.csv", "optimizer\nsgd\n"),
        ("results/trajectories/trajectories.svg", None),
    ],
)
def test_a_missing_or_damaged_file_is_named_and_nothing_is_touched(path, content, tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam", "sgd"]))
    Path(path).unlink() if content is None else Path(path).write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^{path}: "):
        compare.main()
    assert not Path("results/report").exists()


def test_bad_parameters_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam"]))
    document = YAML(typ="safe").load(Path("params.yaml"))
    document["report"]["confidence"] = 95
    YAML().dump(document, Path("params.yaml"))
    with pytest.raises(SystemExit, match=r"^params\.yaml: report\.confidence: .*got 95"):
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


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_few_runs_give_a_whole_report_that_says_what_it_cannot_say(seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam", "sgd"], seeds))
    compare.main()
    texts = [content.decode() for name, content in synthetic.report(tmp_path).items() if name.endswith(".md")]
    assert not any("nan" in text for text in texts)
    assert any("cannot be bounded" in text for text in texts)


def test_a_diverged_run_is_printed_and_disqualifies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(synthetic.project(tmp_path, ["adam", "sgd"]))
    Path("results/history/adam.csv").write_text(synthetic.history_text(0.95, diverged_seed=1), encoding="utf-8")
    Path("results/metrics/adam.json").write_text(synthetic.metrics_text(0.95, diverged_seed=1), encoding="utf-8")
    compare.main()
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| adam"))
    assert "no: diverged" in row
    assert "1 of 3" in row


def test_text_of_params_yaml_is_text_on_the_page_whatever_it_looks_like(tmp_path):
    hostile = "<script>alert(1)</script> <!-- $(touch PWNED) `touch PWNED` $\\frac{ ${answer}"
    path = synthetic.project(tmp_path, ["sgd", "adam", "own"]) / "params.yaml"
    document = YAML(typ="safe").load(path)
    document["report"]["note"] = hostile
    document["network"]["config"] = {"<script>": hostile}
    YAML().dump(document, path)
    with contextlib.chdir(tmp_path):
        compare.main()
    page = (tmp_path / "results/report/index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert hostile in html.unescape(page)
    assert list(tmp_path.rglob("PWNED*")) == []
