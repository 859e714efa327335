"""make mine: from an archive and a network file to a params.yaml that works, or to one line and nothing changed."""

import os
import re
import shutil

import numpy as np
import pytest
from pipeline import ROOT, yaml

from descent.core import parameters, process
from descent.core.parameters import InputError
from descent.data import datasets
from descent.data.settings import DataParameters, DatasetInfo, refuse_sizes
from descent.editing import parameters_file
from descent.training.settings import NetworkEntry, Optimizers
from stages import mine

PARAMETERS = (ROOT / "params.yaml").read_text(encoding="utf-8")
BUILD = "def build(input_shape, classes, {}):\n    return keras.Sequential([keras.Input(input_shape), {}])\n"


def network(path, takes, layers="keras.layers.Flatten(), keras.layers.Dense(classes)"):
    path.write_text(f"import keras\n\n\n{BUILD.format(takes, layers)}")
    return path


def archive(path, examples=900, classes=3, **more):
    random = np.random.default_rng(0)
    labels = np.r_[np.arange(classes), random.integers(0, classes, examples)]
    values = (random.normal(size=(len(labels), 8)) + labels[:, None]).astype("float32")
    two_thirds = 2 * len(labels) // 3
    parts = {"train": slice(two_thirds), "test": slice(two_thirds, None)}
    arrays = {f"{axis}_{kind}": a[part] for kind, part in parts.items() for axis, a in (("x", values), ("y", labels))}
    np.savez(path, **arrays, **more)


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
    return str(ended.value)


# Writing into params.yaml


def lines_but(text, words):
    return [line for line in text.splitlines() if not any(word in line for word in words)]


def test_values_change_and_every_other_line_stays():
    values = {"training.epochs": 7, "data.file": "data/own.npz", "report.note": "Mine"}
    written = parameters_file.with_values(PARAMETERS, values)
    words = ("  epochs:", "  file: data/", "  note:")
    assert lines_but(written, words) == lines_but(PARAMETERS, words)
    assert "  epochs: 7                               # passes over" in written


def test_equal_values_change_no_byte():
    written = parameters_file.with_values(PARAMETERS, {"network.config": yaml.load(PARAMETERS)["network"]["config"]})
    assert written == PARAMETERS


def test_mapping_is_replaced_and_the_lines_behind_it_stay():
    text = "a: # of a\n  b:\n    c: [1] # of c\n\n# of d\nd: 1 # one\n"
    assert parameters_file.with_values(text, {"a.b": {"x": [2, 3]}}) == text.replace("c: [1] # of c", "x: [2, 3]")
    assert parameters_file.with_values(text, {"a": {}}) == "a: {} # of a\n\n# of d\nd: 1 # one\n"
    in_a_line = "a: {b: {c: 1}} # of a\n\n# of d\nd: 1\n"
    assert parameters_file.with_values(in_a_line, {"a.b": {"c": 2}}) == in_a_line.replace("c: 1", "c: 2")


def test_new_entry_leaves_the_comment_behind_the_last_one_where_it_is():
    text = "a:\n  b: 1\n\n# of d\nd: 1\n"
    assert parameters_file.with_values(text, {"a.new": {"x": 2}}) == text.replace("a:\n", "a:\n  new:\n    x: 2\n")


def test_removed_key_leaves_the_comment_behind_it():
    text = "a:\n  x: 1\n  runs: 5 # five\n\n# of b\nb:\n  runs: 3 # three\n  c: 1\n"
    removed = parameters_file.with_values(text, {"a.runs": None, "b.runs": None, "b.none": None})
    assert removed == "a:\n  x: 1\n\n# of b\nb:\n  c: 1\n"


# Sizes


