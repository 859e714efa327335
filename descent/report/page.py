"""Writes findings as an HTML page that needs no network and no other file: one base page, a body for each report."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import contourpy
import numpy as np

from descent.core import style
from descent.core.parameters import InputError
from descent.report.display_tables import Table, times
from descent.report.study_figures import Study
from descent.trajectories.paths import Surface, leaves_at, survey

# What the figures draw in -> the pages' own colours, so that they turn dark with them; sgd's black does, too.
THEME = {
    "#000000": "var(--text)",
    "#222222": "var(--text)",
    "#bbbbbb": "var(--soft)",
    "#c6c6c6": "var(--line)",
    "#cccccc": "var(--line)",
    "#dddddd": "var(--line)",
    "#e4e4e4": "var(--shade)",
    "#ffffff": "var(--page)",
    "#882255": "light-dark(#882255, #cc6699)",
    "#332288": "light-dark(#332288, #8f80e0)",
    "#117733": "light-dark(#117733, #44aa66)",
}
SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "P": "cross"}
SHAPES |= {"X": "M-.7,-1L0,-.3L.7,-1L1,-.7L.3,0L1,.7L.7,1L0,.3L-.7,1L-1,.7L-.3,0L-1,-.7Z", "<": "triangle-left"}


def html(
    body: str,
    title: str,
    texts: Mapping[str, str | Sequence[str]],
    tables: Mapping[str, Table],
    pictures: Mapping[str, tuple[str, str]],
    **further: str,
) -> str:
    """Fill a body and put it into the base page; every text and every cell is escaped on its way.

    Args:
        body: HTML with $names for `string.Template`; what stands between `<!-- NAME -->` and `<!-- end -->` is left out
            without a picture of that name.
        title: of the page.
        texts: name -> what is said; sentences in a sequence become items of a list.
        tables: name -> table, of which the body has $name_table.
        pictures: name -> `svg` element, of which the body has $name_svg, and what it shows in words.
        further: $name -> what comes in as it is.
    """
    body = re.sub(
        r"<!-- (\w+) -->\n?(.*?)<!-- end -->\n?",
        lambda found: found[2] if found[1] in pictures else "",
        body,
        flags=re.DOTALL,
    )
    parts = {"title": escape(title), "styles": read("page.css"), "eval": "", "scripts": ""} | further
    for name, said in texts.items():
        parts[name] = escape(said) if isinstance(said, str) else "".join(f"<li>{escape(each)}</li>" for each in said)
    parts |= {f"{name}_table": tostring(table(content), "unicode", method="html") for name, content in tables.items()}
    parts |= {f"{name}_svg": picture(name, *drawn) for name, drawn in pictures.items()}
    heads = re.findall(r'<h2 id="(\w+)">([^<:]*)', body)  # what stands before a colon
    parts["contents"] = "".join(f'<li><a href="#{name}">{head}</a></li>\n' for name, head in heads)
    parts["body"] = Template(body).substitute(parts)
    return Template(read("base.html")).substitute(parts)


def study_scripts(study: Study, plots_page: str) -> dict[str, str]:
    """Make what lets the page of the study draw: names of `html` -> numbers and scripts, licences, the right to run.

    Args:
        study: what is drawn.
        plots_page: .dvc/plots_page/page.html, which holds the drawing libraries and their licences.

    Raises:
        InputError: if plots_page holds no libraries.
    """
    found = {}
    for name in ("libraries", "licences"):
        part = re.search(f"<!-- {name} -->(.*)<!-- end of {name} -->", plots_page, re.DOTALL)
        if not part:
            raise InputError(f".dvc/plots_page/page.html: no {name} in it: run python -m tools.plots_page")
        found[name] = part[1]
    # In a script element of JSON only "<" could be taken for markup.
    data = json.dumps(study_data(study), separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")
    numbers = f'<script type="application/json" id="numbers">{data}</script>'
    scripts = f"{numbers}\n{found['libraries']}\n<script>\n{read('study.js')}</script>\n"
    return {"scripts": scripts, "licences": found["licences"], "eval": " 'unsafe-eval'"}


def read(name: str) -> str:
    """Read a part of the pages, which stands beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def picture(name: str, drawn: str, alternative: str) -> str:
    """Fit an `svg` element into a page: in its colours, with names that no other picture has, and with words."""
    drawn = drawn.replace("xlink:href", "href")
    drawn = re.sub(r'(?<=\bid=")|(?<=href="#)|(?<=url\(#)', f"{name}-", drawn)
    drawn = re.sub("|".join(THEME), lambda color: THEME[color[0]], drawn)
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(alternative)}"', 1)


