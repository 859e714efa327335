"""How optimizers and figures look: one place, so that the figures of two stages agree and neither reruns the other."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

COLORS = {  # the first seven after Okabe and Ito, Color Universal Design (2008), without its yellow
    "sgd": "#000000",
    "rmsprop": "#E69F00",
    "adagrad": "#56B4E9",
    "adadelta": "#009E73",
    "adam": "#D55E00",
    "adamax": "#0072B2",
    "nadam": "#CC79A7",
    "tfoptimizer": "#7F7F7F",
}
OTHER_COLORS = ("#882255", "#999933", "#44AA99", "#332288", "#AA4499", "#117733")  # after Paul Tol's muted scheme
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
MARKERS = "os^vDPX<"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "figure.dpi": 150,
    "svg.hashsalt": "descent",  # names inside an SVG would be random
}


# Decorates what draws or renders: matplotlib looks its settings up as late as that, and the user's are not ours.
in_house = matplotlib.style.context(STYLE, after_reset=True)


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, line and marker of each optimizer; names beyond COLORS take OTHER_COLORS in sorted order, and again."""
    others = sorted(set(names) - set(COLORS))
    colors = COLORS | {name: OTHER_COLORS[i % len(OTHER_COLORS)] for i, name in enumerate(others)}
    return {
        name: {"color": color, "linestyle": DASHES[i % len(DASHES)], "marker": MARKERS[i % len(MARKERS)]}
        for i, (name, color) in enumerate(colors.items())
        if name in names
    }


def png(figure: Figure) -> bytes:
    """Render a figure; without the version of matplotlib in it, equal figures are equal bytes."""
    return _rendered(figure, format="png", metadata={"Software": None})


def svg(figure: Figure) -> str:
    """Render a figure as an `svg` element, short: a file, or a part of a page; equal figures are equal text."""
    text = _rendered(figure, format="svg", metadata={"Date": None, "Creator": None}).decode()
    text = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])  # nothing leads to these groups
    return re.sub(r'(?<= d=")[^"]*', lambda drawn: _shortened(drawn[0]), text)


def _shortened(drawn: str) -> str:
    """Write what a path draws in tenths of a point, finer than a screen, and a chain of lines without their letters."""
    drawn = re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", drawn)
    return drawn if "Q" in drawn or "C" in drawn else re.sub(r"\s+L?\s*", " ", drawn)


@in_house
def _rendered(figure: Figure, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, **options)
    return stream.getvalue()
