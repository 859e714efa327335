"""Tables of the report from synthetic trainings, and the stage that writes them."""

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from descent import parameters
from descent.report import figures, statistics, tables
from stages import compare

ROOT = Path(__file__).parents[2]
EPOCHS = 4
REPORT = tables.ReportParameters(confidence=0.95, interval="t", power=0.8, gaps_points=[0.5, 1.0])
DATA = tables.DataConditions(train_size=8192, validation_size=3000)
NETWORK = tables.NetworkConditions(hidden_units=[512, 256], activation="relu", dropout=0.2)
RECORDS = ("environment", "history", "metrics")  # what each training leaves, a folder each
LEVELS = {"sgd": 0.85, "adam": 0.95, "rmsprop": 0.951, "own": 0.9}  # last validation accuracy, about


def conditions(seeds=(2, 0, 1)):
    return tables.TrainingConditions(epochs=EPOCHS, batch_size=128, seeds=list(seeds), target_val_accuracy=0.93)


def history_text(level, seeds=(0, 1, 2), diverged_seed=None):
    """A history file that climbs to `level`; the run of `diverged_seed` diverges in the third epoch."""
    lines = [",".join(tables.HISTORY_COLUMNS)]
    for epoch in range(1, EPOCHS + 1):
        for seed in sorted(seeds):
            noise = np.random.default_rng([seed, epoch, round(1000 * level)]).normal(0, 0.001)
            accuracy = level - 0.05 * (EPOCHS - epoch) + noise
            scores = [1 - accuracy, accuracy, 1.1 - accuracy, accuracy, 2.0, 0.02, 0.001, 0.25]
            if seed == diverged_seed and epoch > 2:
                scores = [math.nan] * 8
            lines.append(",".join(f"{value:.6g}" for value in [seed, epoch, *scores]))
    return "\n".join(lines) + "\n"


def histories(seeds=(0, 1, 2), diverged=None, names=tuple(LEVELS)):
    return {
        name: tables.parse_history(
            history_text(LEVELS[name], seeds, seeds[0] if name == diverged else None), name, conditions(seeds)
        )
        for name in names
    }


def ranking(trained):
    runs = tables.final_val_accuracy(trained)
    sds = {name: 0.002 if len(accuracies) > 1 else None for name, accuracies in runs.items()}
    scores = {name: tables.Score(test_accuracy=0.9, test_accuracy_sd=sd) for name, sd in sds.items()}
    differences = statistics.paired_differences(runs, REPORT.confidence)
    return tables.ranking(trained, scores, differences, 0.93, REPORT)


def test_history_is_read_by_epoch_and_seed():
    text = history_text(0.9)
    history = tables.parse_history(text, "x.csv", conditions())
    rows = {(row["seed"], row["epoch"]): row for row in csv.DictReader(io.StringIO(text))}
    assert history["val_loss"].shape == (EPOCHS, 3)
    assert history["val_loss"][2, 1] == float(rows["1", "3"]["val_loss"])
    assert history["unmoved_share"][0, 2] == float(rows["2", "1"]["unmoved_share"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.rsplit("\n", 2)[0] + "\n",
        lambda text: text.replace("val_loss,val_accuracy", "val_accuracy,val_loss"),
        lambda text: text.replace("0.25", "abc", 1),
        lambda text: text.replace("\n0,1,", "\n7,1,"),
        lambda text: text.splitlines()[0] + "\n",
    ],
    ids=["empty", "cut short", "row missing", "columns swapped", "no number", "other seed", "header only"],
)
def test_a_damaged_history_is_refused_by_name(damage):
    with pytest.raises(parameters.InputError, match=r"^history/adam\.csv: .*run dvc repro"):
        tables.parse_history(damage(history_text(0.9)), "history/adam.csv", conditions())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"test_accuracy": 0.9}', '{"test_accuracy": "x", "test_accuracy_sd": 0.1}']
)
def test_damaged_metrics_are_refused_by_name(text):
    with pytest.raises(parameters.InputError, match=r"^metrics/adam\.json"):
        tables.parse_document(text, tables.Score, "metrics/adam.json")


def test_tutorial_names_are_read_in_lower_case_with_the_last_printed_epoch():
    printed = tables.parse_tutorial((ROOT / "data/reference/tutorial_history.csv").read_text(encoding="utf-8"))
    assert sorted(printed) == ["adadelta", "adagrad", "adam", "adamax", "nadam", "rmsprop", "sgd"]
    assert printed["sgd"]["val_accuracy"][-1] == 0.8733
    assert printed["rmsprop"]["val_loss"][0] == 0.3857


