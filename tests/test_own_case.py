"""docs/own.md is true: its example and its conversions run, its study races."""

import re
import subprocess
import sys

import browser
import pytest
from pipeline import ROOT, Project, stages_run, yaml

from descent.data import datasets

PAGE = (ROOT / "docs/own.md").read_text(encoding="utf-8")


def section(title):
    """The text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(language, text):
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def answered(tmp_path_factory, mnist_archive):
    """A project in which the section was followed, what its commands printed, and an answer for each data set."""
    text = section("An example from start to end")
    project = Project.copy(tmp_path_factory.mktemp("own") / "project", mnist_archive)
    for block in blocks("python", text):
        (project.folder / re.match(r"# (\S+)\n", block)[1]).write_text(block, encoding="utf-8")
    project.output, project.answers = "", []
    project.run("env --unset PYTHONPATH python make_digits.py")  # scikit-learn is hidden by it
    digits, wine, own_optimizer = [
        [line.split("  #")[0].strip() for line in block.splitlines()] for block in blocks("sh", text)
    ]
    assert wine.pop() == "make repro"  # which the next block has again
    assert own_optimizer.pop() == "make tune"  # which the race of the study begins with
    for line in [*digits, *wine, *own_optimizer]:
        if line.startswith("make"):  # without an environment of its own
            commands = [f"{line} --old-file .venv/requirements.txt.installed"]
            if line == "make repro" and project.answers:  # the second time in processes that are forked
                commands = project.run(f"{commands[0]} --dry-run").splitlines()
            project.output += "".join(map(project.run, commands))
        else:
            project.run(f"env --unset PYTHONPATH {line}")
        if line == "make repro":
            project.answers.append((project.folder / "results/report/ranking.md").read_text(encoding="utf-8"))
    return project


@pytest.mark.slow
def test_two_commands_print_the_table_of_the_page_and_end_with_an_answer(answered):
    [shown] = blocks("text", section("An example from start to end"))
    assert shown in answered.output
    digits, wine = answered.answers
    assert "digits.npz: the first 1024 training examples in batches of 64, 300 validation and 300 test" in digits
    assert "wine.csv: the first 88 training examples" in wine
    assert re.search(r"^\| signed +\|", wine, re.MULTILINE)
    for answer in (digits, wine):
        assert "Network: networks/table.py (units 64)" in answer
        assert re.match(r"\*\*.*(adam|sgd|signed).*\*\*\n", answer)
        assert answer in answered.output


@pytest.mark.slow
def test_report_and_plots_of_other_data_do_not_speak_of_the_tutorial_and_none_fails(answered):
    for name in ("index.html", "summary.md", "ranking.md"):
        assert "tutorial's" not in (answered.folder / "results/report" / name).read_text(encoding="utf-8")
    plots = yaml.load(answered.folder / "dvc.yaml")["stages"]["compare"]["plots"]
    tables = [name for plot in plots for name in plot if name.endswith(".csv")]
    done = answered.attempt(f"dvc plots show {' '.join(tables)}")
    assert done.returncode == 0
    assert "failed" not in done.stdout + done.stderr
    visit = browser.visit(answered.folder / "dvc_plots/index.html")
    drawn = re.findall(r'<div id="(\w+)" class="vega-embed', visit.html)
    assert "results_report_ranking_csv" in drawn
    assert "tutorial" not in " ".join(drawn)
    # Runs that agree to an image have no interval to draw.
    assert [line for line in visit.console if "Infinite extent for field" not in line] == []


@pytest.mark.slow
def test_study_of_your_case_runs_with_your_optimizer_and_races(answered):
    answered.edit(lambda of: of["race"].update(looks=[2, 3]))
    before = answered.wanted()
    output = answered.run("python -m stages.race --jobs 2 --study")  # which begins with the study
    assert re.search(r"^After 2 runs of each:\n", output, re.MULTILINE)
    assert answered.wanted() == before
    tuned = answered.wanted("tuned_runs")
    assert set(tuned.values()) <= {3}
    epochs = yaml.load(answered.folder / "params.yaml")["training"]["epochs"]
    for name in ("adam", "sgd", "signed"):
        lines = (answered.folder / f"results/tuning/runs/{name}.csv").read_text(encoding="utf-8").splitlines()
        assert sum(",report," in f",{line}," for line in lines) == tuned.get(name, 2) * epochs
    assert stages_run(answered.run("dvc repro tuning/dvc.yaml")) == []
    assert "signed" in (answered.folder / "results/tuning/report/tuned.md").read_text(encoding="utf-8")
    page = (answered.folder / "results/tuning/index.html").read_text(encoding="utf-8")
    # Two seeds of 3 factors, and of at most one more at each end.
    assert re.search(r"Each choice took (6|8|10)( to (8|10))? runs\.", page)


@pytest.mark.slow
def test_changed_data_are_noticed_and_refused_before_they_train(answered):
    path = answered.folder / "data/wine.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("14.23,", "high,"), encoding="utf-8")
    done = answered.attempt("dvc repro")
    path.write_text(text, encoding="utf-8")
    assert done.returncode != 0
    assert "data/wine.csv: row 2, column alcohol: expected a number, got 'high'" in done.stderr
    assert (answered.folder / "results/metrics/signed.json").exists()


def test_csv_files_become_an_archive(tmp_path):
    (tmp_path / "data").mkdir()
    for name, labels in (("train", (0, 1, 2)), ("test", (2, 1))):
        lines = ["label,a,b", *(f"{label},{label}.5,{label + 1}" for label in labels)]
        (tmp_path / f"data/{name}.csv").write_text("\n".join(lines))
    [code] = [block for block in blocks("python", section("Data of your own")) if "loadtxt" in block]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    arrays = datasets.read(tmp_path / "data/own.npz")
    assert arrays["x_train"].tolist() == [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]
    assert arrays["y_test"].tolist() == [2, 1]
