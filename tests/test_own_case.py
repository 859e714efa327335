"""docs/own.md is true: its example runs, and races on it train each run once."""

import re

import browser
import pytest
from pipeline import ROOT, Project, shrink, stages_run, yaml

NAMES = ["sgd", "signed"]
PAGE = (ROOT / "docs/own.md").read_text(encoding="utf-8")


def section(title):
    """The text below a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(language, text):
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def small(parameters):
    shrink(parameters)
    del parameters["optimizers"]["adam"]
    parameters["race"]["looks"] = [2, 3]
    parameters["tuning"]["max_extra"] = 0


@pytest.fixture(scope="module")
def answered(tmp_path_factory, mnist_archive):
    """A project in which the section was followed, committed, and what its commands printed."""
    text = section("An example from start to end")
    project = Project.copy(tmp_path_factory.mktemp("own") / "project", mnist_archive, small)
    for block in blocks("python", text):
        (project.folder / re.match(r"# (\S+)\n", block)[1]).write_text(block, encoding="utf-8")
    project.output = ""
    project.run("env --unset PYTHONPATH python make_digits.py")  # scikit-learn is hidden by it
    first, second, third = [block.splitlines() for block in blocks("sh", text)]
    assert first.pop() == second.pop() == "make repro"  # as the third block has it; of the first, its data are cut
    assert second.pop().startswith("make mine DATA=data/wine.csv")  # as the third does, with an optimizer
    assert third.pop() == "make tune"  # which the race of the study begins with
    for line in [*first, "dvc repro prepare", *second, *third]:
        if line.startswith("make"):  # without an environment of its own
            project.output += project.run(f"{line} --old-file .venv/requirements.txt.installed")
        elif line.startswith("dvc"):
            project.output += project.run(line)
        else:
            project.run(f"env --unset PYTHONPATH {line}")
    project.commit("Reproduce")
    return project


@pytest.mark.slow
def test_commands_of_the_page_print_its_table_and_end_with_an_answer(answered):
    [shown] = blocks("text", section("An example from start to end"))
    assert shown in answered.output
    assert "data/digits.npz: the largest class, " in answered.output  # of `prepare`
    answer = (answered.folder / "results/report/ranking.md").read_text(encoding="utf-8")
    assert "wine.csv: the first 88 training examples" in answer
    assert "Network: networks/table.py (units 64)" in answer
    assert re.search(r"^\| signed +\|", answer, re.MULTILINE)
    assert re.match(r"\*\*.*(sgd|signed).*\*\*\n", answer)
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


def trained(output):
    """How many runs the stages trained, of all that was printed."""
    return sum(int(number) for number in re.findall(r"  run (\d+)/\1  ", output))


def histories(project):
    return {path.stem: path.read_text().splitlines() for path in (project.folder / "results/history").iterdir()}


@pytest.mark.slow
def test_module_that_computes_no_run_trains_nothing(answered):
    with (answered.folder / "descent/runs/executor.py").open("a") as file:
        file.write("# a comment\n")
    output = answered.run("dvc repro")
    assert stages_run(output) == ["compare", *(f"train@{name}" for name in NAMES)]
    assert trained(output) == 0
    assert output.count(": 2 of 2 runs were kept\n") == 2
    assert "loading TensorFlow" not in output
    assert answered.run("git status --porcelain results") == ""


@pytest.mark.slow
def test_race_trains_each_run_once(answered):
    before, store = histories(answered), answered.folder / ".dvc/tmp/runs"
    kept = {path.name: path.stat().st_ino for path in store.iterdir()}
    output = answered.run("python -m stages.race --jobs 2")
    runs = dict.fromkeys(NAMES, 2) | answered.wanted()
    assert max(runs.values()) == 3
    assert trained(output) == sum(runs.values()) - 4
    assert {name: (store / name).stat().st_ino for name in kept} == kept
    for name, lines in histories(answered).items():
        assert [line for line in lines if not line.startswith("2,")] == before[name]
        assert len(lines) - 1 == (len(before[name]) - 1) / 2 * runs[name]
    assert re.search(r"^Next: 3 runs of each optimizer in the race \(\d new ones, about \d+ s\)$", output, re.MULTILINE)


@pytest.mark.slow
def test_study_of_your_case_runs_with_your_optimizer_and_races(answered):
    before = answered.wanted()
    output = answered.run("python -m stages.race --jobs 2 --study")  # which begins with the study
    assert re.search(r"^After 2 runs of each:\n", output, re.MULTILINE)
    assert re.search(r"\nThe race is over after \d runs in all: (one optimizer|no look) is left.*\n$", output)
    assert answered.wanted() == before
    tuned = answered.wanted("tuned_runs")
    assert set(tuned.values()) <= {3}
    epochs = yaml.load(answered.folder / "params.yaml")["training"]["epochs"]
    for name in NAMES:
        lines = (answered.folder / f"results/tuning/runs/{name}.csv").read_text(encoding="utf-8").splitlines()
        assert sum(",report," in f",{line}," for line in lines) == tuned.get(name, 2) * epochs
    assert stages_run(answered.run("dvc repro tuning/dvc.yaml")) == []
    assert "signed" in (answered.folder / "results/tuning/report/tuned.md").read_text(encoding="utf-8")
    page = (answered.folder / "results/tuning/index.html").read_text(encoding="utf-8")
    assert "Each choice took 6 runs." in page  # two seeds of 3 factors


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
