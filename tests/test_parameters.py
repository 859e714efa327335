"""What descent.core.parameters takes as a person means it, and what it refuses by name."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, JsonValue

from descent.core.parameters import ParametersError, Section, between, read

ROOT = Path(__file__).parents[1]


class Cat(Section):
    kind: Literal["cat"]
    lives: Annotated[int, between(1, 9)]


class Home(Section):
    rooms: Annotated[int, Field(ge=1)]
    warmth: float
    heated: bool
    pets: list[Cat]
    more: dict[str, JsonValue]


HOME = {"rooms": "2", "warmth": "20.5", "heated": "true", "pets": "[]", "more": "{}"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read_home(**changes):
        lines = [f"  {key}: {value}" for key, value in (HOME | changes).items() if value is not None]
        Path("params.yaml").write_text("\n".join(["home:", *lines]))
        return read("params.yaml", "home", Home)

    return read_home


@pytest.fixture
def refusal(home):
    def refuse(**changes):
        with pytest.raises(ParametersError) as error:
            home(**changes)
        return str(error.value)

    return refuse


def test_section_is_read_with_its_types(home):
    section = home(pets="[{kind: cat, lives: 9}]", warmth="20")
    assert section == Home(rooms=2, warmth=20.0, heated=True, pets=[Cat(kind="cat", lives=9)], more={})


def test_every_mistake_is_told_at_once_with_what_is_allowed(refusal):
    allowed = "allowed are rooms, warmth, heated, pets, more"
    assert refusal(rooms="0", warmth=None, room="1", colour="1").splitlines() == [
        "params.yaml: home.rooms: expected at least 1, got 0",
        "params.yaml: home.warmth: missing",
        f"params.yaml: home: unknown key 'room'; {allowed}; did you mean rooms?",
        f"params.yaml: home: unknown key 'colour'; {allowed}",
    ]


@pytest.mark.parametrize("key", ["5", "null"])
def test_key_that_is_no_text_is_refused(refusal, key):
    assert refusal(**{f"? {key}\n  ": "1"}).endswith("allowed are rooms, warmth, heated, pets, more")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rooms", "2.0", "expected an integer, got 2.0"),
        ("rooms", "true", "expected an integer, got True"),
        ("rooms", "'2'", "expected an integer, got '2'"),
        ("warmth", "null", "expected a number, got None"),
        ("warmth", "'1e-3'", "expected a number, got '1e-3'"),
        ("warmth", ".nan", "expected a finite number, got nan"),
        ("heated", "yes", "expected true or false, got 'yes'"),
        ("pets", "cat", "expected a list, got 'cat'"),
        ("pets", "[{kind: dog, lives: 9}]", "expected 'cat', got 'dog'"),
        ("pets", "[{kind: cat, lives: 10}]", "expected 1 to 9, got 10"),
        ("more", r'{"a\nb": {c: .nan}}', "expected a finite number, got nan"),
    ],
)
def test_wrong_value_is_refused_on_one_line_and_nothing_is_converted(refusal, key, value, message):
    [line] = refusal(**{key: value}).splitlines()
    assert line.startswith(f"params.yaml: home.{key}")
    assert line.endswith(f": {message}")


@pytest.mark.parametrize("spelling", ["0.001", "1e-3", "1E-3", "1.e-3", "1.0e-03", ".001", "+1e-3", "!!float 1e-3"])
def test_every_spelling_of_a_number_is_that_number(home, spelling):
    assert home(warmth=spelling).warmth == 0.001
    assert home(more=f"{{rate: {spelling}}}").more["rate"] == 0.001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "params.yaml: expected a mapping of sections, got None"),
        ("- home", "params.yaml: expected a mapping of sections, got ['home']"),
        ("house: {}\ngarden: {}", "params.yaml: home: missing; the file has house, garden"),
        ("home:", "params.yaml: home: expected a mapping, got None"),
        ("home:\n  rooms: 1\n  rooms: 2", 'line 3: found duplicate key "rooms"'),
        ("home:\n\trooms: 1", "line 2: found a tab; indent with spaces"),
        ("home:\n  rooms: 1\n warm: 2", "line 3: indent as the lines above"),
        ("home:\n  rooms: a: 1", "line 2: a colon where no key can be"),
        ("home:\n  rooms: [1", "line 2: expected ',' or ']'"),
        ("home: !!int x", "not readable as YAML: ValueError: invalid literal for int()"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> you", "line 2: unresolved merge conflict; keep one side"),
    ],
)
def test_file_that_is_not_what_it_should_be_is_refused_with_its_place(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    with pytest.raises(ParametersError) as error:
        read("params.yaml", "home", Home)
    assert str(error.value).startswith("params.yaml: ")
    assert message in str(error.value)


def test_file_that_was_changed_is_read_anew(home):
    assert home().rooms == 2
    assert home(rooms="3").rooms == 3


def test_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(ParametersError, match=r"params\.yaml: no such file; run this from the root of the repository"):
        read(tmp_path / "params.yaml", "home", Home)


def test_long_value_is_shown_in_part(refusal):
    message = refusal(rooms="x" * 10**5)
    assert message.startswith("params.yaml: home.rooms: expected an integer, got 'xxx")
    assert len(message) < 300


def test_input_error_and_ctrl_c_end_a_stage_with_a_line_and_any_other_error_with_its_traceback(tmp_path):
    stage = tmp_path / "stage.py"
    stage.write_text(
        "import sys\n"
        "from descent.core import parameters\n"
        "@parameters.end_with_message\n"
        "def main(name):\n"
        "    known = {'ctrl_c': KeyboardInterrupt(), 'gone': OSError(2, 'x')}\n"
        "    raise known.get(name) or parameters.ParametersError('what to do')\n"
        "main(sys.argv[1])\n"
    )
    ended, failed, stopped = (
        subprocess.run(
            [sys.executable, stage, name], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        for name in ["input", "gone", "ctrl_c"]
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "what to do\n")
    assert "Traceback" in failed.stderr
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (130, "", "Stopped\n")
