"""Claims about the optimizers' sections: which names, files and entries are taken, and how one entry is found."""

from pathlib import Path

import pytest

from descent.core.parameters import ParametersError, read, validate
from descent.optimizers import entries

ADAM = "{class_name: Adam, config: {learning_rate: 0.1}}"
LION = "{class_name: Lion, config: {}, file: optimizers/lion.py}"


@pytest.fixture
def sections(tmp_path, monkeypatch):
    """Writes the two sections, and reads one of them."""
    monkeypatch.chdir(tmp_path)

    def write(optimizers="{}", own="{}"):
        Path("params.yaml").write_text(f"optimizers: {optimizers}\nown_optimizers: {own}\n")
        return lambda section: read("params.yaml", section, entries.SECTIONS[section])

    return write


@pytest.mark.parametrize("name", ["adam", "adam-lr3", "Adam_2", "0", "-", "a" * 100])
def test_name_of_letters_digits_dash_and_underscore_is_taken(sections, name):
    assert list(sections(f"{{'{name}': {ADAM}}}")("optimizers")) == [name]


# What a shell, a template, a folder or a line of text would take for something else than a name.
HOSTILE = ["x; touch PWNED;", "$(id)", "`id`", "a'b", "${data}", "x\\n", "a b", "../x", "~/x", "ä", "a" * 300, ""]


@pytest.mark.parametrize("name", ["adam.v2", "a" * 101, *HOSTILE])
def test_other_name_is_refused(sections, name):
    with pytest.raises(ParametersError, match="expected a name of letters, digits, - and _, at most 100, got") as error:
        sections(f'{{"{name}": {ADAM}}}')("optimizers")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["5", "null", "true", "[a, b]"])
def test_name_that_is_no_text_is_refused(sections, name):
    with pytest.raises(
        ParametersError, match=r"^params\.yaml: optimizers.*: input should be a valid string, got [^\n]*$"
    ):
        sections(f"{{? {name} : {ADAM}}}")("optimizers")


def test_no_optimizer_at_all_is_refused(sections):
    with pytest.raises(ParametersError, match=r"params\.yaml: optimizers: dictionary should have at least 1 item"):
        sections()("optimizers")


@pytest.mark.parametrize(("section", "entry"), [("optimizers", ADAM), ("own_optimizers", LION)])
def test_a_hundred_of_either_kind_are_taken_and_no_more(sections, section, entry):
    def of(many):
        entries = "{" + ", ".join(f"o{number}: {entry}" for number in range(many)) + "}"
        return sections(**{"own" if section.startswith("own") else "optimizers": entries})(section)

    assert len(of(100)) == 100
    with pytest.raises(ParametersError, match=f"{section}: dictionary should have at most 100 items"):
        of(101)


@pytest.mark.parametrize("file", ["lion.py", "optimizers/my-lion_2.py", "a/b/c.d/lion.py", "./lion.py"])
def test_file_inside_the_repository_is_taken(sections, file):
    assert (
        sections(own=f"{{lion: {{class_name: Lion, config: {{}}, file: {file}}}}}")("own_optimizers")["lion"].file
        == file
    )


@pytest.mark.parametrize(
    "file",
    [
        "/tmp/lion.py",
        "a/../../lion.py",
        "lion.txt",
        "lion",
        "py",
        "https://x.org/lion.py",
        *(f"{x}.py" for x in HOSTILE),
    ],
)
def test_other_file_is_refused_before_anything_looks_at_it(sections, file):
    expected = r"^params\.yaml: own_optimizers\.lion\.file: expected a Python file in this repository: [^\n]*$"
    with pytest.raises(ParametersError, match=expected):
        sections(own=f'{{lion: {{class_name: Lion, config: {{}}, file: "{file}"}}}}')("own_optimizers")


def test_entry_is_found_by_its_key_path_in_either_section(sections):
    sections(f"{{adam: {ADAM}}}", f"{{lion: {LION}}}")
    name, entry = entries.read_entry("params.yaml", "optimizers.adam")
    assert (name, entry.class_name, entry.config) == ("adam", "Adam", {"learning_rate": 0.1})
    name, entry = entries.read_entry("params.yaml", "own_optimizers.lion")
    assert (name, entry.class_name, entry.file) == ("lion", "Lion", "optimizers/lion.py")


def test_entry_is_found_beside_others_that_are_wrong(sections):
    sections(f"{{adam: {ADAM}, 5: nonsense}}")
    assert entries.read_entry("params.yaml", "optimizers.adam")[0] == "adam"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("adam", "expected the key path of an optimizer, optimizers.NAME or own_optimizers.NAME, got 'adam'"),
        ("training.adam", "expected the key path of an optimizer, optimizers.NAME or own_optimizers.NAME, got 'trai"),
        ("optimizers.adan", "optimizers: expected one of adam, sgd, got 'adan'"),
        ("own_optimizers.lion", "own_optimizers: expected one of none, got 'lion'"),
        ("optimizers.sgd", "optimizers.sgd.config: missing"),
    ],
)
def test_key_path_that_leads_to_no_entry_is_refused(sections, key, message):
    sections(f"{{adam: {ADAM}, sgd: {{class_name: SGD}}}}")
    with pytest.raises(ParametersError) as error:
        entries.read_entry("params.yaml", key)
    assert str(error.value).startswith(f"params.yaml: {message}")


def test_names_that_are_one_in_a_folder_that_ignores_case_are_refused_with_both_key_paths():
    entries.refuse_shared_names(["optimizers.adam", "optimizers.adam2", "own_optimizers.lion"], "params.yaml")
    with pytest.raises(ParametersError) as error:
        entries.refuse_shared_names(
            ["optimizers.adam", "optimizers.Adam", "own_optimizers.lion", "own_optimizers.adam"], "params.yaml"
        )
    assert str(error.value).splitlines() == [
        "params.yaml: optimizers.adam and optimizers.Adam: expected names that differ, and not by case alone",
        "params.yaml: optimizers.adam and own_optimizers.adam: expected names that differ, and not by case alone",
    ]


def test_rules_of_keras_2_that_an_entry_may_name_are_the_files_of_their_folder():
    files = (Path(entries.__file__).parent / "keras2").glob("[!_]*.py")
    assert {file.stem for file in files} == {name.lower() for name in entries.KERAS2}


def test_rule_is_the_code_where_it_is_of_this_project_and_else_names_the_class():
    def rule(class_name):
        return entries.rule(entries.OptimizerEntry(class_name=class_name, config={}))

    code = Path(entries.__file__).parent / "keras2/rmsprop.py"
    assert rule("keras2>RMSprop") == code.read_text(encoding="utf-8")
    assert rule("Adam") == "# Adam of keras.optimizers\n"


STEPS = 2**31 - 1
EDGES = [
    ("learning_rate clipnorm clipvalue global_clipnorm adam_lr_ratio", [1e-9, 1], [0, -1e-9]),
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


def test_null_is_taken_where_it_is_the_default_of_keras():
    def takes_null(key):
        try:
            return validate(None, entries.RANGES[key], key) is None
        except ParametersError:
            return False

    options = {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor", "name"}
    steps = {"ema_overwrite_frequency", "gradient_accumulation_steps"}
    assert {key for key in entries.RANGES if takes_null(key)} == options | steps | {"exclude_layers", "warmup_target"}
