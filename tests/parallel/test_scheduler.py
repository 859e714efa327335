"""stages.repro in small repositories with stages of shell: what runs when, what it prints, what a stop leaves."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pipeline import ROOT, Project

pytestmark = pytest.mark.slow

PIPELINE = """
stages:
  first:
    cmd: sh work.sh first
    outs: [first.txt]
  middle:
    foreach: [slow, quick, other]
    do:
      cmd: sh work.sh ${item}
      deps: [first.txt, "${item}.in"]
      outs: ["${item}.txt"]
  last:
    cmd: sh work.sh last
    deps: [slow.txt, quick.txt, other.txt]
    outs: [last.txt]
"""
# Each command notes its beginning and end, and does in between what the file of its name says.
WORK = """
echo "+$1" >> events
if [ -e "$1.do" ]; then . "./$1.do"; fi
echo "-$1" >> events
echo "$1" > "$1.txt"
"""
COMMAND = f"PYTHONPATH={shlex.quote(str(ROOT))} python -m stages.repro"
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "COLUMNS": "120"}
ALL = ["first", "middle@slow", "middle@quick", "middle@other", "last"]  # in the order of the graph


def do(project, **what):
    """Have the command of a stage do something before it writes its output; it is out of date then."""
    for name, script in what.items():
        (project.folder / f"{name}.do").write_text(script)
        (project.folder / f"{name}.in").write_text(f"{time.time_ns()}")


def events(project):
    """Return what began, with a +, and ended, with a -, in this order."""
    path = project.folder / "events"
    return path.read_text().split() if path.exists() else []


def recorded(project):
    return re.findall(r"^  (\S+):$", (project.folder / "dvc.lock").read_text(), re.MULTILINE)


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(project, *arguments, output=subprocess.PIPE, **environment):
    """Start `stages.repro`; its output can be read."""
    command = [sys.executable, "-m", "stages.repro", *arguments]
    return subprocess.Popen(
        command, cwd=project.folder, env=ENVIRONMENT | environment, stdout=output, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with three layers of stages."""
    project = Project(tmp_path_factory.mktemp("template"))
    (project.folder / "dvc.yaml").write_text(PIPELINE)
    (project.folder / "work.sh").write_text(WORK)
    both = "for i in $(seq 500); do [ $(grep -c '^+[sq]' events) = 2 ] && break; sleep 0.02; done"
    do(project, slow=f"{both}; sleep 1", quick=both, other="")
    project.init()
    return project


@pytest.fixture(scope="module")
def done(template, tmp_path_factory):
    """The same with its main pipeline done, two stages at a time, and what that printed."""
    project = template.duplicate(tmp_path_factory.mktemp("done") / "project")
    project.output = project.run(f"{COMMAND} --jobs 2")
    return project


@pytest.fixture
def project(done, tmp_path):
    """A copy of what is done, to change; its stages have done nothing yet."""
    project = done.duplicate(tmp_path / "project")
    project.run("rm -r events logs *.do")
    return project


def test_stages_run_in_parallel_once_what_they_need_is_done(done):
    order = events(done)
    assert order[:2] == ["+first", "-first"]
    assert order[-2:] == ["+last", "-last"]
    running = [sum({"+": 1, "-": -1}[event[0]] for event in order[: end + 1]) for end in range(len(order))]
    assert max(running) == 2
    assert re.search(r"^dvc repro +\d+ s  unchanged$", done.output, re.MULTILINE)


def test_lock_file_has_the_bytes_of_a_sequential_run(done, template, tmp_path):
    order = events(done)
    assert order.index("-slow") > order.index("-quick")  # so that DVC recorded them in another order
    sequential = template.duplicate(tmp_path / "sequential")
    sequential.run("rm *.do && dvc repro")
    assert recorded(sequential) == ALL
    assert (done.folder / "dvc.lock").read_bytes() == (sequential.folder / "dvc.lock").read_bytes()


def test_only_what_is_out_of_date_runs_and_the_record_of_a_killed_dvc_is_not_waited_for(project):
    do(project, quick="")
    (project.folder / ".dvc/tmp/rwlock").write_text(f'{{"write": {{"quick.txt": {{"pid": {os.getpid()}')  # cut off, too
    output = project.run(COMMAND)
    assert events(project) == ["+quick", "-quick"]  # and not the last one: its input has the same bytes
    assert re.search(r"^middle@quick .* done\nlast .* unchanged\ndvc repro .* unchanged$", output, re.MULTILINE)


