"""GitHub's workflows: what they call exists, and they may only read."""

import re

from pipeline import ROOT, yaml

WORKFLOWS = {path.name: yaml.load(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


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
