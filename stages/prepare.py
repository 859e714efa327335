"""Cuts a data set: data.file -> data/prepared/, what trains, validates and tests, and what chooses learning rates."""

from pathlib import Path
from typing import Any

from descent.core import parameters
from descent.data import archives, datasets, settings

PREPARED = Path("data/prepared")


@parameters.end_with_message
def main() -> None:
    """Read the section `data` and the data set that it names, cut it, write the splits and the selection."""
    data = parameters.read("params.yaml", "data", settings.DataParameters)
    selection_size = parameters.read("params.yaml", "tuning", dict[str, Any])["selection_size"]  # `check` saw it all
    arrays = datasets.read(Path(data.file))
    facts = datasets.facts(arrays)
    settings.refuse_sizes(data, facts, "params.yaml")
    settings.refuse_selection(selection_size, data, facts, "params.yaml")
    splits = datasets.split(arrays, data)
    archives.write(PREPARED / "splits.npz", splits)
    archives.write(PREPARED / "selection.npz", datasets.selection(arrays, selection_size))
    if missing := sorted({*range(facts.classes)} - {*splits["y_train"].tolist()}):
        print(f"{data.file}: no example of class {', '.join(map(str, missing))} in the first {data.train_size}")
    dtype = splits["x_train"].dtype
    scaled = ", to be divided by 255" if dtype == "uint8" else ", taken as they are"
    print(f"{data.file}: {facts.classes} classes, examples {list(facts.shape)} {dtype}{scaled}")


if __name__ == "__main__":
    main()
