"""Cuts a data set: data.file -> data/prepared/, what trains, validates and tests, and what chooses learning rates."""

from pathlib import Path
from typing import Any

from descent.core import parameters
from descent.data import datasets, settings
from descent.data.datasets import Description


@parameters.end_with_message
def main() -> None:
    """Read the section `data` and the data set that it names, cut it, write the splits and the selection."""
    data = parameters.read("params.yaml", "data", settings.DataParameters)
    selection_size = parameters.read("params.yaml", "tuning", dict[str, Any])["selection_size"]  # `check` saw it all
    arrays = datasets.read(Path(data.file))
    settings.refuse_sizes(data, selection_size, datasets.info(arrays), "params.yaml")
    splits, selection = datasets.split(arrays, data, selection_size)
    datasets.write_archive(datasets.SPLITS, splits)
    datasets.write_archive(datasets.SELECTION, selection)
    print("\n".join(f"{data.file}: {line}" for line in _lines(data, datasets.describe(datasets.SPLITS))))


def _lines(data: settings.DataParameters, seen: Description) -> list[str]:
    """Say what is trained on, in lines for the terminal."""
    scaled = "divided by 255" if seen.is_divided else "taken as they are"
    lines = [
        f"{len(seen.names)} classes, examples {list(seen.shape)} {seen.dtype}, {scaled}: "
        f"the network sees {seen.low:g} to {seen.high:g}",
        f"the largest class, {seen.largest}, has {seen.largest_share:.1%} of the validation examples",
    ]
    if seen.names != list(map(str, range(len(seen.names)))):
        lines.append(f"classes: {_listed(seen.names)}")
    if data.file.endswith(".csv"):
        share = f"{datasets.CSV_TRAIN_SHARE:.0%}"
        lines.append(f"rows shuffled with seed 0; the first {share} are training examples, the others test examples")
    for kind, missing in seen.missing.items():
        lines.append(f"no example of class {_listed(missing)} among the {kind} examples")
    return lines


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


if __name__ == "__main__":
    main()
