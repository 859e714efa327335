"""What the pages that draw with Vega share: the files that they are made of, and how optimizers look there."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from descent.core import style
from descent.core.parameters import InputError

SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "P": "cross"}
SHAPES |= {"X": "M-.7,-1L0,-.3L.7,-1L1,-.7L.3,0L1,.7L.7,1L0,.3L-.7,1L-1,.7L-.3,0L-1,-.7Z", "<": "triangle-left"}


def assemble(template: str, styles: str, charts: str, plots_page: str) -> str:
    """Put into a page's template what stands in files of its own; the other $names stay.

    Args:
        template: HTML with $styles, $charts, $libraries, $licences.
        styles: pages.css.
        charts: charts.js.
        plots_page: .dvc/plots_page/page.html, which holds the drawing libraries and their licences.

    Raises:
        InputError: if plots_page holds no libraries.
    """
    parts = {"styles": styles, "charts": charts}
    for name in ("libraries", "licences"):
        found = re.search(f"<!-- {name} -->(.*)<!-- end of {name} -->", plots_page, re.DOTALL)
        if not found:
            raise InputError(f".dvc/plots_page/page.html: no {name} in it: run python -m tools.plots_page")
        parts[name] = found[1]
    return re.sub(rf"\$({'|'.join(parts)})\b", lambda name: parts[name[1]].replace("$", "$$"), template)


def looks(names: Sequence[str]) -> list[dict[str, Any]]:
    """How charts.js draws each optimizer: name, color, dash (lengths in pixels, empty for a solid line), shape."""
    return [
        {
            "name": name,
            "color": look["color"],
            "dash": [] if look["linestyle"] == "-" else [2 * length for length in look["linestyle"][1]],
            "shape": SHAPES[look["marker"]],
        }
        for name, look in sorted(style.looks(names).items())
    ]


def script_data(data: Any) -> str:
    """Write data for a script element of JSON, in which only "<" could be taken for markup."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")


def rounded(value: float) -> float | None:
    """A number as a chart needs it, or None where it is not known."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