@pytest.mark.parametrize(
    "more", [{}, {"validation": 150}, {"selection": 90}, {"validation": 40_000, "selection": 40_000}]
)
@pytest.mark.parametrize("train", [12, 118, 1198, 60_000, 1_000_000])
def test_chosen_sizes_are_accepted_and_give_the_budget_of_the_tutorial(train, more):
    sizes = {"train": train, "test": max(4, train // 2), **more}
    labels = {f"y_{kind}": np.arange(size) % 2 for kind, size in sizes.items()}
    facts = DatasetInfo(sizes, (4,), 2, labels)
    chosen = {choice.key: choice.value for choice in mine.choose_sizes("data/own.npz", facts)}
    data = DataParameters(**{key: chosen[f"data.{key}"] for key in ("file", "train_size", "validation_size")})
    refuse_sizes(data, chosen["tuning.selection_size"], facts, "params.yaml")
    epochs, batch_size = chosen["training.epochs"], chosen["training.batch_size"]
    assert data.train_size % batch_size == 0
    assert data.train_size > 0.6 * min(train, 40_000)
    assert abs(epochs * data.train_size / batch_size - mine.STEPS) <= 0.1 * mine.STEPS
    assert 1 <= chosen["training.last_epochs"] <= epochs / 4 + 1


@pytest.mark.parametrize("rare", [1, 2, 1000])
def test_target_lies_above_what_always_answering_the_largest_class_reaches(rare):
    labels = np.r_[np.ones(rare, int), np.zeros(4000 - rare, int)]
    arrays = {"y_train": labels, "y_test": labels, "y_validation": labels}
    facts = DatasetInfo(dict.fromkeys(("train", "test", "validation"), 4000), (4,), 2, arrays)
    chosen = {choice.key: choice.value for choice in mine.choose_sizes("data/own.npz", facts)}
    assert 1 - rare / 4000 < chosen["training.target_val_accuracy"] <= 1


# The arguments of a network and of an optimizer


def config_of(path, given="", kept=None):
    entry = NetworkEntry(file=str(path) if kept else "networks/mlp.py", config=kept or {})
    [file, config] = mine.choose_network(str(path), given, entry)
    assert file.value == str(path)
    return config.value


def test_config_is_what_is_given_then_what_is_there_then_the_defaults(folder):
    path = network(folder / "networks/own.py", "units, rates=(0.1, 0.2), norm=None, start=object(), act='relu', **more")
    path = path.relative_to(folder)
    assert config_of(path, "units: 16") == {"units": 16, "rates": [0.1, 0.2], "act": "relu"}
    assert config_of(path, kept={"units": 8, "act": "tanh"}) == {"units": 8, "rates": [0.1, 0.2], "act": "tanh"}
    assert config_of(path, "units: 4, act: elu", {"units": 8, "extra": 1})["units"] == 4
    assert config_of("networks/cnn.py") == {"filters": [16, 32], "dropout": 0.25}


@pytest.mark.usefixtures("folder")
def test_arguments_without_a_default_are_asked_for_by_name():
    with pytest.raises(
        InputError, match=r"networks/mlp\.py: build has no default for hidden_units, activation, dropout"
    ):
        config_of("networks/mlp.py")
    with pytest.raises(InputError, match=r"add CONFIG='activation: VALUE, dropout: VALUE'$"):
        config_of("networks/mlp.py", "hidden_units: [8]")
    for given in ("units: [", "units:3", "[1]"):
        with pytest.raises(InputError, match=f"CONFIG: expected 'NAME: VALUE, ...', got {re.escape(repr(given))}$"):
            config_of("networks/cnn.py", given)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("build = 3", "none"),
        ("def build(input_shape):\n    pass", r"build\(input_shape\)"),
        ("def build(input_shape, *, classes):\n    pass", r"build\(input_shape, \*, classes\)"),
    ],
)
def test_network_without_its_function_is_refused_in_a_line(folder, text, got):
    (folder / "networks/own.py").write_text(text)
    with pytest.raises(InputError) as caught:
        config_of("networks/own.py")
    [line] = str(caught.value).splitlines()
    assert line.startswith("NETWORK: networks/own.py: expected a function build(input_shape, classes, ...), got ")
    assert got.replace("\\", "") in line


RULE = """import keras


class Mine(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, power=0.5, limit=None, name="mine", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
"""


def entry_of(folder, text, file="optimizers/own.py", given=""):
    (folder / file).write_text(text)
    return mine.choose_optimizer(file, given, parameters.read("params.yaml", "optimizers", Optimizers))


