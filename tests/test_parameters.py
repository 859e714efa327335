"""What descent.core.parameters takes as a person means it, and what it refuses by name."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, JsonValue

from descent.core.parameters import ParametersError, Section, between, gathered, read, refuse_unknown_sections

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
    section = home(pets="[{kind: cat, lives: 9}]")
    assert section == Home(rooms=2, warmth=20.5, heated=True, pets=[Cat(kind="cat", lives=9)], more={})


def test_unknown_key_is_refused_by_name(refusal):
    message = (
        "params.yaml: home: unknown key 'room'; allowed are rooms, warmth, heated, pets, more; did you mean rooms?"
    )
    assert refusal(room="1") == message


def test_every_unknown_key_is_told_beside_the_other_faults_of_its_section(refusal):
    first, *unknown = refusal(rooms="0", room="1", hated="true").splitlines()
    assert first.startswith("params.yaml: home.rooms: ")
    assert unknown == [
        "params.yaml: home: unknown key 'room'; allowed are rooms, warmth, heated, pets, more; did you mean rooms?",
        "params.yaml: home: unknown key 'hated'; allowed are rooms, warmth, heated, pets, more; did you mean heated?",
    ]


@pytest.mark.parametrize("key", ["5", "null", "colour"])
def test_key_that_resembles_none_is_refused_without_a_guess(refusal, key):
    message = refusal(**{f"? {key}\n  ": "1"})
    assert message.endswith("allowed are rooms, warmth, heated, pets, more")


def test_missing_key_is_refused_by_name(refusal):
    assert refusal(warmth=None) == "params.yaml: home.warmth: missing"


def test_every_mistake_is_told_at_once(refusal):
    assert refusal(rooms="0", warmth="warm").splitlines() == [
        "params.yaml: home.rooms: expected at least 1, got 0",
        "params.yaml: home.warmth: expected a number, got 'warm'",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rooms", "2.0", "expected an integer, got 2.0"),
        ("rooms", "true", "expected an integer, got True"),
        ("rooms", "null", "expected an integer, got None"),
        ("rooms", "'2'", "expected an integer, got '2'"),
        ("warmth", "true", "expected a number, got True"),
        ("warmth", "'1e-3'", "expected a number, got '1e-3'"),
        ("warmth", ".nan", "expected a finite number, got nan"),
        ("warmth", "-.inf", "expected a finite number, got -inf"),
        ("warmth", "1e999", "expected a finite number, got inf"),
        ("heated", "1", "expected true or false, got 1"),
        ("heated", "yes", "expected true or false, got 'yes'"),
        ("pets", "cat", "expected a list, got 'cat'"),
    ],
)
def test_wrong_type_is_refused_and_nothing_is_converted(refusal, key, value, message):
    assert refusal(**{key: value}) == f"params.yaml: home.{key}: {message}"


def test_whole_number_is_taken_where_any_number_is_allowed(home):
    assert home(warmth="20").warmth == 20.0


@pytest.mark.parametrize("spelling", ["0.001", "1e-3", "1E-3", "1.e-3", "1.0e-03", ".001", "+1e-3", "!!float 1e-3"])
def test_every_spelling_of_a_number_is_that_number(home, spelling):
    assert home(warmth=spelling).warmth == 0.001
    assert home(more=f"{{rate: {spelling}}}").more["rate"] == 0.001


@pytest.mark.parametrize(("lives", "allowed"), [("0", False), ("1", True), ("9", True), ("10", False)])
def test_range_is_closed_and_named_with_both_ends(home, lives, allowed):
    pets = f"[{{kind: cat, lives: {lives}}}]"
    if allowed:
        assert home(pets=pets).pets[0].lives == int(lives)
    else:
        with pytest.raises(ParametersError, match=rf"home\.pets\.0\.lives: expected 1 to 9, got {lives}$"):
            home(pets=pets)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "params.yaml: expected a mapping of sections, got None"),
        ("- home", "params.yaml: expected a mapping of sections, got ['home']"),
        ("house: {}\ngarden: {}", "params.yaml: home: missing; the file has house, garden"),
        ("home:", "params.yaml: home: expected a mapping, got None"),
        ("home: [1]", "params.yaml: home: expected a mapping, got [1]"),
        ("home:\n  rooms: 1\n  rooms: 2", 'line 3: found duplicate key "rooms"'),
        ("home:\n  rooms: [1", "line 2: expected ',' or ']': a bracket is not closed"),
        ("home:\n\trooms: 1", "line 2: found a tab; indent with spaces"),
        ("home:\n  rooms: 1\n warm: 2", "line 3: indent as the lines above"),
        ("home:\n  rooms: a: 1", "line 2: a colon where no key can be"),
        ("home:\n  rooms: @a", "line 2: text that begins with '@' needs quotes"),
        ("home:\n  rooms: 'a", "line 2: a quote is not closed"),
        ("home: !!int x", "not readable as YAML: ValueError: invalid literal for int()"),
        (
            "a: 1\n<<<<<<< HEAD\nhome: 1\n=======\nhome: 2\n>>>>>>> you",
            "line 2: unresolved merge conflict; keep one side",
        ),
    ],
)
def test_file_that_is_not_what_it_should_be_is_refused_with_its_place(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    with pytest.raises(ParametersError) as error:
        read("params.yaml", "home", Home)
    assert str(error.value).startswith("params.yaml: ")
    assert message in str(error.value)
    assert "To suppress" not in str(error.value)


def test_file_that_was_changed_is_read_anew(home):
    assert home().rooms == 2
    assert home(rooms="3").rooms == 3


def test_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(ParametersError, match=r"params\.yaml: no such file; run this from the root of the repository"):
        read(tmp_path / "params.yaml", "home", Home)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'1e-3'", "rate: expected a number without quotes, got '1e-3'"),
        ("'0.1'", "rate: expected a number without quotes, got '0.1'"),
        ("{config: {steps: [1, '-2']}}", r"rate\.config\.steps\.1: expected a number without quotes, got '-2'"),
        (".nan", "rate: expected a finite number, got nan"),
        ("[[.inf]]", r"rate\.0\.0: expected a finite number, got inf"),
        ("{list: {float: -.inf}}", r"rate\.list\.float: expected a finite number, got -inf"),
    ],
)
def test_what_may_be_anything_is_searched_for_what_is_no_number(refusal, value, message):
    assert re.fullmatch(rf"params\.yaml: home\.more\.{message}", refusal(more=f"{{rate: {value}}}"))


def test_what_may_be_anything_keeps_text_and_the_types_of_its_values(home):
    values = home(more="{i: 1, f: 1.0, b: false, s: v1e3, n: null, l: [1, x]}").more.values()
    assert list(map(repr, values)) == ["1", "1.0", "False", "'v1e3'", "None", "[1, 'x']"]


def test_key_with_a_line_break_stays_on_one_line(refusal):
    assert refusal(more=r'{"a\nb": {c: .nan}}').startswith(r"params.yaml: home.more.'a\nb'.c: expected")


def test_long_value_is_shown_in_part(refusal):
    message = refusal(rooms="x" * 10**5)
    assert message.startswith("params.yaml: home.rooms: expected an integer, got 'xxx")
    assert len(message) < 300


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("hone", "unknown section 'hone'; allowed are home, garden; did you mean home?"),
        ("5", "unknown section 5; allowed are home, garden"),
        ("cellar", "cellar: it is a part of home"),
    ],
)
def test_unknown_section_is_refused_whatever_it_is(home, key, message):
    home(**{f"pets: []\n? {key}\n": "1"} | {"pets": None})
    with pytest.raises(ParametersError) as error:
        refuse_unknown_sections("params.yaml", ["home", "garden"], {"cellar": "it is a part of home"})
    assert str(error.value) == f"params.yaml: {message}"


def test_faults_are_gathered_once_each_and_what_is_no_fault_of_the_user_is_not():
    faults = []
    for message in ("one\ntwo", "two\nthree"):
        with gathered(faults):
            raise ParametersError(message)
    assert faults == ["one", "two", "three"]
    with pytest.raises(ZeroDivisionError), gathered(faults):
        _ = 1 / 0


def test_input_error_ctrl_c_and_a_full_disk_end_a_stage_with_a_line_and_any_other_error_with_its_traceback(tmp_path):
    stage = tmp_path / "stage.py"
    stage.write_text(
        "import sys\n"
        "from descent.core import parameters\n"
        "@parameters.end_with_message\n"
        "def main(name):\n"
        "    known = {'ctrl_c': KeyboardInterrupt(), 'full': OSError(28, 'full', 'a/file'), 'gone': OSError(2, 'x')}\n"
        "    raise known.get(name) or parameters.ParametersError('what to do')\n"
        "main(sys.argv[1])\n"
    )
    ended, failed, stopped, full = (
        subprocess.run(
            [sys.executable, stage, name], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        for name in ["input", "gone", "ctrl_c", "full"]
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "what to do\n")
    assert "Traceback" in failed.stderr
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (130, "", "Stopped\n")
    assert (full.returncode, full.stdout, full.stderr) == (1, "", "a/file: full\n")
