"""Seeds that choose a learning rate are used for nothing else; for the examples: tests/data/test_datasets.py."""

import pytest

from descent.core.parameters import ParametersError, validate
from descent.study import settings
from descent.training.settings import TrainingParameters

TUNING = settings.TuningParameters(grid_size=3, step_decades=1.0, max_extra=0, seeds=[7, 8], selection_size=10000)


def test_seeds_that_choose_do_not_report():
    training = TrainingParameters(epochs=1, batch_size=1, seeds=[8, 9], last_epochs=1, target_val_accuracy=0.5)
    with pytest.raises(ParametersError, match=r"expected other seeds than training.seeds.* got 8 in both"):
        settings.refuse_shared_seeds(TUNING, training, "params.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [7, 7]}, r"^tuning\.seeds: expected distinct seeds"),
        ({"step_decades": 2.0, "grid_size": 61}, r"^tuning\.step_decades: expected at most 1, so that the farthest"),
    ],
)
def test_impossible_study_is_refused_by_its_key_path(change, message):
    with pytest.raises(ParametersError, match=message):
        validate(TUNING.model_dump() | change, settings.TuningParameters, "tuning")
