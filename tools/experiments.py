"""Runs the experiments that README and docs quote, with real DVC in a clone -> docs/experiments/NAME.md.

Usage: python -m tools.experiments [NAME ...]        (all by default; each trains, so this takes minutes)

The clone shares this repository's DVC cache and kept runs, so it trains nothing again that was trained here.
Those of the lesson need each other: run them together. A page holds what the commands printed.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path("docs/experiments")
RUNS = "-S training.runs={0} -S 'race.looks=[{0}]'"
# What makes the comparison small enough for docs/lesson.md.
SMALL = "-S data.train_size=2048 -S training.epochs=5 -S training.last_epochs=1"
LESSON = f"{SMALL} {RUNS.format(3)}"


def ranked(name: str, options: str, *further: str) -> list[str]:
    """List the commands of an experiment that is a comparison of its own."""
    run = f"dvc exp run --temp {options} -n {name}"
    return [run, f"dvc exp apply {name}", "cat results/report/ranking.md", *further]


def lesson(parameter: str) -> list[str]:
    """List the commands of an experiment that changes one learning rate of the lesson."""
    name = f"lesson-{parameter.split('.')[1]}"
    return [f"dvc exp run --temp {LESSON} -S {parameter} -n {name}", f"python -m stages.diff lesson {name} --md"]


EXPERIMENTS = {
    "adam-lr3": [
        "dvc exp run --temp -S optimizers.adam.config.learning_rate=0.003 -n adam-lr3",
        "dvc metrics diff main adam-lr3 --md",
        "python -m stages.diff main adam-lr3 --md",
    ],
    "keras3-defaults": [
        "dvc exp run --temp -n keras3-defaults -S '~optimizers.rmsprop.file'"
        " -S '~optimizers.adagrad.file' -S optimizers.adagrad.config.learning_rate=0.001"
        " -S '+optimizers.adagrad.config.initial_accumulator_value=0.1'"
        " -S optimizers.adadelta.config.learning_rate=0.001 -S optimizers.adamax.config.learning_rate=0.001"
        " -S '~optimizers.nadam.file' -S optimizers.nadam.config.learning_rate=0.001"
        " -S '~optimizers.nadam.config.schedule_decay'",
        "python -m stages.diff main keras3-defaults --md",
    ],
    "lesson": ranked("lesson", LESSON),
    "lesson-one-run": ranked("lesson-one-run", f"{SMALL} {RUNS.format(1)}"),
    "lesson-sgd": lesson("optimizers.sgd.config.learning_rate=0.3"),
    "lesson-adagrad": lesson("optimizers.adagrad.config.learning_rate=0.001"),
    "lesson-adam": lesson("optimizers.adam.config.learning_rate=0.1"),
    "fashion-mnist": [
        "dvc exp run --temp -n fashion-mnist -S data.file=data/raw/fashion_mnist.npz -S '~download.mnist'"
        " -S '+download.fashion_mnist.sources.folder=/usr/share/datasets/fashion-mnist'"
        " -S '+download.fashion_mnist.timeout_seconds=30' -S '+download.fashion_mnist.attempts=3'",
        "dvc exp apply fashion-mnist",
        "cat results/report/ranking.md",
        "python -m tools.series main fashion-mnist",
    ],
    "cnn": ranked(
        "cnn",
        "-S network.file=networks/cnn.py -S '~network.config.hidden_units' -S '~network.config.activation'",
        "python -m tools.series main cnn",
    ),
    "race": [
        "## The default settings",
        "python -m stages.race",
        "cat results/report/ranking.md",
        "## The tuned learning rates",
        "python -m stages.race --study",
        "cat results/tuning/report/tuned.md",
    ],
    "newer-optimizers": [
        # An eighth of the examples, so that the study takes minutes: a step of Muon takes 13 times as long as Adam's.
        "sed -i 's/train_size: 8192/train_size: 1024/' params.yaml",
        "sed -i '/^optimizers:/r docs/experiments/newer-optimizers.yaml' params.yaml",
        "python -m stages.repro",
        "cat results/report/ranking.md",
        "python -m stages.repro tuning/dvc.yaml",
        "cat results/tuning/report/tuned.md",
    ],
}
# A page shows what came of these commands, not their progress.
SILENT = ("dvc exp run", "dvc exp apply", "python -m stages.repro", "python -m stages.race", "sed -i")


def run(command: str, folder: Path) -> str:
    """Run a command line in a folder; returns its stdout and lets its stderr pass."""
    return subprocess.run(command, shell=True, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(names: list[str]) -> None:
    """Run each experiment in a clone and write its page."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "descent")
        run(f"git clone --quiet . {clone} && git -C {clone} checkout --quiet -B main", Path.cwd())
        cache = run("dvc cache dir", Path.cwd()).strip()
        run(f"dvc cache dir --local {cache} && dvc checkout --quiet dvc.yaml", clone)
        if Path(".dvc/tmp/runs").exists():
            shutil.copytree(".dvc/tmp/runs", clone / ".dvc/tmp/runs")
        for name in names:
            page = "`tools/experiments.py` made this page.\n"
            for command in EXPERIMENTS[name]:
                if command.startswith("## "):
                    page += f"\n{command}\n"
                    continue
                printed = run(command, clone).strip()
                page += f"\n```console\n$ {command}\n```\n"
                if not command.startswith(SILENT):
                    page += f"\n{printed}\n"
            page = page.replace("```\n\n```console\n", "")  # commands that print nothing share a block
            Path(FOLDER, f"{name}.md").write_text(page, encoding="utf-8")
            run("git checkout --quiet . && dvc checkout --quiet dvc.yaml", clone)


if __name__ == "__main__":
    main(sys.argv[1:] or list(EXPERIMENTS))