def test_failing_stage_is_shown_at_once_and_stops_only_what_needs_it(project):
    do(project, quick="echo the reason >&2; exit 3", slow="sleep 2")
    done = project.attempt(f"{COMMAND} --jobs 2")
    assert done.returncode == 1
    shown = r"^middle@quick .* FAILED  logs/middle@quick.log\n    the reason\n(    .*\n)*middle@slow .* done\n"
    assert re.search(shown, done.stdout, re.MULTILINE)
    assert "+last" not in events(project)
    assert done.stdout.endswith("Not started, since a stage that they need failed: last\n")
    assert "Traceback" not in done.stdout + done.stderr


def test_ctrl_c_leaves_no_process_and_loses_nothing(project):
    stubborn = "trap '' TERM; sleep 61 & echo $! $$ > slow.pid; while true; do sleep 1; done"
    do(project, other="", slow=stubborn, quick="echo $$ > quick.pid; sleep 61; exit 1")
    project.run("dvc repro --single-item middle@other")
    process = start(project, "--jobs", "2")
    pids = [project.folder / "slow.pid", project.folder / "quick.pid"]
    wait_for(lambda: all(path.exists() and path.read_text().endswith("\n") for path in pids))
    family = {*psutil.Process(process.pid).children(recursive=True)}
    assert {int(pid) for path in pids for pid in path.read_text().split()} <= {member.pid for member in family}

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)  # two seconds are meant; a busy machine takes longer
    assert process.returncode == 130
    assert output.splitlines()[-1] == "Stopped. What was done is kept; the same command continues."
    assert "Traceback" not in output
    # All have closed their end of the pipe above; the kernel may need a moment until it has taken them away.
    wait_for(
        lambda: not [member for member in family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]
    )

    do(project, slow="", quick="")
    project.run(COMMAND)
    assert sorted(events(project)) == ["+other", "+quick", "+quick", "+slow", "+slow", "-other", "-quick", "-slow"]


def test_second_run_waits_for_the_first_and_names_it_and_so_it_is_after_a_kill(project):
    do(project, slow="while [ ! -e go ]; do sleep 0.1; done")
    first = start(project)
    wait_for(lambda: "+slow" in events(project))
    second = start(project)
    line = second.stdout.readline()
    assert re.fullmatch(rf"Waiting for process {first.pid}: .* -m stages.repro\n", line)
    first.kill()  # the stage, and the DVC that has started it, go on
    first.communicate()
    second.kill()
    second.communicate()
    third = start(project)
    line = third.stdout.readline()
    assert re.fullmatch(r"Waiting for process \d+: .* -m stages.repro\n", line)
    assert psutil.pid_exists(int(re.search(r"\d+", line)[0]))
    (project.folder / "go").touch()
    output, _ = third.communicate()
    assert third.returncode == 0
    assert "FAILED" not in output
    assert events(project) == ["+slow", "-slow"]  # by the killed run; the third found it done


def test_terminal_shows_how_far_each_stage_is(project):
    do(project, slow="echo 'slow  run 2/5  epoch 3/20  loss 0.1541  val_accuracy 0.9251  50 s left'; sleep 1.2")
    ours, theirs = pty.openpty()
    process = start(project, output=theirs, TERM="xterm")
    os.close(theirs)
    written = b""
    while chunk := _read(ours):
        written += chunk
    os.close(ours)
    assert process.wait() == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    epoch = "run 2/5  epoch 3/20  loss 0.1541  val_accuracy 0.9251  50 s left"
    assert re.search(rf"middle@slow +\d+ s  {epoch}\s+0 of 2 done", shown)
    assert re.search(r"last +\d+ s  unchanged\s", shown)
    assert b"\x1b[?25h" in written  # the cursor is back


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so of a terminal that nobody writes to any more
        return b""


def test_unknown_stage_is_an_error_with_a_message(project):
    done = project.attempt(f"{COMMAND} nothing")
    assert done.returncode
    assert "Stage 'nothing' not found" in done.stderr
    assert "Traceback" not in done.stderr
