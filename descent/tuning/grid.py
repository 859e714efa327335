"""The factors on an optimizer's own learning rate that the study tries; the same for every optimizer."""

from descent.tuning.settings import TuningParameters


def factors(parameters: TuningParameters) -> list[float]:
    """Factors of the grid, small ones first, a step apart, around 1."""
    half = parameters.points // 2
    return [10 ** (parameters.step_decades * place) for place in range(-half, parameters.points - half)]
