"""Claims about your optimizer file: what it may be; and whatever it does wrong is said on one line."""

import sys
from pathlib import Path

import keras
import pytest

from descent.checks import trial
from descent.core.parameters import ParametersError
from descent.training import optimizers
from descent.training.settings import OptimizerEntry

WHERE = "params.yaml: optimizers.mine"
MINE = """
from __future__ import annotations
import dataclasses, keras
class Mine(keras.optimizers.SGD):
    def __init__(self, learning_rate, push=0.5, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.push = push
@dataclasses.dataclass
class Other:
    push: dataclasses.InitVar[float]  # which dataclasses look up in the module
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Writes optimizers/mine.py, and gives an entry that names a class of it."""
    monkeypatch.chdir(tmp_path)
    Path("optimizers").mkdir()

    def write(code, class_name="Mine", **config):
        Path("optimizers/mine.py").write_text(code, encoding="utf-8")
        return OptimizerEntry(class_name=class_name, config=config, file="optimizers/mine.py")

    return write


def refusal(entry, make=optimizers.build):
    """The only line of the error that building gives."""
    with pytest.raises(ParametersError) as caught:
        make(entry, WHERE)
    [line] = str(caught.value).splitlines()
    return line


def test_own_class_is_built_from_its_file_with_its_config_and_read_anew_after_an_edit(mine):
    optimizer = optimizers.build(mine(MINE, learning_rate=1, push=0), WHERE)
    assert type(optimizer).__name__ == "Mine"
    assert (optimizer.push, float(optimizer.learning_rate)) == (0, 1)
    assert optimizers.build(mine(MINE.replace("push=0.5", "push=0.6"), learning_rate=0.1), WHERE).push == 0.6


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("class Mine(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found' ({file}, line 1)"),
        ("import sys\nsys.exit(0)", "SystemExit: 0 ({file}, line 2)"),
    ],
)
def test_own_file_that_cannot_be_run_is_refused_with_reason_and_line(mine, code, reason):
    file = "optimizers/mine.py"
    assert refusal(mine(code)).startswith(f"{WHERE}.file: '{file}' cannot be run: {reason.format(file=file)}")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import keras\nkeras.config.set_dtype_policy('mixed_float16')", "changes keras.config for all"),
        ("from optimizers import beside", "imports optimizers.beside: a file of your own must stand alone"),
        ("import beside", "cannot be run: ModuleNotFoundError: No module named 'beside' ({file}, line 1); a file of"),
    ],
)
def test_own_file_that_is_not_alone_is_refused_and_what_it_changed_put_back(mine, monkeypatch, code, reason):
    entry = mine(code + MINE.replace("from __future__ import annotations", ""), learning_rate=0.1)
    Path("optimizers/beside.py").write_text("")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.delitem(sys.modules, "optimizers", raising=False)
    before = keras.config.dtype_policy()
    assert refusal(entry).startswith(f"{WHERE}.file: 'optimizers/mine.py' {reason.format(file=entry.file)}")
    assert keras.config.dtype_policy() == before


def test_own_file_that_is_not_there_is_refused_by_name_and_in_an_experiments_folder_with_what_to_do(mine, monkeypatch):
    entry = mine(MINE).model_copy(update={"file": "optimizers/nowhere.py"})
    assert refusal(entry) == f"{WHERE}.file: no such file: 'optimizers/nowhere.py'"
    folder = Path.cwd() / ".dvc/tmp/exps/standalone/one"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert refusal(entry).endswith("an experiment's folder has only what Git knows: git add optimizers/nowhere.py")


def test_own_file_without_that_optimizer_is_refused_with_those_it_has(mine):
    message = refusal(mine(MINE, "Other"))
    assert message == f"{WHERE}.class_name: expected one of Mine in optimizers/mine.py, got 'Other'"


def test_own_hyperparameters_are_checked_by_the_type_of_their_default(mine):
    message = refusal(mine(MINE, learning_rate=0.1, push="hard"))
    assert message == f"{WHERE}.config.push: expected a number, got 'hard'"


def try_out(entry, where):
    trial.check_optimizer(entry, where, trial.SMALL, jit_compile=True)


def method(body):
    """A class whose methods are these, in a file whose line 4 is the first of them."""
    return "\nimport keras, numpy, tensorflow as tf\nclass Mine(keras.optimizers.SGD):\n    " + body


def test_own_class_that_cannot_be_made_is_refused_with_reason_and_line(mine):
    entry = mine(method("def __init__(self, **kwargs): raise RuntimeError('no\\nway')"), learning_rate=0.1)
    assert refusal(entry).startswith(f"{WHERE}.config: RuntimeError: no way (optimizers/mine.py, line 4). Mine takes ")


STEP = "def update_step(self, gradient, variable, rate): "


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (STEP + "variable.assign(numpy.sqrt(gradient))", "NotImplementedError"),
        (STEP + "\n        if gradient[0] > 0: pass", "ValueError: The truth value of an array with more than one"),
        (
            STEP + "variable.assign(tf.py_function(abs, [gradient], tf.float32))",
            "XLA, which compiles trainings, has no EagerPyFunc",
        ),
    ],
)
def test_own_class_that_cannot_take_a_step_is_refused_where_it_is_tried(mine, body, reason):
    entry = mine(method(body), learning_rate=0.1)
    optimizers.build(entry, WHERE)
    expected = f"{WHERE}: Mine cannot take a step: {reason.format(file='optimizers/mine.py')}"
    assert refusal(entry, try_out).startswith(expected)
