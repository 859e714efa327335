"""The factors on an optimizer's own learning rate that the study tries; the same for every optimizer."""

from descent.study.settings import TuningParameters


def factors(parameters: TuningParameters) -> list[float]:
    """Factors of the grid, small ones first, a step apart, around 1."""
    half = parameters.points // 2
    return [_factor(parameters, place) for place in range(-half, parameters.points - half)]


def beyond(parameters: TuningParameters, tried: int, upwards: bool) -> float | None:
    """Find the next factor beyond an end of the grid, where the best is; None once `extension` of them were tried.

    Args:
        parameters: the grid.
        tried: factors that were tried beyond that end.
        upwards: which end.
    """
    if tried == parameters.extension:
        return None
    half = parameters.points // 2
    return _factor(parameters, parameters.points - half + tried if upwards else -half - 1 - tried)


def _factor(parameters: TuningParameters, place: int) -> float:
    return 10 ** (parameters.step_decades * place)
