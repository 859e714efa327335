"""README and docs are true: every command exists, every link leads somewhere, every quoted figure is committed."""

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

from descent.trajectories import paths
from stages import check
from tools import experiments, readme

PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands():
    """Every command line that a page shows, once."""
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, block in re.findall(r"```(sh|console)\n(.*?)```", text, re.DOTALL):
            lines = [line.split("  #")[0].strip() for line in block.splitlines()]
            found |= {line.removeprefix("$ ") for line in lines if line and (language == "sh" or line.startswith("$ "))}
    return sorted(found)


@pytest.mark.parametrize("line", commands())
def test_shown_command_exists(line):
    program, *arguments = shlex.split(line.split(" | ")[0])
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "dvc":
        parse_args(arguments)  # raises for a command or an option that DVC does not have
    elif program == "python" and arguments[0] != "-m":  # a file that the page has the reader make
        assert any(f"```python\n# {arguments[0]}\n" in page.read_text(encoding="utf-8") for page in PAGES)
    elif program == "python":
        assert (ROOT / Path(*arguments[1].split(".")).with_suffix(".py")).is_file()
    else:
        assert program in ("pip", "pytest", "cat", "git", "sed"), program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
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


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- begin " in page.read_text(encoding="utf-8")])
def test_quoted_text_is_what_the_committed_results_give(page, compared):
    text = page.read_text(encoding="utf-8")
    assert readme.embed(text, compared) == text


def test_readme_opens_with_the_answer_that_the_report_gives(compared):
    answer = (compared / "results/report/ranking.md").read_text(encoding="utf-8").splitlines()[0]
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").split("```sh")[0]
    assert answer in first_screen.splitlines()


def test_committed_tables_and_figures_are_what_the_committed_histories_give(compared):
    status = Project(compared).run("git status --porcelain")
    assert status == ""


def experiments_of_readme():
    """Each `dvc exp run` of README that runs at once, in the order in which they stand, by the experiment's name."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?:^|`)(dvc exp run [^`\n]*)", text, re.MULTILINE)
    return {shlex.split(line)[-1]: line for line in lines}


def _flat(tree, path=""):
    """Map each key path of nested mappings to its value."""
    if not isinstance(tree, dict):
        return {path: tree}
    found = {}
    for name, part in tree.items():
        found |= _flat(part, f"{path}.{name}" if path else name)
    return found


@pytest.mark.parametrize("line", experiments_of_readme().values(), ids=experiments_of_readme())
def test_experiment_of_readme_changes_what_it_says_and_nothing_else_and_is_understood(line, tmp_path, monkeypatch):
    for name in ("networks", "optimizers"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    words = shlex.split(line)
    options = [word for option, word in pairwise(words) if option == "-S"]
    before = _flat(yaml.load(path))
    apply_overrides(path, options)  # as `dvc exp run` does
    after = _flat(yaml.load(path))
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    told = [option.lstrip("~+").split("=")[0] for option in options]
    assert changed
    for key in changed:
        assert any(f"{key}.".startswith(f"{path}.") for path in told), f"changed {key}"
    for path in told:
        assert any(f"{key}.".startswith(f"{path}.") for key in changed), f"did not change {path}"
    monkeypatch.chdir(tmp_path)
    faults, read, _ = check.understand()
    assert (faults, read.keys()) == ([], check.SECTIONS.keys())


def test_pages_of_experiments_show_their_own_commands():
    for name, lines in experiments.EXPERIMENTS.items():
        page = (ROOT / experiments.FOLDER / f"{name}.md").read_text(encoding="utf-8")
        shown = [line for line in lines if not line.startswith(("## ", "sed --separate"))]
        assert re.findall(r"^\$ (.*)$", page, re.MULTILINE) == shown


def test_python_versions_are_the_same_everywhere():
    oldest, newest = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', read("pyproject.toml")).groups()
    newest = int(newest) - 1
    assert f"3.{oldest} to 3.{newest}" in read("README.md")
    assert f"(3, {oldest}) <= sys.version_info[:2] <= (3, {newest})" in read("Makefile")
    assert f'target-version = "py3{oldest}"' in read("pyproject.toml")