def test_optimizer_becomes_an_entry_with_its_defaults_which_stays_once_it_is_there(folder):
    choice = entry_of(folder, RULE)
    entry = {"file": "optimizers/own.py", "class_name": "Mine", "config": {"learning_rate": 0.01, "power": 0.5}}
    assert (choice.key, choice.value) == ("optimizers.own", entry)
    assert entry_of(folder, RULE, given="power: 2.0, clipnorm: 1.0").value["config"]["clipnorm"] == 1.0
    entry["config"]["power"] = 0.7
    written = parameters_file.with_values(PARAMETERS, {"optimizers.own": entry})
    (folder / "params.yaml").write_text(written)
    assert list(yaml.load(written)["optimizers"])[:2] == ["own", "sgd"]
    assert entry_of(folder, RULE).value == entry


def test_optimizer_that_is_not_one_new_rule_is_refused(folder):
    with pytest.raises(InputError, match=r"expected one subclass of keras.optimizers.Optimizer, got none"):
        entry_of(folder, "from keras.optimizers import Adam\n")
    with pytest.raises(InputError, match="got Mine, Other"):
        entry_of(folder, f"{RULE}\n\nclass Other(Mine):\n    pass\n")
    with pytest.raises(
        InputError, match=r"optimizers/adam\.py: params.yaml has another optimizer adam; rename the file"
    ):
        entry_of(folder, RULE, "optimizers/adam.py")
    with pytest.raises(
        InputError, match=r"own\.py: Mine has no default for power; add OPTIMIZER_CONFIG='power: VALUE'"
    ):
        entry_of(
            folder,
            RULE.replace("power=0.5", "power").replace("learning_rate=0.01", "learning_rate"),
            given="learning_rate: 1",
        )
    with pytest.raises(InputError, match=r"expected a name of letters, digits, - and _, at most 100, got 'own\.v2'"):
        entry_of(folder, RULE, "optimizers/own.v2.py")


# The command


def test_call_without_data_prints_how_to_call(monkeypatch):
    assert refused(monkeypatch, "").startswith("usage: make mine DATA=data/own.npz [NETWORK=networks/mine.py]")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data/none.npz"], "data/none.npz: no such file"),
        (["params.yaml"], "params.yaml: not an .npz archive, or damaged: "),
        (["data/own.npz", "--network", "networks/none.py"], "NETWORK: no such file: 'networks/none.py'"),
        (["data/own.npz", "--optimizer", "optimizers/none.py"], "OPTIMIZER: no such file: 'optimizers/none.py'"),
        (["data/empty.npz"], "data/empty.npz: no x_train, y_train, x_test, y_test: expected arrays "),
    ],
)
def test_wrong_file_is_refused_in_a_line_and_nothing_is_written(folder, monkeypatch, arguments, message):
    np.savez("data/empty.npz")
    [line] = refused(monkeypatch, *arguments).splitlines()
    assert line.startswith(message)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == PARAMETERS


@pytest.mark.slow
def test_what_check_refuses_leaves_params_yaml_as_it_was(folder, monkeypatch, capfd):
    network(folder / "networks/soft.py", "units=4", "keras.layers.Dense(classes, 'softmax')")
    message = refused(monkeypatch, "data/own.npz", "--network", "networks/soft.py")
    assert message == "params.yaml is as it was: check rejects the values above"
    assert "networks/soft.py: expected logits, got probabilities" in capfd.readouterr().err
    assert (folder / "params.yaml").read_text(encoding="utf-8") == PARAMETERS
    assert not (folder / "results").exists()


@pytest.mark.slow
def test_case_is_written_checked_and_the_same_the_second_time(folder, monkeypatch, capfd):
    few = yaml.load(PARAMETERS)
    few["optimizers"] = {"adam": {"runs": 20, **few["optimizers"]["adam"]}}  # of a race on the old data set
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(few, file)
    before = yaml.load(folder / "params.yaml")
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
    assert before["optimizers"]["adam"].pop("runs") == 20
    for key in ("optimizers", "trajectories", "race"):
        assert after[key] == before[key]
    assert datasets.info(datasets.read(folder / "data/own.npz")).sizes["train"] > after["data"]["train_size"]

    written = (folder / "params.yaml").read_bytes()
    call(monkeypatch, "data/own.npz", "--network", "networks/own.py", "--optimizer", "optimizers/own.py")
    assert "params.yaml: nothing to change" in capfd.readouterr().out
    call(monkeypatch, "data/own.npz")
    assert (folder / "params.yaml").read_bytes() == written
