"""GitHub's workflows: what they call exists, and their scripts do what they promise in a small repository."""

import json
import re
import subprocess
import tomllib

import pytest
from dvc.cli import parse_args
from pipeline import ROOT, Project, stages_run, yaml

WORKFLOWS = {path.name: yaml.load(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
PIPELINE = """
stages:
  prepare:
    cmd: echo data > data.txt
    outs: [data.txt]
  train:
    matrix: {optimizer: [adam, sgd]}
    cmd: python train.py ${item.optimizer}
    deps: [data.txt, train.py]
    params: ["${item.optimizer}"]
    outs: ["${item.optimizer}.txt"]
    metrics: ["metrics/${item.optimizer}.json": {cache: false}]
  compare:
    cmd: cat adam.txt sgd.txt > report.txt
    deps: [adam.txt, sgd.txt]
    outs: [report.txt]
"""
TRAIN = """
import json, pathlib, sys, yaml
name = sys.argv[1]
rate = yaml.safe_load(open("params.yaml"))[name]["learning_rate"]
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics", f"{name}.json").write_text(json.dumps({"val_accuracy": rate}))
pathlib.Path(f"{name}.txt").write_text(f"{rate}")
"""


def script(identity):
    (found,) = [step["run"] for step in STEPS if step.get("id") == identity]
    return found


def run(project, identity):
    """Run a step as GitHub runs it on a pull request to main; returns its output."""
    (project.folder.parent / "step.sh").write_text(script(identity))
    variables = "BASE=origin/main FIGURES=https://example.org/figures GITHUB_STEP_SUMMARY=../summary.md"
    return project.run(f"{variables} bash -e ../step.sh")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A repository with a pipeline of seconds, reproduced, pushed to a DVC remote beside it, and committed on main."""
    project = Project(tmp_path_factory.mktemp("workflows") / "project")
    project.folder.mkdir()
    files = {
        "dvc.yaml": PIPELINE,
        "train.py": TRAIN,
        "params.yaml": "adam: {learning_rate: 0.25}\nsgd: {learning_rate: 0.5}\n",
        ".gitignore": "/*.txt\n",
        "stages/diff.py": "import sys\nprint('told of', *sys.argv[1:])\n",
    }
    (project.folder / "stages").mkdir()
    for name, text in files.items():
        (project.folder / name).write_text(text)
    project.init()
    project.run("dvc remote add --default store ../remote")
    project.repro("--quiet")
    project.run("dvc push --quiet")
    project.commit("Reproduce")
    return project


@pytest.fixture(params=["remote", "no remote"])
def clone(request, trained, tmp_path):
    """What a runner of GitHub starts from: a clone without any data, with and without a DVC remote."""
    trained.run(f"git clone --quiet . {tmp_path / 'clone'}")
    project = Project(tmp_path / "clone")
    if request.param == "remote":
        project.run(f"dvc remote modify store url {trained.folder.parent / 'remote'}")
    else:
        project.run("dvc remote remove store")
    return project, request.param == "remote"


def test_nothing_is_run_where_the_results_are_up_to_date_and_a_remote_gives_the_report(clone):
    project, has_remote = clone
    assert stages_run(run(project, "reproduce")) == []
    assert (project.folder / "report.txt").exists() == has_remote


def test_changed_optimizer_alone_is_trained_with_a_remote_and_everything_without(clone):
    project, has_remote = clone
    project.edit(lambda parameters: parameters["adam"].update(learning_rate=0.125))
    expected = ["compare", "train@adam"] if has_remote else ["compare", "prepare", "train@adam", "train@sgd"]
    assert stages_run(run(project, "reproduce")) == expected
    assert (project.folder / "report.txt").read_text() == "0.1250.5"


def test_failing_stage_fails_the_step(clone):
    project, _ = clone
    (project.folder / "train.py").write_text("raise SystemExit(1)")
    with pytest.raises(AssertionError, match="train@"):
        run(project, "reproduce")


def test_summary_shows_what_a_pull_request_changes(trained, tmp_path):
    trained.run(f"git clone --quiet . {tmp_path / 'clone'}")
    project = Project(tmp_path / "clone")
    project.run("git checkout --quiet -b faster")
    project.edit(lambda parameters: parameters["adam"].update(learning_rate=0.125))
    (project.folder / "metrics/adam.json").write_text(json.dumps({"val_accuracy": 0.75}))
    project.commit("Change a rate")

    run(project, "summarize")

    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("## Against origin/main\n")
    assert "(https://example.org/figures)" in summary
    summary, told = summary.split("### Beyond noise?")
    assert told.strip() == "told of origin/main --md"
    parameters, metrics = summary.split("### Parameters")[1].split("### Metrics")
    rows = [
        [[cell.strip() for cell in row.split("|")[1:-1]] for row in part.split("\n") if "|" in row]
        for part in (parameters, metrics)
    ]
    assert rows[0][2:] == [["params.yaml", "adam.learning_rate", "0.25", "0.125"]]
    assert rows[1][2:] == [["metrics/adam.json", "val_accuracy", "0.25", "0.75", "0.5"]]


@pytest.mark.parametrize("command", sorted({c for text in SCRIPTS for c in re.findall(r"\bmake [^|&\n]*", text)}))
def test_make_knows_every_target_that_is_called(command):
    name, *arguments = command.split()
    subprocess.run([name, "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("call", sorted({c for text in SCRIPTS for c in re.findall(r"\bdvc ([^|)\n]*)", text)}))
def test_dvc_knows_every_command_and_option_that_is_called(call, capsys):
    words = call.split()
    command = words[: 2 if words[0] in ("metrics", "params", "plots", "remote") else 1]
    with pytest.raises(SystemExit, match=r"^0$"):
        parse_args([*command, "--help"])
    known = capsys.readouterr().out
    assert set(re.findall(r"--[a-z-]+", call)) <= set(re.findall(r"--[a-z-]+", known))


def test_every_module_and_stage_that_is_called_exists():
    text = "\n".join(SCRIPTS)
    modules = set(re.findall(r"python -m (stages\.\w+)", text))
    assert modules == {"stages.diff"}
    assert (ROOT / "stages/diff.py").is_file()
    assert set(re.findall(r"dvc pull (\w+)", text)) <= set(yaml.load(ROOT / "dvc.yaml")["stages"])


def test_workflows_may_only_read():
    assert len(WORKFLOWS) == 3
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
        assert not any("permissions" in job for job in workflow["jobs"].values())


def test_actions_are_githubs_own_at_a_commit_with_its_version_beside_it():
    lines = [line for path in WORKFLOWS for line in (ROOT / ".github/workflows" / path).read_text().splitlines()]
    uses = [line.split("uses: ")[1] for line in lines if "uses: " in line]
    assert len(uses) == sum("uses" in step for step in STEPS)
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in uses)


def test_no_expression_becomes_a_part_of_a_script():
    assert SCRIPTS
    assert not any("${{" in text for text in SCRIPTS)


def test_oldest_and_newest_supported_python_are_tested():
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    oldest, newest = WORKFLOWS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    major, minor = newest.split(".")
    assert supported == f">={oldest},<{major}.{int(minor) + 1}"
