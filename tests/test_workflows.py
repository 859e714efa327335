"""GitHub's workflows: what they call exists, what they may do is little."""

import re
import subprocess
import tomllib

import pytest
from dvc.cli import parse_args
from pipeline import ROOT, yaml

WORKFLOWS = {path.name: yaml.load(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


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


def test_all_tests_run_on_the_oldest_python_and_the_fast_ones_on_the_other():
    steps = WORKFLOWS["test.yml"]["jobs"]["test"]["steps"]
    conditions = {step["run"].split()[1]: step.get("if") for step in steps if step.get("run", "").startswith("make ")}
    oldest, _ = WORKFLOWS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert conditions == {
        "lint": None, "test-all": f"matrix.python == '{oldest}'", "test": f"matrix.python != '{oldest}'"
    }  # fmt: skip
