"""SECURITY.md is true: what params.yaml says is data, to the shell, to the file system and to Keras."""

import ast
import configparser
import re

import pytest
from pipeline import ROOT, Project, stages_run

from descent.core.parameters import ParametersError
from descent.training import networks, optimizers
from descent.training.settings import NetworkEntry, OptimizerEntry

GRAPHS = [(ROOT / path).read_text(encoding="utf-8") for path in ("dvc.yaml", "tuning/dvc.yaml")]
CODE = sorted(path for folder in ("descent", "stages") for path in (ROOT / folder).rglob("*.py"))
HOSTILE = ("$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", "x; touch PWNED", 'x" && touch PWNED "')


def test_of_params_yaml_nothing_but_a_checked_name_stands_in_a_command():
    commands = re.findall(r"\bcmd: (.*)", "\n".join(GRAPHS))
    assert commands
    for command in commands:
        assert re.fullmatch(r"exec python -m stages\.\w+( '\$\{key\}')?", command), command


def test_of_params_yaml_nothing_but_names_and_two_paths_stands_in_the_graphs():
    text = re.sub(r"#.*", "", "\n".join(GRAPHS))
    text = re.sub(r"(?m)^ +(x|x_label|title): .*\$\{training\.score\}.*$", "", text)  # labels of plots
    paths = {"network.file", "data.file"}
    assert set(re.findall(r"\$\{(.*?)\}", text)) == {"key", "download", "optimizers"} | paths


@pytest.mark.slow
def test_keys_and_values_reach_no_shell_and_lead_to_no_file(tmp_path, mnist_archive):
    project = Project.copy(tmp_path / "project", mnist_archive, stubs=["train", "trace", "compare"])

    def change(parameters):
        entry = parameters["optimizers"]["sgd"]
        parameters["optimizers"]["../../../bait"] = dict(entry)
        for name in HOSTILE:
            parameters["optimizers"][name] = {"class_name": "SGD", "config": dict(entry["config"])}
            parameters["download"][name] = dict(parameters["download"]["mnist"])
            entry["config"][name] = name
        entry["class_name"] = HOSTILE[0]
        parameters["tuning"]["grid_size"] = HOSTILE[0]

    project.edit(change)
    bait = tmp_path / "bait.json"
    bait.write_text("not yours")
    done = project.attempt("dvc repro --keep-going")
    assert done.returncode != 0
    assert set(stages_run(done.stdout)) <= {"check"}
    for name in ("../../../bait", *HOSTILE):
        assert f"params.yaml: optimizers.{name!r}: expected a name" in done.stderr
    assert f"params.yaml: download: unknown key {HOSTILE[0]!r}" in done.stderr
    assert bait.read_text() == "not yours"
    assert list(tmp_path.rglob("PWNED*")) == []
    assert not (project.folder / "results").exists() or list((project.folder / "results").iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        {"module": "bad", "class_name": "function", "config": "bad", "registered_name": "bad"},
        {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "exec"},
        {"module": "builtins", "class_name": "__lambda__", "config": {"code": "4wA=", "defaults": None}},
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        HOSTILE[0],
    ],
    ids=str,
)
def test_no_value_of_a_config_becomes_code(value, tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text(f"open({str(tmp_path / 'PWNED')!r}, 'w').close()\nbad = Bad = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    network = {"hidden_units": [2], "activation": value, "dropout": 0.1}
    with pytest.raises(ParametersError, match=r"^params\.yaml: network: networks/mlp\.py: expected a network"):
        networks.builder(NetworkEntry(file="networks/mlp.py", config=network), (2,), 2)(0)
    with pytest.raises(ParametersError, match=r"^here\.config\.learning_rate"):
        optimizers.build(OptimizerEntry(class_name="SGD", config={"learning_rate": value}), "here")
    assert not (tmp_path / "PWNED").exists()


RUNS = r"(eval|exec|compile|__import__)$|os\.(system|popen)$|(\w*pickle|marshal|shelve)\.|yaml\.(unsafe_)?load$"


def test_code_is_run_from_text_in_one_place_no_shell_is_called_and_no_pickle_loaded_but_a_clusters():
    found = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                asked = {keyword.arg for keyword in node.keywords if ast.unparse(keyword.value) != "False"}
                if re.match(RUNS, name) or asked & {"shell", "allow_pickle"}:
                    found.add((path.relative_to(ROOT).as_posix(), name))
    sent = {(path, name) for path, name in found if path.startswith("descent/cluster/") and name.startswith("pickle.")}
    assert sent  # what travels to the workers of a cluster of one's own, and back
    assert found - sent == {("descent/core/user_code.py", "exec"), ("descent/core/user_code.py", "compile")}


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name)
def test_every_package_is_installed_by_its_hash(lock):
    text = re.sub(r"\s*\\\n\s*", " ", lock.read_text(encoding="utf-8"))
    packages = [line for line in text.splitlines() if line and not line.startswith(("#", "-r requirements.txt"))]
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+(\[[\w, -]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", package), package


def test_every_install_of_a_lock_asks_for_hashes():
    files = [ROOT / "Makefile", *ROOT.glob(".github/workflows/*.yml")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    installs = [line for line in lines if re.search(r"^[^#]*pip install .*(-r|--requirement)\b", line)]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_dvc_tells_nobody_what_it_is_used_for_and_asks_for_no_news():
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc/config").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert (config["core"]["analytics"], config["core"]["check_update"]) == ("false", "false")


def test_every_test_that_security_md_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert named
    for path, name in named:
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)
