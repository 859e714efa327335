"""Claims about the optimizers' sections: which names, files and entries are taken, and how one entry is found."""

from pathlib import Path

import pytest

from descent.optimizers import entries
from descent.parameters import ParametersError, read

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
