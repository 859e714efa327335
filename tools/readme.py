"""Puts generated text into README.md and the pages of docs/, between `<!-- begin FILE -->` and `<!-- end -->`.

`FILE#1,3` takes the first and the third paragraph only. A .csv file stands for the table of default and tuned rates.

Usage: python -m tools.readme
"""

import csv
import re
from pathlib import Path

ORIGIN = "`tools/experiments.py` made this page.\n"
BLOCK = re.compile(
    r"(?<=<!-- begin )(?P<file>[^\s#]+)(?P<mark>(?:#(?P<numbers>\S+))? -->\n).*?(?=<!-- end -->)", re.DOTALL
)
HEADS = ("Optimizer", "Default", "Accuracy, %", "Could be best?", "Tuned", "Accuracy, %", "Could be best?")


def embed(text: str, root: Path) -> str:
    """Replace what stands in each block by the file that the block names, without that file's first line of origin."""

    def content(block: re.Match) -> str:
        if block["file"].endswith(".csv"):
            return f"{block['file']}{block['mark']}{rates(root)}\n"
        text = (root / block["file"]).read_text(encoding="utf-8").removeprefix(ORIGIN).strip()
        if block["numbers"]:
            paragraphs = text.split("\n\n")
            text = "\n\n".join(paragraphs[int(number) - 1] for number in block["numbers"].split(","))
        return f"{block['file']}{block['mark']}{text}\n"

    return BLOCK.sub(content, text)


def rates(root: Path) -> str:
    """Write a table of every optimizer at its default and at its tuned learning rate."""

    def read(name: str) -> dict[str, dict[str, str]]:
        with (root / name).open(encoding="utf-8", newline="") as file:
            return {row["optimizer"]: row for row in csv.DictReader(file)}

    def result(row: dict[str, str]) -> tuple[str, str]:
        mean, deviation = (100 * float(row[column]) for column in ("val_accuracy", "val_accuracy_sd"))
        return f"{mean:.2f} ± {deviation:.2f}", row["may_be_best"]

    rows, tuned = [HEADS], read("results/tuning/report/tuned.csv")
    for name, default in read("results/report/ranking.csv").items():
        rate, factor = (float(tuned[name][column]) for column in ("learning_rate", "factor"))
        rows.append((name, f"{rate / factor:.3g}", *result(default), f"{rate:.3g}", *result(tuned[name])))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows)


if __name__ == "__main__":
    for page in (Path("README.md"), *Path("docs").glob("*.md")):
        page.write_text(embed(page.read_text(encoding="utf-8"), Path.cwd()), encoding="utf-8")