def test_curves_are_sorted_and_hold_mean_and_interval_of_each_epoch():
    trained = histories()
    rows = tables.curves(trained, REPORT)
    assert [row[:3] for row in rows] == sorted(
        (o, s, e) for o in LEVELS for s in ("train", "val") for e in range(1, EPOCHS + 1)
    )
    (row,) = [row for row in rows if row[:3] == ("adam", "val", 3)]
    expected = statistics.summarize(trained["adam"]["val_accuracy"][2], 0.95, "t")
    assert (row.accuracy, row.accuracy_low, row.accuracy_high) == (expected.mean, expected.low, expected.high)
    assert row.loss == trained["adam"]["val_loss"][2].mean()


def test_curves_of_a_diverged_optimizer_end_where_it_diverged():
    rows = [row for row in tables.curves(histories(diverged="adam"), REPORT) if row[:2] == ("adam", "val")]
    assert [math.isnan(row.accuracy) for row in rows] == [False, False, True, True]


def test_diagnostics_are_means_over_the_runs():
    trained = histories()
    (row,) = [row for row in tables.diagnostics(trained) if row[:2] == ("own", 2)]
    assert row[2:] == tuple(trained["own"][name][1].mean() for name in tables.DIAGNOSTICS)


def test_ranking_is_by_mean_with_ties_and_the_diverged_last():
    rows = ranking(histories(diverged="adam"))
    assert [row.optimizer for row in rows] == ["rmsprop", "own", "sgd", "adam"]
    assert [row.ties for row in rows] == ["a", "b", "c", ""]
    assert [row.diverged for row in rows] == [0, 0, 0, 1]
    assert math.isnan(rows[-1].val_accuracy)


def test_optimizers_that_cannot_be_told_apart_share_a_letter():
    ties = {row.optimizer: row.ties for row in ranking(histories())}
    assert ties == {"rmsprop": "a", "adam": "a", "own": "b", "sgd": "c"}


def test_ranking_counts_the_runs_that_reach_the_target_and_misses_as_infinite():
    rows = {row.optimizer: row for row in ranking(histories())}
    assert (rows["adam"].reached, rows["adam"].epochs_to_target) == (3, 4)
    assert (rows["sgd"].reached, rows["sgd"].epochs_to_target, rows["sgd"].runs) == (0, math.inf, 3)


def test_one_seed_ranks_and_ties_all():
    trained = histories(seeds=(5,))
    rows = ranking(trained)
    assert [row.optimizer for row in rows] == sorted(trained, key=lambda name: -trained[name]["val_accuracy"][-1, 0])
    assert {row.ties for row in rows} == {"a"}


def test_replication_takes_the_last_common_epoch_whatever_the_case_of_the_name():
    trained = histories(names=("adam", "own")) | {"SGD": histories(names=("sgd",))["sgd"]}
    printed = {
        name: {figure: np.linspace(0, 1, 20) for figure in ("val_accuracy", "val_loss")}
        for name in ("adam", "sgd", "nadam")
    }
    printed["adam"]["val_accuracy"][EPOCHS - 1] = trained["adam"]["val_accuracy"][-1].mean()
    rows = tables.replication(trained, printed, 0.95)
    assert [(row.optimizer, row.figure, row.epoch, row.inside) for row in rows] == [
        ("SGD", "val_accuracy", 4, "false"),
        ("SGD", "val_loss", 4, "false"),
        ("adam", "val_accuracy", 4, "true"),
        ("adam", "val_loss", 4, "true" if rows[3].low <= 3 / 19 <= rows[3].high else "false"),
    ]
    assert (rows[2].low, rows[2].high) == statistics.prediction_interval(trained["adam"]["val_accuracy"][-1], 0.95)


def test_replication_of_a_longer_training_is_at_the_tutorials_last_epoch():
    trained = histories(names=("adam",))
    printed = {"adam": {figure: trained["adam"][figure][:2, 0] for figure in ("val_accuracy", "val_loss")}}
    rows = tables.replication(trained, printed, 0.95)
    assert [(row.epoch, row.mean) for row in rows] == [(2, trained["adam"][row.figure][1].mean()) for row in rows]


def test_replication_with_one_run_says_unknown():
    trained = histories(seeds=(5,), names=("adam",))
    printed = {figure: values[:, 0] for figure, values in trained["adam"].items()}
    rows = tables.replication(trained, {"adam": printed}, 0.95)
    assert {row.inside for row in rows} == {"unknown"}


