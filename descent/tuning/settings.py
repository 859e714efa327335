"""The section `tuning` of params.yaml; without Keras, which takes seconds to load."""

from typing import Annotated

from pydantic import Field

from descent.parameters import Section


class TuningParameters(Section):
    """The section `tuning`: the grid of factors on every optimizer's own learning rate."""

    points: Annotated[int, Field(ge=3, le=99)]
    step_decades: Annotated[float, Field(gt=0, le=2)]
