"""README and docs are true: every command exists, every link leads somewhere, every quoted figure is committed."""

import csv
import json
import re
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from dvc.cli import parse_args
from dvc.utils.hydra import apply_overrides
from pipeline import ROOT, Project, yaml

from descent.analysis import records
from descent.trajectories import paths
from stages import check
from tools import experiments, readme, series

PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands():
    """Every command line that a page shows, once."""
    found = set()
    for page in PAGES:
        for language, block in re.findall(r"```(sh|console)\n(.*?)```", read(page), re.DOTALL):
            lines = [line.split("  #")[0].strip() for line in block.splitlines()]
            found |= {line.removeprefix("$ ") for line in lines if line and (language == "sh" or line.startswith("$ "))}
    return sorted(found)


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("line", commands())
def test_shown_command_exists(line):
    program, *arguments = shlex.split(line.split(" | ")[0])
    if program == "make":
        assert {argument for argument in arguments if "=" not in argument} <= TARGETS
    elif program == "dvc":
        parse_args(arguments)  # raises for a command or an option that DVC does not have
    elif program == "python" and arguments[0] != "-m":  # a file that the page has the reader make
        assert any(f"```python\n# {arguments[0]}\n" in read(page) for page in PAGES)
    elif program == "python":
        assert (ROOT / Path(*arguments[1].split(".")).with_suffix(".py")).is_file()
    else:
        assert program in ("pip", "pytest", "cat", "git", "sed"), program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", read(page)):
        assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def compared(tmp_path_factory, mnist_archive):
    """A clone in which `compare` and `compare_tuning` ran on the committed histories, metrics and runs."""
    folder = tmp_path_factory.mktemp("compared") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    project = Project(folder)
    (folder / "data/raw").mkdir(parents=True)
    shutil.copy(mnist_archive, folder / "data/raw/mnist.npz")
    project.run("python -m stages.prepare")
    (folder / "results/network.json").write_text('{"parameters": 1}')  # of `check`, for the page alone
    project.run("python -m stages.compare")
    (folder / "results/tuning/paths.csv").write_text(",".join(paths.COLUMNS) + "\n")  # of `follow`, for the page alone
    project.run("python -m stages.compare_tuning")
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- begin " in read(page)])
def test_quoted_text_is_what_the_committed_results_give(page, compared):
    assert readme.embed(read(page), compared) == read(page)


def test_committed_tables_and_figures_are_what_the_committed_histories_give(compared):
    assert Project(compared).run("git status --porcelain") == ""


EXPERIMENTS = re.findall(r"(?:^|`)(dvc exp run [^`\n]*)", read("README.md"), re.MULTILINE)


@pytest.mark.parametrize("line", EXPERIMENTS)
def test_experiment_of_readme_is_understood(line, tmp_path, monkeypatch):
    for name in ("networks", "optimizers"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    before = yaml.load(path)
    apply_overrides(path, [word for option, word in pairwise(shlex.split(line)) if option == "-S"])  # as DVC does
    assert yaml.load(path) != before
    monkeypatch.chdir(tmp_path)
    faults, understood, _ = check.understand()
    assert (faults, understood.keys()) == ([], check.SECTIONS.keys())


def test_what_readme_says_in_its_own_words_is_what_the_results_say():
    said, races = " ".join(read("README.md").split()), read(experiments.FOLDER / "race.md")
    winners = re.findall(
        r"^\*\*(?:Every.* tuned\. )?(\w+) is the best.* by (0\.\d+) percentage points", races, re.MULTILINE
    )
    assert (
        "until one is left: {} at the default rates, {} at the tuned ones. Each leads by less".format(*dict(winners))
        in said
    )
    assert max(float(lead) for _, lead in winners) < 0.2
    tuned = {row["optimizer"]: row for row in csv.DictReader(read("results/tuning/report/tuned.csv").splitlines())}
    adam, sgd = tuned["adam"], tuned["sgd"]
    assert (adam["may_be_best"], sgd["may_be_best"]) == ("yes", "no")
    assert float(adam["val_accuracy"]) < float(sgd["val_accuracy"])
    assert float(adam["gain"]) < 0
    gaps = []
    for rates in ("val_accuracy", "default"):
        best, name = max((float(row[rates]), row["optimizer"]) for row in tuned.values())
        gaps += [100 * (best - float(sgd[rates])), name]
    assert "sgd is {:.2f} points behind {} instead of {:.2f} behind {}. So most of its gap".format(*gaps) in said
    example = re.search(r"\| adam \| ([\d.]+) [^|]*\| ([\d.]+) [^|]*\| (-\d\.\d\d) \|[^|]*\| within noise \|", said)
    before, after, change = map(float, example.groups())
    assert f"The change is {change}, not {after - before:.2f}, since the means shown are rounded" in said
    may_win = re.search(r"is tuned\. (\w+) of the eight optimizers could", said)[1].lower()  # quoted from the study
    assert f"At the tuned rates, {may_win} of the eight could be the best" in said


def test_pages_of_experiments_show_their_own_commands():
    for name, lines in experiments.EXPERIMENTS.items():
        shown = [line for line in lines if not line.startswith("## ")]
        assert re.findall(r"^\$ (.*)$", read(experiments.FOLDER / f"{name}.md"), re.MULTILINE) == shown


def tables_with_main():
    """The tables of the pages of experiments that have a column of the branch main: head and rows of cells."""
    for page in sorted((ROOT / experiments.FOLDER).glob("*.md")):
        for block in re.findall(r"(?:^\|.*\n)+", read(page), re.MULTILINE):
            head, _, *rows = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines())
            if any(f"{cell} ".startswith("main ") for cell in head):
                yield pytest.param(head, rows, id=f"{page.stem}-{head[0]}")


@pytest.mark.parametrize(("head", "rows"), list(tables_with_main()))
def test_what_a_page_shows_of_main_is_the_committed_baseline_to_the_digit(head, rows):
    results = records.read_results(read)
    means = series.column(results)
    runs = {name: f"(n = {len(training.final_accuracy)})" for name, training in results.trainings.items()}
    [place] = [number for number, cell in enumerate(head) if f"{cell} ".startswith("main ")]
    for row in rows:
        if head[0] == "Path":  # of dvc metrics diff
            assert row[place] == str(round(json.loads(read(row[0]))[row[1]], 5)), row
        elif "(n = " in head[place]:  # of tools.series
            assert (head[place], row[place]) == (f"main {runs[row[0]]}", means[row[0]])
        else:  # of stages.diff
            assert row[place] == f"{means[row[0]].strip('*')} {runs[row[0]]}"


def test_python_versions_are_the_same_everywhere():
    oldest, newest = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', read("pyproject.toml")).groups()
    newest = int(newest) - 1
    assert f"3.{oldest} to 3.{newest}" in read("README.md")
    assert f"(3, {oldest}) <= sys.version_info[:2] <= (3, {newest})" in read("Makefile")
    assert f'target-version = "py3{oldest}"' in read("pyproject.toml")