def test_csv_holds_the_header_without_rows_and_numbers_that_read_back():
    assert tables.csv_text(("a", "b"), []) == "a,b\n"
    text = tables.csv_text(("name", "x", "n"), [("q", 1 / 3, 3), ("r", math.nan, 4), ("s", math.inf, 5)])
    assert text == "name,x,n\nq,0.333333,3\nr,nan,4\ns,inf,5\n"


def test_ranking_markdown_is_a_table_and_one_line_of_conditions():
    text = tables.ranking_markdown(ranking(histories(diverged="adam")), DATA, NETWORK, conditions(), REPORT)
    *table, blank, line = text.splitlines()
    assert blank == ""
    assert len({len(row) for row in table}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    assert [row[0] for row in cells[2:]] == ["rmsprop", "own", "sgd", "adam"]
    assert cells[4][4:] == ["> 4 (0 of 3)", "0 of 3"]
    assert cells[5] == ["adam", "–", "–", "90.00 ± 0.20", "4 (2 of 3)", "1 of 3"]
    for condition in ("3 paired seeds (0, 1, 2)", "4 epochs", "8192", "128", "3000", "7000", "784-512-256-10", "5 %"):
        assert condition in line


def test_one_seed_is_said_to_establish_nothing():
    trained = histories(seeds=(5,))
    rows = ranking(trained)
    text = tables.ranking_markdown(rows, DATA, NETWORK, conditions((5,)), REPORT)
    assert "±" not in text
    assert "nothing can be told apart" in text
    differences = statistics.paired_differences(tables.final_val_accuracy(trained), 0.95)
    summary = tables.summary_markdown(rows, differences, [], DATA, REPORT)
    assert summary.count("told apart") == 1
    assert "nan" not in summary


def test_summary_gives_the_seeds_that_the_measured_spread_asks_for():
    trained = histories()
    differences = statistics.paired_differences(tables.final_val_accuracy(trained), 0.95)
    summary = tables.summary_markdown(ranking(trained), differences, [], DATA, REPORT)
    pooled = statistics.pooled_sd([row.sd for row in differences])
    widest = max(row.sd for row in differences)
    for gap in (0.005, 0.01):
        counts = [statistics.seeds_needed(gap, sd, 1 - 0.95, 0.8) for sd in (pooled, widest)]
        assert f"at a gap of {100 * gap:g} points {counts[0]} seeds ({counts[1]} for the noisiest pair)" in summary
    assert "5 of 6 pairs" in summary


def test_summary_counts_the_tutorials_figures_inside_and_names_those_outside():
    row = tables.Replication("sgd", "val_loss", 20, 0.4, 0.3, 0.01, 3, 0.25, 0.35, "false")
    rows = [row, row._replace(optimizer="adam", inside="true"), row._replace(optimizer="x", inside="unknown")]
    summary = tables.summary_markdown(ranking(histories()), [], rows, DATA, REPORT)
    assert summary.startswith("- 1 of the tutorial's 2 printed figures (1 more cannot be judged) lie in the 95 % ")
    assert "outside: sgd val_loss 0.4 (0.25 to 0.35)." in summary


def results(folder, names, seeds=(0, 1, 2)):
    """A folder in which the stage can run: parameters, the tutorial's figures, what the trainings left."""
    document = YAML(typ="safe").load(ROOT / "params.yaml")
    document["optimizers"] = {name: {"class_name": "SGD", "config": {}} for name in names if name != "own"}
    document["own_optimizers"] = {
        name: {"class_name": "X", "config": {}, "file": "x.py"} for name in names if name == "own"
    }
    document["training"] |= {"epochs": EPOCHS, "seeds": list(seeds)}
    YAML().dump(document, folder / "params.yaml")
    shutil.copytree(ROOT / "data/reference", folder / "data/reference")
    for path in compare.CODE:
        (folder / path.parent).mkdir(exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    for kind in RECORDS:
        (folder / "results" / kind).mkdir(parents=True)
    for name in names:
        (folder / f"results/history/{name}.csv").write_text(history_text(LEVELS[name]), encoding="utf-8")
        metrics = {"loss": 0.1, "test_accuracy": LEVELS[name], "test_accuracy_sd": 0.002, "diverged": 0}
        (folder / f"results/metrics/{name}.json").write_text(json.dumps(metrics), encoding="utf-8")
        (folder / f"results/environment/{name}.json").write_text('{"device": "CPU"}', encoding="utf-8")
    return folder


def report(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in (folder / "results/report").rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The stage, run as users run it; its folder and what it printed."""
    folder = results(tmp_path_factory.mktemp("compared"), ["sgd", "adam", "own"])
    (folder / "results/history/ghost.csv").write_text("removed", encoding="utf-8")
    (folder / "results/models").mkdir()
    for name in ("environment/ghost.json", "metrics/ghost.json", "models/ghost.weights.h5"):
        (folder / "results" / name).write_text("removed", encoding="utf-8")
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "runpy.run_module('stages.compare', run_name='__main__')\n"
        "print(sorted({'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder, done.stdout


def test_compare_writes_its_outputs_and_nothing_else(compared):
    folder, _ = compared
    names = [
        "curves.csv",
        "diagnostics.csv",
        "differences.csv",
        "index.html",
        "ranking.csv",
        "ranking.md",
        "summary.md",
        "tutorial.csv",
    ]
    pictures = [f"figures/{name}.png" for name in ("accuracy", "diagnostics", "replication", "tutorial")]
    assert sorted(map(str, report(folder))) == sorted(f"results/report/{name}" for name in names + pictures)


def test_compare_prints_the_ranking_and_where_the_figures_are(compared):
    folder, printed = compared
    assert printed.startswith((folder / "results/report/ranking.md").read_text(encoding="utf-8"))
    assert "results/report/figures" in printed


def test_compare_loads_neither_keras_nor_pyplot(compared):
    assert compared[1].endswith("[]\n")


def test_compare_drops_what_params_yaml_lists_no_more(compared):
    folder, _ = compared
    left = {kind: sorted(path.stem for path in (folder / "results" / kind).iterdir()) for kind in RECORDS}
    assert left == {kind: ["adam", "own", "sgd"] for kind in RECORDS}
    assert list((folder / "results/models").iterdir()) == []


def test_order_of_optimizers_changes_no_byte_of_the_report(compared, tmp_path, monkeypatch):
    monkeypatch.chdir(results(tmp_path, ["own", "adam", "sgd"]))
    compare.main()
    assert report(tmp_path) == report(compared[0])


def test_order_of_seeds_changes_no_byte_of_the_report_but_its_digest_and_the_seeds_it_states(
    compared, tmp_path, monkeypatch
):
    monkeypatch.chdir(results(tmp_path, ["sgd", "adam", "own"], seeds=(1, 2, 0)))
    compare.main()
    ours, theirs = report(tmp_path), report(compared[0])
    page = [files.pop(Path("results/report/index.html")).decode().splitlines() for files in (ours, theirs)]
    assert ours == theirs
    differing = [line for lines in zip(*page, strict=True) for line in lines if lines[0] != lines[1]]
    assert len(differing) == 4
    assert all("digest" in line or "training.seeds" in line for line in differing)


@pytest.mark.parametrize(
    "missing", ["results/history/adam.csv", "results/metrics/adam.json", "results/environment/adam.json"]
)
def test_a_listed_optimizer_without_its_file_is_named_and_nothing_is_touched(missing, tmp_path, monkeypatch):
    monkeypatch.chdir(results(tmp_path, ["adam", "sgd"]))
    Path(missing).unlink()
    Path("results/history/ghost.csv").touch()
    with pytest.raises(SystemExit, match=f"^{missing}: "):
        compare.main()
    assert Path("results/history/ghost.csv").exists()
    assert not Path("results/report").exists()


def test_bad_parameters_are_refused_before_anything_is_deleted(tmp_path, monkeypatch):
    monkeypatch.chdir(results(tmp_path, ["adam"]))
    Path("results/history/ghost.csv").touch()
    document = YAML(typ="safe").load(Path("params.yaml"))
    document["report"]["confidence"] = 95
    YAML().dump(document, Path("params.yaml"))
    with pytest.raises(SystemExit, match=r"^params\.yaml: report\.confidence: .*got 95"):
        compare.main()
    assert Path("results/history/ghost.csv").exists()


def test_a_failure_while_drawing_leaves_the_old_report_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(results(tmp_path, ["adam"]))
    Path("results/report").mkdir()
    Path("results/report/ranking.md").write_text("old", encoding="utf-8")
    monkeypatch.setattr(figures, "replication", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare.main()
    assert report(tmp_path) == {Path("results/report/ranking.md"): b"old"}


def test_the_shipped_report_section_is_valid():
    assert parameters.read(ROOT / "params.yaml", "report", tables.ReportParameters).interval in ("t", "bootstrap")
