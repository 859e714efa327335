"""Checks every parameter, and computes nothing: what is wrong is said before DVC removes or trains anything.

Not a stage of dvc.yaml: DVC removes a stage's outputs before it starts the stage. Usage: python -m stages.check
"""

from descent import parameters
from descent.data import datasets, sources
from descent.optimizers import build as optimizers
from descent.report import settings as report
from descent.training import networks
from descent.training import runs as training
from descent.trajectories import paths as trajectories

SECTIONS = {
    "download": sources.DownloadParameters,
    "data": datasets.DataParameters,
    "network": networks.NetworkParameters,
    "training": training.TrainingParameters,
    "optimizers": parameters.Optimizers,
    "own_optimizers": parameters.OwnOptimizers,
    "trajectories": trajectories.TrajectoryParameters,
    "report": report.ReportParameters,
}


@parameters.end_with_message
def main() -> None:
    """Read every section, and make every optimizer once."""
    parameters.refuse_unknown_sections("params.yaml", SECTIONS)
    checked = {key: parameters.read("params.yaml", key, schema) for key, schema in SECTIONS.items()}
    for section in ("optimizers", "own_optimizers"):
        for name, entry in checked[section].items():
            optimizers.build(entry, f"params.yaml: {section}.{name}")


if __name__ == "__main__":
    main()
