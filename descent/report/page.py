"""Lays the findings out as one HTML page that needs nothing else: no network, no script, no other file."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any, NamedTuple

from descent.optimizers.entries import OptimizerEntry, OwnOptimizerEntry
from descent.report.statistics import Difference
from descent.report.tables import CurvePoint, DiagnosticsPoint, Rank, Replication, percent

# The sections of docs/optimizers.md: classes of Keras and of descent/optimizers/keras2/, in lower case.
RULES = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam", "tfoptimizer")
FIGURES = {  # name in tutorial.csv -> factor and digits in which it is shown, name for people
    "val_accuracy": (100, 2, "validation accuracy, %"),
    "val_loss": (1, 4, "validation loss, nats"),
}

Environment = dict[str, str | int | bool]  # what computed one optimizer's results: property -> value


class Findings(NamedTuple):
    """What the page shows: tables of the report, the text of ranking.md and summary.md, PNG files by name."""

    ranking: Sequence[Rank]
    ranking_markdown: str
    summary_markdown: str
    differences: Sequence[Difference]
    curves: Sequence[CurvePoint]
    diagnostics: Sequence[DiagnosticsPoint]
    replication: Sequence[Replication]
    pictures: Mapping[str, bytes]
    confidence: float  # of all intervals, in (0, 1)


class Provenance(NamedTuple):
    """The digest of what the page was computed from, and the shell command that prints it."""

    digest: str
    command: str


def html(
    template: str,
    findings: Findings,
    settings: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, OptimizerEntry],
    environments: Mapping[str, Environment],
    provenance: Provenance,
) -> str:
    """Fill the template; equal arguments give equal text, whatever the order of optimizers.

    Args:
        template: HTML with $names for `string.Template`.
        findings: of the comparison.
        settings: section of params.yaml -> key -> value, to be stated.
        entries: optimizer -> its entry in params.yaml.
        environments: of the same optimizers.
        provenance: of all of these.
    """
    table, conditions = findings.ranking_markdown.strip().split("\n\n")
    heads, _, *rows = [[escape(cell.strip()) for cell in line.strip("|").split("|")] for line in table.splitlines()]
    sentences = [line.removeprefix("- ") for line in findings.summary_markdown.splitlines()]
    return Template(template).substitute(
        answer=escape(_answer(findings)),
        ranking=_table("Ranking after the last epoch, best first", heads, rows),
        conditions=escape(conditions),
        leads=_leads(findings),
        summary="\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences),
        replication=_replication(findings),
        settings=_settings(settings),
        optimizers=_optimizers(entries),
        environment=_environment(environments),
        digest=provenance.digest,
        command=escape(provenance.command),
        **{f"{name}_png": base64.b64encode(content).decode() for name, content in findings.pictures.items()},
        **{f"{name}_alt": escape(text) for name, text in _alternatives(findings).items()},
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column names the rows; cells are HTML, the caption is text."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    # Wide tables scroll in their own box, which the keyboard must be able to reach.
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(low: float, high: float, digits: int) -> str:
    return "–" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def _against_best(findings: Findings) -> list[Difference]:
    """The best optimizer minus each other one, in the order of the ranking."""
    best, *others = [row.optimizer for row in findings.ranking]
    flipped = [
        row._replace(first=row.second, second=row.first, mean=-row.mean, low=-row.high, high=-row.low)
        for row in findings.differences
    ]
    pairs = {(row.first, row.second): row for row in [*findings.differences, *flipped]}
    return [pairs[best, other] for other in others]


def _is_told_apart(difference: Difference, confidence: float) -> bool:
    return difference.p_holm <= 1 - confidence


def _answer(findings: Findings) -> str:
    best = findings.ranking[0]
    if math.isnan(best.val_accuracy):
        return "Every optimizer had a run that diverged, so none can be called the best."
    names: dict[bool, list[str]] = {True: [], False: []}
    for row in _against_best(findings):
        if math.isfinite(row.mean):
            names[_is_told_apart(row, findings.confidence)].append(row.second)
    apart, tied = (", ".join(names[told]) or "none" for told in (True, False))
    accuracy = percent(best.val_accuracy, best.val_accuracy_sd)
    return (
        f"{best.optimizer} ends with the highest validation accuracy, {accuracy} %. "
        f"Optimizers that the runs tell apart from it: {apart}. Not told apart from it: {tied}."
    )


def _leads(findings: Findings) -> str:
    rows = [
        [
            row.second,
            _number(100 * row.mean, 2),
            _interval(100 * row.low, 100 * row.high, 2),
            "–" if math.isnan(row.p_holm) else f"{row.p_holm:.2g}",
            "yes" if _is_told_apart(row, findings.confidence) else "no",
        ]
        for row in _against_best(findings)
    ]
    best = findings.ranking[0].optimizer
    caption = f"By how much {best} leads: paired differences of validation accuracy, in percentage points"
    level = f"{100 * findings.confidence:g} % interval of this pair"
    return _table(caption, ["Before", "Mean", level, "p, Holm's correction for all pairs", "Told apart"], rows)


def _replication(findings: Findings) -> str:
    rows = []
    for row in findings.replication:
        factor, digits, name = FIGURES[row.figure]
        rows.append(
            [
                row.optimizer,
                name,
                str(row.epoch),
                _number(factor * row.tutorial, digits),
                _number(factor * row.mean, digits),
                _number(factor * row.sd, digits),
                str(row.n),
                _interval(factor * row.low, factor * row.high, digits),
                {"true": "yes", "false": "no"}.get(row.inside, "unknown"),
            ]
        )
    interval = f"{100 * findings.confidence:g} % prediction interval of one more run"
    heads = ["Optimizer", "Figure", "Epoch", "Tutorial", "Ours, mean", "sd", "Runs", interval, "Tutorial inside"]
    return _table("The tutorial's printed figures beside ours", heads, rows)


def _settings(settings: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [f"<code>{section}.{key}</code>", escape(json.dumps(value))]
        for section, values in settings.items()
        for key, value in values.items()
    ]
    return _table("Conditions, as in params.yaml", ["Key", "Value"], rows)


def _optimizers(entries: Mapping[str, OptimizerEntry]) -> str:
    rows = []
    for name, entry in sorted(entries.items()):
        rule, label = entry.class_name.split(">")[-1].lower(), escape(entry.class_name)
        if isinstance(entry, OwnOptimizerEntry):
            label = f'<a href="../../{escape(entry.file)}">{label}</a>'
        elif rule in RULES:
            label = f'<a href="../../docs/optimizers.md#{rule}">{label}</a>'
        config = ", ".join(f"{key} {json.dumps(value)}" for key, value in sorted(entry.config.items()))
        rows.append([name, label, escape(config)])
    return _table("The optimizers and all their hyperparameters", ["Optimizer", "Update rule", "Hyperparameters"], rows)


def _environment(environments: Mapping[str, Environment]) -> str:
    names = sorted(environments)
    rows = []
    for key in dict.fromkeys(key for name in names for key in environments[name]):
        holders: dict[str, list[str]] = {}
        for name in names:
            holders.setdefault(str(environments[name].get(key, "not recorded")), []).append(name)
        values = [value if len(holders) == 1 else f"{value} ({', '.join(of)})" for value, of in holders.items()]
        rows.append([escape(key), escape("; ".join(values))])
    first, *others = (environments[name] for name in names)
    sentence = (
        "Every optimizer was trained in the same environment."
        if all(other == first for other in others)
        else "The optimizers were not all trained in the same environment; that, too, can set them apart."
    )
    return f"<p>{sentence}</p>\n{_table('What computed the results', ['Property', 'Value'], rows)}"


def _alternatives(findings: Findings) -> dict[str, str]:
    """Say in words what each picture shows."""
    accuracies = {row.optimizer: 100 * row.val_accuracy for row in findings.ranking}
    losses = {row.optimizer: row.loss for row in findings.curves if row.split == "val"}  # the last epoch comes last
    ratios = {row.optimizer: row.update_to_weight for row in findings.diagnostics}
    panels = len(findings.replication)
    return {
        "accuracy": "One line for each optimizer, best on top: a circle for each run, a bar for the interval of the "
        f"mean. Means in %, {_extremes(accuracies)}.",
        "tutorial": "Two panels, training loss and validation loss by epoch: one line for each optimizer with a band "
        f"around it. Validation loss after the last epoch in nats, {_extremes(losses)}.",
        "diagnostics": "Four panels by epoch, one line for each optimizer: norm of the gradient, norm of the update, "
        "update relative to the weights, weights that did not move. Update relative to the weights at the end, "
        f"{_extremes(ratios)}.",
        "replication": f"{panels} panels by epoch, validation accuracy and validation loss for each optimizer that the "
        "tutorial ran: its printed points over our mean and its band. The table below has the last epoch in numbers.",
    }


def _extremes(values: Mapping[str, float]) -> str:
    known = sorted((value, name) for name, value in values.items() if math.isfinite(value))
    if not known:
        return "unknown, since every optimizer had a run that diverged"
    (low, lowest), (high, highest) = known[0], known[-1]
    return f"from {low:.4g} ({lowest}) to {high:.4g} ({highest})"
