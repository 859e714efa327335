"""Claims about the section `optimizers`: which names, files and entries are taken, and how one entry is found."""

from pathlib import Path

import pytest

from descent.core.parameters import ParametersError, read, validate
from descent.training import settings as entries

ADAM = "{class_name: Adam, config: {learning_rate: 0.1}}"
LION = "{class_name: Lion, config: {}, file: optimizers/lion.py}"


@pytest.fixture
def section(tmp_path, monkeypatch):
    """Writes the section, and reads it."""
    monkeypatch.chdir(tmp_path)

    def write(optimizers="{}"):
        Path("params.yaml").write_text(f"optimizers: {optimizers}\n")
        return lambda: read("params.yaml", "optimizers", entries.Optimizers)

    return write


@pytest.mark.parametrize("name", ["adam", "adam-lr3", "Adam_2", "0", "-", "a" * 100])
def test_name_of_letters_digits_dash_and_underscore_is_taken(section, name):
    assert list(section(f"{{'{name}': {ADAM}}}")()) == [name]


# What a shell, a template, a folder or a line of text would take for something else than a name.
HOSTILE = ["x; touch PWNED;", "$(id)", "`id`", "a'b", "${data}", "x\\n", "a b", "../x", "~/x", "ä", "a" * 300, ""]


@pytest.mark.parametrize("name", ["adam.v2", "a" * 101, *HOSTILE])
def test_other_name_is_refused(section, name):
    with pytest.raises(ParametersError, match="expected a name of letters, digits, - and _, at most 100, got") as error:
        section(f'{{"{name}": {ADAM}}}')()
    assert len(str(error.value).splitlines()) == 1


def test_none_is_refused_and_a_hundred_are_taken_and_no_more(section):
    def of(many):
        return section("{" + ", ".join(f"o{number}: {ADAM}" for number in range(many)) + "}")()

    assert len(of(100)) == 100
    for many, bound in ((0, "at least 1 item"), (101, "at most 100 items")):
        with pytest.raises(ParametersError, match=f"optimizers: expected a dictionary to have {bound}"):
            of(many)


@pytest.mark.parametrize("file", ["optimizers/my-lion_2.py", "optimizers/c.d/lion.py"])
def test_file_in_the_folder_optimizers_is_taken(section, file):
    assert section(f"{{lion: {{class_name: Lion, config: {{}}, file: {file}}}}}")()["lion"].file == file


ABROAD = ["/a/lion.py", "a/../../lion.py", "lion.txt", "lion", "https://x.org/lion.py", *(f"{x}.py" for x in HOSTILE)]
ELSEWHERE = ["lion.py", "networks/lion.py", "./optimizers/lion.py"]  # where check would not see it change


@pytest.mark.parametrize(
    ("file", "expected"),
    [*((file, "this repository: ") for file in ABROAD), *((file, "the folder optimizers/, got") for file in ELSEWHERE)],
)
def test_other_file_is_refused_before_anything_looks_at_it(section, file, expected):
    expected = rf"^params\.yaml: optimizers\.lion\.file: expected a Python file in {expected}[^\n]*$"
    with pytest.raises(ParametersError, match=expected):
        section(f'{{lion: {{class_name: Lion, config: {{}}, file: "{file}"}}}}')()


def test_entry_is_found_by_its_name_beside_others_that_are_wrong(section):
    section(f"{{adam: {ADAM}, lion: {LION}, 5: nonsense}}")
    entry = entries.read_optimizer("params.yaml", "adam")
    assert (entry.class_name, entry.config, entry.file) == ("Adam", {"learning_rate": 0.1}, None)
    entry = entries.read_optimizer("params.yaml", "lion")
    assert (entry.class_name, entry.file) == ("Lion", "optimizers/lion.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [("adan", "optimizers: expected one of adam, sgd, got 'adan'"), ("sgd", "optimizers.sgd.config: missing")],
)
def test_name_without_an_entry_is_refused(section, name, message):
    section(f"{{adam: {ADAM}, sgd: {{class_name: SGD}}}}")
    with pytest.raises(ParametersError) as error:
        entries.read_optimizer("params.yaml", name)
    assert str(error.value).startswith(f"params.yaml: {message}")


def test_names_that_are_one_in_a_folder_that_ignores_case_are_refused_with_both():
    entries.refuse_shared_names(["adam", "adam2", "lion"], "params.yaml: optimizers")
    with pytest.raises(ParametersError) as error:
        entries.refuse_shared_names(["adam", "Adam", "lion"], "params.yaml: optimizers")
    assert str(error.value) == (
        "params.yaml: optimizers: adam and Adam: expected names that differ, and not by case alone"
    )


def test_rule_is_the_text_of_the_file_and_else_names_the_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("optimizers").mkdir()
    Path("optimizers/lion.py").write_bytes(b"# text\r\n")
    lion = entries.OptimizerEntry(class_name="Lion", config={}, file="optimizers/lion.py")
    assert entries.rule(lion) == b"# text\r\n"
    adam = entries.OptimizerEntry(class_name="Adam", config={})
    assert entries.rule(adam) == b"from keras.optimizers import Adam\n"


STEPS = 2**31 - 1
EDGES = [
    ("learning_rate adam_lr_ratio", [1e-9, 1], [0, -1e-9, None]),
    ("clipnorm clipvalue global_clipnorm", [1e-9, 1, None], [0, -1e-9]),
    ("momentum ema_momentum", [0, 1], [-1e-9, 1.000001]),
    ("rho beta_1 beta_2 beta1 beta2 decay", [0, 0.999999], [-1e-9, 1]),
    ("epsilon initial_accumulator_value schedule_decay weight_decay", [0, 1], [-1e-9]),
    ("initial_learning_rate end_learning_rate warmup_target decay_rate", [0, 1], [-1e-9]),
    ("ema_overwrite_frequency decay_steps first_decay_steps", [1, STEPS], [0, STEPS + 1, 1.5]),
    ("gradient_accumulation_steps", [2, STEPS], [1, STEPS + 1]),
    ("warmup_steps", [0, STEPS], [-1, STEPS + 1]),
    ("ns_steps", [1, 1000], [0, 1001]),
    ("values", [[0, 0.1], [0.1] * 1001], [[0.1], [0.1] * 1002, [0.1, -0.1]]),
    ("boundaries", [[0], [STEPS] * 1000], [[], [0] * 1001, [-1], [STEPS + 1]]),
    ("use_ema", [True, False], [0, "yes"]),
    ("loss_scale_factor", [None], [1.0]),
    ("exclude_layers", [[], ["dense"]], ["dense", [1]]),
    ("name", ["mine"], ["my own"]),
]


@pytest.mark.parametrize(
    ("key", "taken", "refused"), [(key, *values) for keys, *values in EDGES for key in keys.split()]
)
def test_hyperparameter_is_taken_up_to_the_edges_of_its_range_and_no_further(key, taken, refused):
    for value in taken:
        assert validate(value, entries.RANGES[key], key) == value
    for value in refused:
        with pytest.raises(ParametersError, match=f"^{key}"):
            validate(value, entries.RANGES[key], key)


def test_every_range_has_its_edges_tested():
    assert sorted(entries.RANGES) == sorted(key for keys, *_ in EDGES for key in keys.split())
