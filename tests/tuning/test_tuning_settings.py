"""Images and seeds that choose a learning rate are used for nothing else."""

import pytest

from descent.parameters import ParametersError
from descent.training.settings import TrainingParameters
from descent.tuning import settings

TUNING = settings.TuningParameters(points=3, step_decades=1.0, extension=0, seeds=[7, 8], selection_size=10000)


def test_training_ends_before_the_images_that_choose():
    settings.refuse_shared_images(TUNING, 50000, "params.yaml")
    with pytest.raises(ParametersError, match=r"data.train_size: expected 1 to 50000, got 50001: the last 10000 train"):
        settings.refuse_shared_images(TUNING, 50001, "params.yaml")


def test_seeds_that_choose_do_not_report():
    training = TrainingParameters(epochs=1, batch_size=1, seeds=[8, 9], last_epochs=1, target_val_accuracy=0.5)
    with pytest.raises(ParametersError, match=r"expected other seeds than training.seeds.* got 8 in both"):
        settings.refuse_shared_seeds(TUNING, training, "params.yaml")
