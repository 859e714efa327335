"""The section `data` of params.yaml, and what is known of the data set that it names."""

import re
from pathlib import PurePath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from descent.core.parameters import ParametersError, Section


def _check_path(file: str) -> str:
    # The file is a dependency in dvc.yaml: DVC would follow an address or a path that leads out of the repository.
    if not re.fullmatch(r"(?!/|.*\.\.)[A-Za-z0-9._/-]{1,200}\.npz", file):
        expected = "expected an .npz file in this repository: letters, digits, . _ - and /, without .., .npz at the end"
        raise PydanticCustomError("data_file", expected)
    return file


class Facts(NamedTuple):
    """What a data set is like."""

    sizes: dict[str, int]  # of train and test and, where it has them, of validation and selection
    shape: tuple[int, ...]  # of an example
    classes: int


# What is known of a data set before it is here.
FETCHED = dict.fromkeys(("mnist", "fashion_mnist"), Facts({"train": 60000, "test": 10000}, (28, 28), 10))
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


class DataParameters(Section):
    """Section `data`: the data set, how much of it trains, and how much compares."""

    file: Annotated[str, AfterValidator(_check_path)]
    train_size: Annotated[int, Field(ge=1, lt=2**31)]
    validation_size: Annotated[int, Field(ge=1, lt=2**31)]

    @property
    def fetched(self) -> str | None:
        """Name of the data set in `download`, if it comes from there."""
        path = PurePath(self.file)
        return path.stem if str(path.parent) == "data/raw" and path.stem in FETCHED else None

    @property
    def title(self) -> str:
        """What a text calls the data set."""
        return TITLES.get(self.fetched, PurePath(self.file).name)


def refuse_sizes(data: DataParameters, facts: Facts, where: str) -> None:
    """Raise ParametersError if `data` asks for more than there is, or leaves nothing to test; `where`: the file."""
    most = facts.sizes.get("validation", facts.sizes["test"] - 1)
    sizes = {"train_size": facts.sizes["train"], "validation_size": most}
    lines = [
        f"{where}: data.{key}: expected 1 to {most}, got {getattr(data, key)}"
        for key, most in sizes.items()
        if getattr(data, key) > most
    ]
    if lines:
        raise ParametersError("\n".join(lines))


def refuse_selection(selection_size: int, data: DataParameters, facts: Facts, where: str) -> None:
    """Raise ParametersError if what chooses learning rates would be trained on, or is more than there is."""
    if "selection" in facts.sizes:
        most = facts.sizes["selection"]
        if selection_size > most:
            raise ParametersError(f"{where}: tuning.selection_size: expected 1 to {most}, got {selection_size}")
    elif data.train_size + selection_size > facts.sizes["train"]:
        reason = f"the last {selection_size} training examples choose learning rates, see tuning.selection_size"
        most = facts.sizes["train"] - selection_size
        if most < 1:
            allowed = f"expected 1 to {facts.sizes['train'] - 1}, less than the training examples"
            raise ParametersError(f"{where}: tuning.selection_size: {allowed}, got {selection_size}")
        raise ParametersError(f"{where}: data.train_size: expected 1 to {most}, got {data.train_size}: {reason}")
