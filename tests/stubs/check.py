"""Stands in for stages/check.py where not the check is tested but what reruns: it leaves the same files, untried."""

import json
from pathlib import Path

import yaml  # the whole stub takes a seventh of the time that the project's own reader takes to load

folder = Path("results/rules")
folder.mkdir(parents=True, exist_ok=True)
entries = yaml.load(Path("params.yaml").read_bytes(), yaml.CSafeLoader)["optimizers"]
for name, entry in entries.items():
    line = f"from keras.optimizers import {entry['class_name']}\n"
    (folder / f"{name}.py").write_text(Path(entry["file"]).read_text() if "file" in entry else line)
steps = {name: [entry.get(key) for key in ("class_name", "config", "file")] for name, entry in entries.items()}
(folder / "optimizers.json").write_text(json.dumps(steps, sort_keys=True))
Path("results/network.json").write_text('{"parameters": 1}\n')
Path("results/checked.txt").write_text("Checked by a stub.\n")
