"""What is read from the log of a stage, and the time that is left."""

import pytest

from descent.jobs import logs

RAN = """Running stage 'train@adam':
> exec python -m stages.train 'adam'
adam: loading TensorFlow
adam  run 2/5  seed 1  val_accuracy 0.9251  34 s left
"""
RECORDED = """Updating lock file 'dvc.lock'

To track the changes with git, run:

\tgit add dvc.lock
Use `dvc push` to send your updates to remote storage.
"""


def test_last_line_is_the_commands_without_the_name_that_stands_beside_it():
    line = "run 2/5  seed 1  val_accuracy 0.9251  34 s left"
    assert logs.last_line(RAN, "train@adam") == line
    assert logs.last_line(RAN + RECORDED, "train@adam") == line
    assert logs.last_line(RAN + RECORDED.splitlines()[-1], "train@adam") == line  # the lock file stayed as it was
    assert logs.last_line(RAN.partition("adam  run")[0], "train@adam") == "loading TensorFlow"
    assert logs.last_line(RAN.replace("34 s", "0 s"), "train@adam") == line.removesuffix("  34 s left")
    assert logs.last_line(RAN.partition("adam: ")[0], "train@adam") == logs.last_line("", "train@adam") == ""
    assert logs.last_line("Running stage 'a':\n> fetch\n  5 %\r 50 %\r100 %", "a") == "100 %"


def test_begun_is_what_has_a_command_at_work():
    assert logs.has_begun(RAN)
    assert not logs.has_begun("Stage 'train@adam' didn't change, skipping\n")


def test_path_is_one_file_in_logs_whatever_the_name():
    assert str(logs.path("train@adam")) == "logs/train@adam.log"
    assert str(logs.path("tuning/dvc.yaml:tune@a-1")) == "logs/tuning_dvc.yaml_tune@a-1.log"
    assert str(logs.path("train@../../x; y")) == "logs/train@.._.._x_y.log"


def test_time_left_is_that_of_the_longest_stage_or_of_all_shared_by_the_jobs():
    running = {"train@a": (10.0, 30.0), "train@b": (20.0, 20.0)}  # so that a training takes 40 s
    assert logs.total_left([], running, {}, 2) == 30
    assert logs.total_left(["train@c", "train@d", "compare"], running, {}, 2) == (30 + 20 + 40 + 40) / 2
    assert logs.total_left(["train@c"], {"train@b": (15.0, None)}, {"train@a": 40.0}, 1) == 25 + 40


@pytest.mark.parametrize("left", [None, 5.0])
def test_time_left_is_unknown_until_a_stage_tells(left):
    assert logs.total_left(["train@b", "compare"], {"check": (3.0, left)}, {}, 2) == left
