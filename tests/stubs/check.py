"""Stands in for stages/check.py where not the check is tested but what reruns: it leaves the same files, untried."""

from pathlib import Path

import yaml  # the whole stub takes a seventh of the time that the project's own reader takes to load

folder = Path("results/rules")
folder.mkdir(parents=True, exist_ok=True)
for name, entry in yaml.load(Path("params.yaml").read_bytes(), yaml.CSafeLoader)["optimizers"].items():
    line = f"from keras.optimizers import {entry['class_name']}\n"
    (folder / f"{name}.py").write_text(Path(entry["file"]).read_text() if "file" in entry else line)
Path("results/checked.txt").write_text("Checked by a stub.\n")
