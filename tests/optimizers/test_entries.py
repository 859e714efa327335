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


def test_name_of_letters_digits_dash_and_underscore_is_taken(section):
    for name in ("adam", "adam-lr3", "Adam_2", "0", "a" * 100):
        assert list(section(f"{{'{name}': {ADAM}}}")) == [name]


# What a shell, a template, a folder or a line of text would take for something else than a name.
HOSTILE = ["x; touch PWNED;", "$(id)", "`id`", "a'b", "${data}", "x\\n", "a b", "../x", "~/x", "ä", "a" * 300, ""]


@pytest.mark.parametrize("name", ["adam.v2", "a" * 101, *HOSTILE])
def test_other_name_is_refused(section, name):
    with pytest.raises(ParametersError, match="expected a name of letters, digits, - and _, at most 100, got") as error:
        section(f'{{"{name}": {ADAM}}}')
    assert len(str(error.value).splitlines()) == 1


def test_none_is_refused_and_a_hundred_are_taken_and_no_more(section):
    def of(many):
        return section("{" + ", ".join(f"o{number}: {ADAM}" for number in range(many)) + "}")

    assert len(of(100)) == 100
    for many, bound in ((0, "at least 1 item"), (101, "at most 100 items")):
        with pytest.raises(ParametersError, match=f"optimizers: expected a dictionary to have {bound}"):
            of(many)


def test_file_in_the_folder_optimizers_is_taken(section):
    for file in ("optimizers/my-lion_2.py", "optimizers/c.d/lion.py"):
        assert section(f"{{lion: {{class_name: Lion, config: {{}}, file: {file}}}}}")["lion"].file == file


ABROAD = ["/a/lion.py", "a/../../lion.py", "lion.txt", "lion", "https://x.org/lion.py", *(f"{x}.py" for x in HOSTILE)]
ELSEWHERE = ["lion.py", "networks/lion.py", "./optimizers/lion.py"]  # where check would not see it change


@pytest.mark.parametrize(
    ("file", "expected"),
    [*((file, "this repository: ") for file in ABROAD), *((file, "the folder optimizers/, got") for file in ELSEWHERE)],
)
def test_other_file_is_refused_before_anything_looks_at_it(section, file, expected):
    expected = rf"^params\.yaml: optimizers\.lion\.file: expected a Python file in {expected}[^\n]*$"
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
