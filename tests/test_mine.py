"""make mine: from an archive and a network file to a params.yaml that works, or to one line and nothing changed."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pipeline import ROOT, yaml

from descent.core import parameters, process
from descent.core.write_parameters import with_values
from descent.data import datasets
from descent.data.settings import DataParameters, DatasetInfo, refuse_sizes
from descent.training.settings import NetworkEntry, Optimizers
from stages import mine

PARAMETERS = (ROOT / "params.yaml").read_text(encoding="utf-8")
BUILD = """import keras
def build(input_shape, classes, {}):
    model = keras.Sequential([keras.Input(input_shape), {}])
    model.compile("sgd", "mse")
    return model
"""


def network(path, takes, layers="keras.layers.Flatten(), keras.layers.Dense(classes)"):
    path.write_text(BUILD.format(takes, layers))
    return path


def archive(path):
    """900 examples of three classes, most of them for training."""
    random, labels = np.random.default_rng(0), np.arange(900) % 3
    values = (random.normal(size=(900, 8)) + labels[:, None]).astype("float32")
    np.savez(path, x_train=values[:600], y_train=labels[:600], x_test=values[600:], y_test=labels[600:])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the repository's params.yaml and networks, and with an archive; the current folder."""
    for name in ("data", "optimizers"):
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "networks", tmp_path / "networks")
    (tmp_path / "params.yaml").write_text(PARAMETERS, encoding="utf-8")
    archive(tmp_path / "data/own.npz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]]))
    process.load_tensorflow("tests")
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["mine", *map(str, arguments)])
    mine.main()


def refused(monkeypatch, *arguments):
    """The message of a call that must fail."""
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, *arguments)
    assert Path("params.yaml").read_text(encoding="utf-8") == PARAMETERS
    return str(ended.value)


def test_values_change_and_every_other_line_and_comment_stays():
    values = {"training.epochs": 7, "data.file": "data/own.npz", "report.note": "Mine"}
    written = with_values(PARAMETERS, values | {"network.config": yaml.load(PARAMETERS)["network"]["config"]})
    lines = zip(PARAMETERS.splitlines(), written.splitlines(), strict=True)
    changed = [line.split("  #")[0].strip() for before, line in lines if before != line]
    assert changed == ["file: data/own.npz", "epochs: 7", "note: Mine"]
    assert "  epochs: 7                               # passes over" in written


@pytest.mark.parametrize("more", [{}, {"validation": 150, "selection": 90}])
@pytest.mark.parametrize("train", [12, 1198, 1_000_000])
@pytest.mark.parametrize("rarity", [2, 3])
def test_chosen_sizes_are_accepted_and_give_the_committed_budget_and_a_target_of_use(train, rarity, more):
    sizes = {"train": train, "test": max(4, train // 2), **more}
    labels = {f"y_{kind}": (np.arange(size) % rarity == 0).astype(int) for kind, size in sizes.items()}
    facts = DatasetInfo(sizes, (4,), 2, labels)
    chosen = {key: value for key, value, _ in mine.choose_sizes("data/own.npz", facts)}
    data = DataParameters(**{key: chosen[f"data.{key}"] for key in ("file", "train_size", "validation_size")})
    refuse_sizes(data, chosen["tuning.selection_size"], facts, "params.yaml")
    epochs, batch_size = chosen["training.epochs"], chosen["training.batch_size"]
    assert data.train_size % batch_size == 0
    assert data.train_size > (0.6 if train < 100 else 0.8) * min(train, 40_000)
    assert abs(epochs * data.train_size / batch_size - mine.STEPS) <= 0.1 * mine.STEPS
    assert 1 <= chosen["training.last_epochs"] <= epochs / 4 + 1
    judging = labels.get("y_validation", labels["y_test"])[: data.validation_size]
    assert max(judging.mean(), 1 - judging.mean()) < chosen["training.target_val_accuracy"] <= 1


RARE = "98.0% of the examples are 0: consider training.score: balanced_accuracy"
FEW = "One validation example is about 2.8 percentage points: small differences cannot be seen"


@pytest.mark.parametrize(
    ("rare", "validation", "score", "hints"),
    [
        (20, 100, "accuracy", [RARE]),
        (20, 36, "accuracy", [FEW, RARE]),
        (20, 36, "balanced_accuracy", [FEW]),
        (20, 36, "loss", []),
        (300, 100, "accuracy", []),
    ],
)
def test_rare_class_and_few_validation_examples_bring_a_hint_where_the_score_is_an_accuracy(
    rare, validation, score, hints
):
    facts = DatasetInfo({"train": 1000}, (4,), 2, {"y_train": np.repeat([0, 1], [1000 - rare, rare])})
    assert mine.hints(facts, validation, score) == hints


def config_of(path, given="", kept=None):
    entry = NetworkEntry(file=str(path) if kept else "networks/mlp.py", config=kept or {})
    _, (_, config, _) = mine.choose_network(str(path), given, entry)
    return config


def test_config_is_what_is_given_then_what_is_there_then_the_defaults(folder):
    path = network(folder / "networks/own.py", "units, rates=(0.1, 0.2), norm=None, start=object(), act='relu', **more")
    path = path.relative_to(folder)
    assert config_of(path, "units: 16") == {"units": 16, "rates": [0.1, 0.2], "act": "relu"}
    assert config_of(path, kept={"units": 8, "act": "tanh"}) == {"units": 8, "rates": [0.1, 0.2], "act": "tanh"}
    assert config_of(path, "units: 4, act: elu", {"units": 8, "extra": 1})["units"] == 4


RULE = """import keras


class Mine(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, power=0.5, limit=None, name="mine", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
"""


def test_optimizer_becomes_an_entry_with_its_defaults_which_stays_once_it_is_there(folder):
    def choose(given=""):
        entries = parameters.read("params.yaml", "optimizers", Optimizers)
        return mine.choose_optimizer("optimizers/own.py", given, entries)[:2]

    (folder / "optimizers/own.py").write_text(RULE)
    entry = {"file": "optimizers/own.py", "class_name": "Mine", "config": {"learning_rate": 0.01, "power": 0.5}}
    assert choose() == ("optimizers.own", entry)
    assert choose("power: 2.0, clipnorm: 1.0")[1]["config"]["clipnorm"] == 1.0
    entry["config"]["power"] = 0.7
    (folder / "params.yaml").write_text(with_values(PARAMETERS, {"optimizers.own": entry}))
    assert choose()[1] == entry


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "Usage: make mine DATA=data/own.npz [NETWORK=networks/mine.py]"),
        (["data/none.npz"], "data/none.npz: no such file"),
        (["data/own.npz", "--network", "networks/none.py"], "NETWORK: no such file: 'networks/none.py'"),
        (["data/own.npz", "--network", "networks/empty.py"], "NETWORK: networks/empty.py: expected a function build("),
        (
            ["data/own.npz", "--network", "networks/mlp.py", "--config", "units:3"],
            "CONFIG: expected 'NAME: VALUE, ...'",
        ),
        (["data/own.npz", "--network", "networks/cnn.py", "--config", "units: ["], "CONFIG: expected 'NAME: VALUE"),
        (["data/own.npz", "--optimizer", "optimizers/none.py"], "OPTIMIZER: no such file: 'optimizers/none.py'"),
        (["data/own.npz", "--optimizer", "networks/empty.py"], "expected one subclass of keras.optimizers.Optimizer"),
        (["data/own.npz", "--optimizer", "optimizers/adam.py"], "params.yaml has another optimizer adam"),
        (["data/own.npz", "--optimizer", "optimizers/own.v2.py"], "expected a name of letters, digits, - and _"),
        (
            ["data/own.npz", "--optimizer", "optimizers/own.py"],
            "no default for learning_rate, power; add OPTIMIZER_CONFIG=",
        ),
    ],
)
def test_wrong_argument_is_refused_and_nothing_is_written(monkeypatch, arguments, message):
    Path("networks/empty.py").write_text("build = 3")
    for name in ("adam", "own.v2"):
        Path(f"optimizers/{name}.py").write_text(RULE)
    Path("optimizers/own.py").write_text(RULE.replace("=0.01, power=0.5", ", power"))
    assert message in refused(monkeypatch, *arguments)


