"""Builds the page of `dvc plots show` that draws without a network: its skeleton, Vega and every licence in one file.

    python -m tools.plots_page [--check]

Needs npm. `npm ci` installs what package-lock.json pins and refuses any archive whose SHA-512 is another. With
`--check` nothing is written; the exit code is 1 if the committed page is not what the pinned packages give.
"""

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".dvc" / "plots_page"
LIBRARIES = ("vega", "vega-lite", "vega-embed")  # in the order in which they need each other


def libraries(modules: Path) -> str:
    """Return the libraries as inline scripts.

    Args:
        modules: a node_modules folder.
    """
    scripts = []
    for name in LIBRARIES:
        code = (modules / name / "build" / f"{name}.min.js").read_text(encoding="utf8")
        code = re.sub(r"\n//# sourceMappingURL=.*", "", code)  # there is no map beside the page
        scripts.append("<script>" + re.sub(r"</(?=script)", r"<\\/", code, flags=re.IGNORECASE) + "</script>")
    return "\n".join(scripts)


def bundled(modules: Path) -> list[str]:
    """Return the sorted names of the packages whose code the libraries carry, as their source maps tell.

    Args:
        modules: a node_modules folder.
    """
    names = set(LIBRARIES)
    for name in LIBRARIES:
        sources = json.loads((modules / name / "build" / f"{name}.min.js.map").read_text(encoding="utf8"))["sources"]
        for source in sources:
            names.update(re.findall(r"(?:node_modules/|^\.\./\.\./(?=vega))((?:@[^/]+/)?[^/]+)/", source))
    return sorted(names)


def licences(modules: Path) -> str:
    """Return the licence text of every bundled package as HTML, each different text once.

    Some packages of Vega's repository come without their copy of its licence; vega-canvas has it.

    Args:
        modules: a node_modules folder.

    Raises:
        FileNotFoundError: for a package without a licence text.
    """
    holders: dict[str, list[str]] = {}
    for name in bundled(modules):
        manifest = json.loads((modules / name / "package.json").read_text(encoding="utf8"))
        files = sorted((modules / name).glob("LICENSE*"))
        if not files and manifest.get("repository") == "vega/vega":
            files = [modules / "vega-canvas" / "LICENSE"]
        if not files:
            raise FileNotFoundError(f"{name} has no licence file")
        text = files[0].read_text(encoding="utf8").strip()
        holders.setdefault(text, []).append(f"{name} {manifest['version']}")
    return "\n".join(
        f"<h2>{html.escape(', '.join(names))}</h2>\n<pre>{html.escape(text)}</pre>" for text, names in holders.items()
    )


def build() -> str:
    """Return the page, from packages that npm has just installed and checked."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
        modules = Path(folder) / "node_modules"
        page = (FOLDER / "skeleton.html").read_text(encoding="utf8")
        for part in (libraries, licences):  # the comments stay, for the page of the study takes these parts
            head = f"<!-- {part.__name__} -->"
            page = page.replace(head, f"{head}\n{part(modules)}")
        return page


def main() -> int:
    """Write the page, or check the committed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page differs")
    check = parser.parse_args().check
    path, page = FOLDER / "page.html", build()
    if not check:
        path.write_text(page, encoding="utf8")
    elif path.read_text(encoding="utf8") != page:
        print(f"{path.name} is not what the pinned packages give: run python -m tools.plots_page", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
