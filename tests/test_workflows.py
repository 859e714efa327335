"""GitHub's workflows: what they call exists, and they may only read."""

import re
import tomllib

from pipeline import ROOT, yaml

WORKFLOWS = {path.name: yaml.load(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_targets_and_modules_that_are_called_exist():
    text, makefile = "\n".join(SCRIPTS), (ROOT / "Makefile").read_text(encoding="utf-8")
    targets, modules = re.findall(r"\bmake ([a-z-]+)", text), re.findall(r"python -m stages\.(\w+)", text)
    assert targets
    assert all(re.search(f"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert modules
    assert all((ROOT / f"stages/{name}.py").is_file() for name in modules)


def test_workflows_may_only_read():
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
        assert not any("permissions" in job for job in workflow["jobs"].values())


def test_actions_are_githubs_own_at_a_commit_with_its_version_beside_it():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml")]
    uses = re.findall(r"uses: (.*)", "\n".join(texts))
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in uses)


def test_no_expression_becomes_a_part_of_a_script():
    assert SCRIPTS
    assert not any("${{" in text for text in SCRIPTS)


def test_all_tests_run_on_the_oldest_supported_python_and_the_fast_ones_on_the_newest():
    job = WORKFLOWS["test.yml"]["jobs"]["test"]
    oldest, newest = job["strategy"]["matrix"]["python"]
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert supported == f">={oldest},<3.{int(newest.removeprefix('3.')) + 1}"
    runs = {step["run"].split()[1]: step.get("if") for step in job["steps"] if step.get("run", "").startswith("make")}
    assert (runs["test-all"], runs["test"]) == (f"matrix.python == '{oldest}'", f"matrix.python != '{oldest}'")
