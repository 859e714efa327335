"""Opens a page in headless Chromium without a network, and tells what it drew, said and asked for."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Of any width: a window of Chromium is at least 500 pixels wide.
FRAME = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><title></title>
<script>onmessage = (event) => { document.title = event.data; };</script>
<iframe src="framed.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


class Visit(NamedTuple):
    """A page after its scripts ran: its HTML, what it wrote to the console, the addresses that it asked hosts for."""

    html: str
    console: list[str]
    requests: list[str]


def ask(html: str, folder: Path, script: str, width: int = 1280, *, dark: bool = False) -> tuple[Any, Visit]:
    """Show a page in a frame of some width, run a script in it, and return what the script returned, and the visit.

    Args:
        html: of the page.
        folder: an empty one.
        script: body of an async JavaScript function.
        width: of the frame, pixels.
        dark: whether the reader prefers dark pages.
    """
    asked = f"""<script>addEventListener("load", async () => {{
        const noted = await (async () => {{ {script} }})();
        parent.postMessage(JSON.stringify(noted), "*");
    }});</script></body>"""
    (folder / "framed.html").write_text(asked.join(html.rsplit("</body>", 1)), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME % width, encoding="utf-8")
    found = visit(folder / "frame.html", 1400, f"--blink-settings=preferredColorScheme={'0' if dark else '1'}")
    return json.loads(unescape(re.search("<title>(.*?)</title>", found.html)[1])), found


def visit(page: Path, width: int = 1280, *flags: str) -> Visit:
    """Open a file in Chromium with every host name unknown.

    Args:
        page: HTML file.
        width: of the window, pixels.
        flags: for Chromium, besides its usual ones.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "net.json")
        usual = [
            "--headless",
            "--no-sandbox",  # containers give Chromium's sandbox no name spaces
            "--disable-gpu",
            "--disable-background-networking",  # the browser's own requests are not the page's
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},1000",
            "--virtual-time-budget=20000",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            "--dump-dom",
        ]
        command = [program, *usual, *flags, page.as_uri()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return Visit(run.stdout, _console(run.stderr), _requests(log))


def _program() -> str:
    for name in PROGRAMS:
        if path := shutil.which(name):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("CI must have Chromium: the package chromium of Debian and Ubuntu")
    return pytest.skip("no Chromium on this machine")


def _console(stderr: str) -> list[str]:
    messages = re.findall(r':CONSOLE[^\]]*\] "(.*?)", source: (\S*)', stderr, re.DOTALL)
    return [message for message, source in messages if not source.startswith("chrome:")]  # Chromium's own pages


def _requests(log: Path) -> list[str]:
    own = "not an origin"  # what Chromium writes for requests of its own
    starts = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf8"))["events"]]
    addresses = {start["url"] for start in starts if start.get("initiator", own) != own}
    return sorted(address for address in addresses if re.match(r"(https?|wss?):", address))