def table(content: Table) -> Element:
    """Make an HTML table in a box of its own; each cell has the kind of its column for a class."""
    # Wide tables scroll in their own box, which the keyboard must be able to reach.
    box = Element("div", {"class": "wide", "role": "group", "tabindex": "0", "aria-label": content.caption})
    made = SubElement(box, "table")
    SubElement(made, "caption").text = content.caption
    line = SubElement(SubElement(made, "thead"), "tr")
    for head in content.heads:
        SubElement(line, "th", scope="col").text = head
    body = SubElement(made, "tbody")
    for first, *rest in content.rows:
        line = SubElement(body, "tr")
        SubElement(line, "th", scope="row").text = first
        for kind, cell in zip(content.kinds[1:], rest, strict=True):
            SubElement(line, "td", {"class": kind}).text = cell
    return box


def study_data(study: Study) -> dict[str, Any]:
    """Collect what study.js draws, as JSON takes it; a number that is not known is null."""
    factors = sorted({row.factor for row in study.sensitivity})
    place = {factor: i for i, factor in enumerate(factors)}
    looks = style.looks([row.optimizer for row in study.sensitivity])
    points, score = [], study.score
    for row in study.sensitivity:
        best, known = study.chosen.get(row.optimizer), row.diverged == 0
        point = {
            "optimizer": row.optimizer,
            "place": place[row.factor],
            "offset": None if best is None else place[row.factor] - place[best],
            "rate": _rounded(row.learning_rate),
            "best": None if best is None else _rounded(row.factor / best),
            "off": None if best is None else times(row.factor / best),
            "times": times(row.factor),
            "score": f"{score.text(row.mean)} {score.unit}" if known else f"diverged, {row.diverged} of {row.runs}",
        }
        least, most = sorted([score.error(row.low), score.error(row.high)])
        errors = {"error": score.error(row.mean), "least": least, "most": most}
        points.append(point | {name: _rounded(error) if known else None for name, error in errors.items()})
    return {
        "optimizers": [
            {
                "name": name,
                "color": THEME.get(look["color"].lower(), look["color"]),
                "dash": [] if look["linestyle"] == "-" else [2 * length for length in look["linestyle"][1]],  # pixels
                "shape": SHAPES[look["marker"]],
            }
            for name, look in sorted(looks.items())
        ],
        "factors": [times(factor) for factor in factors],
        "default": place.get(1, 0),
        "title": score.title,
        "unit": score.unit,
        "sensitivity": points,
        "losses": [
            {"optimizer": name, "place": place[factor], "losses": [_rounded(loss) for loss in curve]}
            for (name, factor), curve in study.losses.items()
        ],
        "plot_range": study.trajectories.plot_range,
        "surfaces": [_surface(*item, study, place) for item in study.trajectories.surfaces.items()],
    }


def _surface(name: str, surface: Surface, study: Study, place: Mapping[float, int]) -> dict[str, Any]:
    """Contour lines and paths, each as x, y, x, y, ..., and the step at which a path leaves the picture."""
    plot_range = study.trajectories.plot_range
    line, heights, levels = survey(surface, plot_range, 61)
    contours = contourpy.contour_generator(line, line, heights)
    paths = []
    for path in study.paths:
        if path.surface == name:
            left = leaves_at(path.points, plot_range)
            known = path.points[np.isfinite(path.points).all(axis=1)]
            paths.append(
                {
                    "optimizer": path.optimizer,
                    "place": place.get(path.factor),
                    "points": np.round(known, 4).ravel().tolist(),
                    "left": None if left is None else int(path.steps[left]),
                }
            )
    return {
        "name": name.replace("_", " "),
        "start": surface.start,
        "contours": [np.round(part, 4).ravel().tolist() for level in levels for part in contours.lines(level)],
        "paths": paths,
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
