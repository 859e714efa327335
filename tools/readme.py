"""Puts generated text into README.md and the pages of docs/, between `<!-- begin FILE -->` and `<!-- end -->`.

`FILE#heading` takes what stands below a heading of second rank, named as GitHub's links name it.

Usage: python -m tools.readme
"""

import re
from pathlib import Path

ORIGIN = "`tools/experiments.py` made this page.\n"
BLOCK = re.compile(
    r"(?<=<!-- begin )(?P<file>[^\s#]+)(?P<mark>(?:#(?P<head>\S+))? -->\n).*?(?=<!-- end -->)", re.DOTALL
)
SECTION = re.compile(r"^## (?P<head>.*)\n(?P<text>(?:(?!## ).*\n)*)", re.MULTILINE)


def embed(text: str, root: Path) -> str:
    """Replace what stands in each block by the file that the block names, without that file's first line of origin."""

    def content(block: re.Match) -> str:
        text = (root / block["file"]).read_text(encoding="utf-8")
        if block["head"]:
            sections = {
                re.sub(r"[^\w -]", "", found["head"].lower()): found["text"] for found in SECTION.finditer(text)
            }
            text = {head.replace(" ", "-"): section for head, section in sections.items()}[block["head"]]
        return f"{block['file']}{block['mark']}{text.removeprefix(ORIGIN).strip()}\n"

    return BLOCK.sub(content, text)


if __name__ == "__main__":
    for page in (Path("README.md"), *Path("docs").glob("*.md")):
        page.write_text(embed(page.read_text(encoding="utf-8"), Path.cwd()), encoding="utf-8")
