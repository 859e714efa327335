"""Claims about the section `optimizers`: which names, files and entries are taken, and how one entry is found."""

from pathlib import Path

import pytest

from descent.core.parameters import ParametersError, read
from descent.training import settings as entries

ADAM = "{class_name: Adam, config: {learning_rate: 0.1}}"


@pytest.fixture
def section(tmp_path, monkeypatch):
    """Writes the section, and reads it."""
    monkeypatch.chdir(tmp_path)

    def read_written(optimizers):
        Path("params.yaml").write_text(f"optimizers: {optimizers}\n")
        return read("params.yaml", "optimizers", entries.Optimizers)

    return read_written


# What a shell, a template, a folder or a line of text would take for something else than a name.
HOSTILE = ["x; touch PWNED;", "$(id)", "a'b", "${data}", "x\\n", "a b", "../x", "~/x", "ä", "a" * 300, ""]


def test_name_of_letters_digits_dash_and_underscore_is_taken(section):
    for name in ("adam-lr3", "Adam_2", "0", "a" * 100):
        assert list(section(f"{{'{name}': {ADAM}}}")) == [name]


@pytest.mark.parametrize("name", ["adam.v2", *HOSTILE])
def test_other_name_is_refused(section, name):
    with pytest.raises(ParametersError, match="expected a name of letters, digits, - and _, at most 100, got") as error:
        section(f'{{"{name}": {ADAM}}}')
    assert len(str(error.value).splitlines()) == 1


def test_no_optimizer_at_all_is_refused(section):
    with pytest.raises(ParametersError, match="optimizers: expected a dictionary to have at least 1 item"):
        section("{}")


@pytest.mark.parametrize(
    ("file", "place"),
    [*((f"{name}.py", "this repository: ") for name in HOSTILE), ("/a/lion.py", "this repository: "),
     ("a/../../lion.py", "this repository: "), ("lion.txt", "this repository: "),
     ("networks/lion.py", "the folder optimizers/, got"), ("./optimizers/lion.py", "the folder optimizers/, got")],
)  # fmt: skip
def test_other_file_is_refused_before_anything_looks_at_it(section, file, place):
    expected = rf"^params\.yaml: optimizers\.lion\.file: expected a Python file in {place}[^\n]*$"
    with pytest.raises(ParametersError, match=expected):
        section(f'{{lion: {{class_name: Lion, config: {{}}, file: "{file}"}}}}')


@pytest.mark.parametrize(
    ("name", "message"),
    [("adan", "optimizers: expected one of lion, sgd, got 'adan'"), ("sgd", "optimizers.sgd.config: missing")],
)
def test_entry_is_found_by_its_name_beside_others_that_are_wrong(tmp_path, name, message):
    lion = "{class_name: Lion, config: {}, file: optimizers/lion.py}"
    path = tmp_path / "params.yaml"
    path.write_text(f"optimizers: {{lion: {lion}, sgd: {{class_name: SGD}}}}\n")
    assert entries.read_optimizer(path, "lion").file == "optimizers/lion.py"
    with pytest.raises(ParametersError) as error:
        entries.read_optimizer(path, name)
    assert str(error.value).startswith(f"{path}: {message}")