@pytest.mark.slow
def test_what_check_refuses_leaves_params_yaml_as_it_was(folder, monkeypatch, capfd):
    network(folder / "networks/soft.py", "units=4", "keras.layers.Dense(classes, 'softmax')")
    message = refused(monkeypatch, "data/own.npz", "--network", "networks/soft.py")
    assert message == "params.yaml is as it was: check rejects the values above"
    assert "networks/soft.py: expected logits, got probabilities" in capfd.readouterr().err


@pytest.mark.slow
def test_case_is_written_checked_and_the_same_the_second_time(folder, monkeypatch, capfd):
    before = yaml.load(PARAMETERS)
    before["optimizers"] = {"adam": before["optimizers"]["adam"]}
    yaml.dump(before, folder / "params.yaml")
    network(folder / "networks/own.py", "units", "keras.layers.Dense(units), keras.layers.Dense(classes)")
    (folder / "optimizers/own.py").write_text((ROOT / "optimizers/lion.py").read_text())
    given = "learning_rate: 0.001, beta_1: 0.9, beta_2: 0.99"
    call(
        monkeypatch, folder / "data/own.npz", "--network", "./networks/own.py", "--config", "units: 16",
        "--optimizer", "optimizers/own.py", "--optimizer-config", given,
    )  # fmt: skip
    output = capfd.readouterr().out
    assert "2 optimizers" in output
    assert "git add params.yaml data/own.npz networks/own.py optimizers/own.py\nNext: make repro\n" in output
    after = yaml.load(folder / "params.yaml")
    assert after["download"] == {}
    assert after["data"]["file"] == "data/own.npz"
    assert after["network"] == {"file": "networks/own.py", "config": {"units": 16}}
    assert after["report"].pop("note") == "Learning rates untuned"
    assert after["optimizers"].pop("own")["config"] == {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99}
    for key in ("optimizers", "trajectories", "race"):
        assert after[key] == before[key]
    assert datasets.info(datasets.read(folder / "data/own.npz")).sizes["train"] > after["data"]["train_size"]

    written = (folder / "params.yaml").read_bytes()
    monkeypatch.setattr(mine.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))  # `check`, again
    call(monkeypatch, "data/own.npz", "--network", "networks/own.py", "--optimizer", "optimizers/own.py")
    assert "params.yaml: nothing to change" in capfd.readouterr().out
    assert (folder / "params.yaml").read_bytes() == written
