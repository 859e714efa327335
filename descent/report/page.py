"""Writes the findings as one HTML page that needs no network and no other file. Its script only fades lines."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from descent.analysis.tables import CurvePoint, DiagnosticsPoint, Rank
from descent.analysis.tutorial import TutorialPoint
from descent.report.layout import Table

# What the figures draw in -> the page's own colours, so that they turn dark with it; sgd's black does, too.
THEME = {
    "#000000": "var(--text)",
    "#222222": "var(--text)",
    "#bbbbbb": "var(--soft)",
    "#cccccc": "var(--line)",
    "#dddddd": "var(--line)",
    "#e4e4e4": "var(--shade)",
    "#ffffff": "var(--page)",
    "#882255": "light-dark(#882255, #cc6699)",
    "#332288": "light-dark(#332288, #8f80e0)",
    "#117733": "light-dark(#117733, #44aa66)",
}


class Texts(NamedTuple):
    """The sentences of the page and of ranking.md and summary.md."""

    answer: str
    conditions: str
    reading: str
    summary: Sequence[str]


def html(
    template: str,
    styles: str,
    texts: Texts,
    tables: Mapping[str, Table],
    pictures: Mapping[str, str],
    alternatives: Mapping[str, str],
) -> str:
    """Fill the template; every text is escaped on its way into it.

    Args:
        template: HTML with $names for `string.Template`; what stands between `<!-- tutorial -->` and `<!-- end -->` is
            left out without a picture of this name.
        styles: CSS, put in as it is.
        texts: what is said.
        tables: name in the template -> table.
        pictures: name in the template -> `svg` element.
        alternatives: name of a picture -> what it shows, in words.
    """
    shown = "" if "tutorial" not in pictures else r"\1"
    template = re.sub(r"<!-- tutorial -->\n?(.*?)<!-- end -->\n?", shown, template, flags=re.DOTALL)
    summary = Element("ul")
    for sentence in texts.summary:
        SubElement(summary, "li").text = sentence
    parts = {
        **texts._asdict(),
        "summary": summary,
        **{f"{name}_table": table(content) for name, content in tables.items()},
    }
    escaped = {
        name: escape(part) if isinstance(part, str) else tostring(part, "unicode", method="html")
        for name, part in parts.items()
    }
    drawn = {f"{name}_svg": picture(name, content, alternatives[name]) for name, content in pictures.items()}
    return Template(template).substitute(escaped | drawn | {"styles": styles})


def picture(name: str, svg: str, alternative: str) -> str:
    """Fit an `svg` element into the page: in its colours, with names that no other picture has, and with words."""
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(?<=\bid=")|(?<=href="#)|(?<=url\(#)', f"{name}-", svg)
    svg = re.sub("|".join(THEME), lambda color: THEME[color[0]], svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alternative)}"', 1)


def table(content: Table) -> Element:
    """Make an HTML table in a box of its own."""
    # Wide tables scroll in their own box, which the keyboard must be able to reach.
    box = Element("div", {"class": "wide", "role": "group", "tabindex": "0", "aria-label": content.caption})
    element = SubElement(box, "table")
    SubElement(element, "caption").text = content.caption
    line = SubElement(SubElement(element, "thead"), "tr")
    for head in content.heads:
        SubElement(line, "th", scope="col").text = head
    body = SubElement(element, "tbody")
    for first, *rest in content.rows:
        line = SubElement(body, "tr")
        SubElement(line, "th", scope="row").text = first
        for cell in rest:
            SubElement(line, "td").text = cell
    return box


def alternatives(
    ranking: Sequence[Rank],
    curves: Sequence[CurvePoint],
    diagnostics: Sequence[DiagnosticsPoint],
    points: Sequence[TutorialPoint],
) -> dict[str, str]:
    """Say in words what each picture shows, from the tables that it draws."""
    accuracies = {row.optimizer: 100 * row.val_accuracy for row in ranking}
    losses = {row.optimizer: row.loss for row in curves if row.split == "val"}  # the last epoch comes last
    changes = {row.optimizer: row.relative_change for row in diagnostics}
    names = sorted({row.optimizer for row in points})
    return {
        "ranking": "Two panels, one line for each optimizer, best on top. Left, its runs, their mean and its interval: "
        f"means in %, {_extremes(accuracies)}. Right, how far the best leads it.",
        "curves": "Three panels by epoch, one line for each optimizer with a band around it: validation accuracy, "
        f"training loss, validation loss. Validation loss after the last epoch in nats, {_extremes(losses)}.",
        "diagnostics": "Four panels by epoch, one line for each optimizer: how far the weights move in an epoch, the "
        "norm of the weights, their relative change, the share of unchanged weights. Relative change in the last "
        f"epoch, {_extremes(changes)}.",
        "tutorial": "Validation accuracy and validation loss by epoch, two panels for each optimizer that the tutorial "
        f"ran too ({', '.join(names) or 'none'}): its printed points over our mean and its band.",
        "trajectories": "A line of panels for each optimizer but your own ones: its path over each surface, on "
        "contour lines, and the size of its updates among those of the others.",
    }


def _extremes(values: Mapping[str, float]) -> str:
    known = sorted((value, name) for name, value in values.items() if math.isfinite(value))
    if not known:
        return "unknown, since every optimizer had a run that diverged"
    (low, lowest), (high, highest) = known[0], known[-1]
    return f"from {low:.4g} ({lowest}) to {high:.4g} ({highest})"
