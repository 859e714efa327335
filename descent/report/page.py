"""Writes findings as an HTML page that needs no network and no other file: one base page, a body for each report."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import contourpy
import numpy as np

from descent.core import plot_style
from descent.report.display_tables import Table, times
from descent.report.figures import Study
from descent.trajectories.paths import leaves_at, survey

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
        body: name of a file beside this module, in which $NAME is a text, $NAME_table a table and $NAME_svg a picture;
            what stands between `<!-- NAME -->` and `<!-- end -->` is left out without a picture of that name.
        title: of the page.
        texts: what is said; sentences in a sequence become items of a list.
        tables: those of the body.
        pictures: `svg` elements, each with what it shows in words.
        further: $NAME -> what comes in as it is.
    """
    optional = r"<!-- (\w+) -->\n?(.*?)<!-- end -->\n?"
    content = re.sub(optional, lambda found: found[2] * (found[1] in pictures), read(body), flags=re.DOTALL)
    parts = {"title": escape(title), "styles": read("page.css"), "eval": "", "scripts": ""} | further
    for name, said in texts.items():
        parts[name] = _shown(said) if isinstance(said, str) else "".join(f"<li>{_shown(each)}</li>" for each in said)
    parts |= {f"{name}_table": table(shown) for name, shown in tables.items()}
    parts |= {f"{name}_svg": picture(name, *drawn) for name, drawn in pictures.items()}
    heads = re.findall(r'<h2 id="(\w+)">([^<:]*)', content)  # what stands before a colon
    parts["contents"] = "".join(f'<li><a href="#{name}">{head}</a></li>\n' for name, head in heads)
    parts["body"] = Template(content).substitute(parts)
    return Template(read("base.html")).substitute(parts)


def study_scripts(study: Study, plots_page: str) -> dict[str, str]:
    """Make what lets the page of the study draw: names of `html` -> numbers and scripts, licences, the right to run.

    The drawing libraries and their licences come out of plots_page, .dvc/plots_page/page.html.
    """
    found = dict(re.findall(r"<!-- (libraries|licences) -->(.*?)<!-- end of \1 -->", plots_page, re.DOTALL))
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


def table(content: Table) -> str:
    """Write a table in a box of its own; each cell has the kind of its column for a class."""

    def line(cells: Sequence[str], tags: Sequence[str]) -> str:
        marked = [f"<{tag}>{_shown(cell)}</{tag[:2]}>" for tag, cell in zip(tags, cells, strict=True)]
        return f"<tr>{''.join(marked)}</tr>"

    tags = ['th scope="row"', *(f'td class="{kind}"' for kind in content.kinds[1:])]
    head = line(content.heads, ['th scope="col"'] * len(content.heads))
    rows = "".join(line(row, tags) for row in content.rows)
    # Wide tables scroll in their own box, which the keyboard must be able to reach.
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escape(content.caption)}"><table>'
        f"<caption>{_shown(content.caption)}</caption><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )


def study_data(study: Study) -> dict[str, Any]:
    """Collect what study.js draws, as JSON takes it; a number that is not known is null."""
    factors = sorted({row.factor for row in study.sensitivity})
    place = {factor: i for i, factor in enumerate(factors)}
    looks = plot_style.looks([row.optimizer for row in study.sensitivity])
    points, score = [], study.score
    for row in study.sensitivity:
        best, known = study.chosen.get(row.optimizer), row.diverged == 0
        errors = [score.error(row.mean), *sorted([score.error(row.low), score.error(row.high)])]
        error, least, most = [_rounded(error) if known else None for error in errors]
        points.append(
            {
                "optimizer": row.optimizer,
                "place": place[row.factor],
                "offset": None if best is None else place[row.factor] - place[best],
                "rate": _rounded(row.learning_rate),
                "best": None if best is None else _rounded(row.factor / best),
                "off": None if best is None else times(row.factor / best),
                "times": times(row.factor),
                "score": f"{score.text(row.mean)} {score.unit}" if known else f"diverged, {row.diverged} of {row.runs}",
                "error": error,
                "least": least,
                "most": most,
            }
        )
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
        "surfaces": [_surface(name, study, place) for name in study.trajectories.surfaces],
    }


def _surface(name: str, study: Study, place: Mapping[float, int]) -> dict[str, Any]:
    """Contour lines and paths, each as x, y, x, y, ..., and the step at which a path leaves the picture."""
    surface, plot_range, paths = study.trajectories.surfaces[name], study.trajectories.plot_range, []
    line, heights, levels = survey(surface, plot_range, 61)
    contours = contourpy.contour_generator(line, line, heights)
    for path in [path for path in study.paths if path.surface == name]:
        left = leaves_at(path.points, plot_range)
        paths.append(
            {
                "optimizer": path.optimizer,
                "place": place.get(path.factor),
                "points": _flat(path.points[np.isfinite(path.points).all(axis=1)]),
                "left": None if left is None else int(path.steps[left]),
            }
        )
    return {
        "name": name.replace("_", " "),
        "start": surface.start,
        "contours": [_flat(part) for level in levels for part in contours.lines(level)],
        "paths": paths,
    }


def _shown(said: str) -> str:
    """Escape a text; a number and its percent sign stay on one line."""
    return escape(said, quote=False).replace(" %", "\N{NO-BREAK SPACE}%")


def _flat(points: np.ndarray) -> list[float]:
    return np.round(points, 4).ravel().tolist()


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
