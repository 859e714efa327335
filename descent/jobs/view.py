"""What a person sees: on a terminal, lines that stay above lines that change; elsewhere, plain lines."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

PLAIN_SECONDS = 60  # between two looks at what runs, where no line can change
_STYLES = {"done": "green", "FAILED": "bold red", "unchanged": "cyan", "from cache": "cyan"}


class View(NamedTuple):
    """Two ways to say something."""

    say: Callable[[str], None]  # a line, or several, to stay
    show: Callable[[Sequence[str]], None]  # lines in place of those shown before


@contextmanager
def view() -> Iterator[View]:
    """Open the view that standard output can give."""
    console = Console()
    if sys.stdout.isatty() and console.is_interactive and not os.environ.get("CI"):
        with Live(console=console, auto_refresh=False, transient=True) as live:

            def styled(text: str) -> Text:
                line = Text(text)
                for word, style in _STYLES.items():
                    line.highlight_regex(rf"(?<= s  ){word}\b", style)
                return line

            yield View(
                lambda text: console.print(styled(text), soft_wrap=True),
                lambda lines: live.update(Group(*map(styled, lines)), refresh=True),
            )
    else:
        last = time.monotonic()

        def show(lines: Sequence[str]) -> None:
            nonlocal last
            if time.monotonic() - last >= PLAIN_SECONDS:
                last = time.monotonic()
                print(*lines, sep="\n", flush=True)

        yield View(lambda text: print(text, flush=True), show)


def labels(names: Sequence[str]) -> dict[str, str]:
    """Number the stages of each kind that has several: `train@adam, 3 of 8`; names of a kind are alike before the @."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.partition("@")[0], []).append(name)
    return {
        name: f"{name}, {i} of {len(alike)}" if len(alike) > 1 else name
        for alike in kinds.values()
        for i, name in enumerate(alike, 1)
    }


def row(label: str, width: int, seconds: float, *rest: str) -> str:
    """Lay out what is known of one stage, its label in a column of `width`."""
    return "  ".join([f"{label:{width}} {seconds:4.0f} s", *filter(None, rest)])


def duration(seconds: float) -> str:
    """Say seconds as people say them."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
