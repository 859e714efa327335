"""The section `trajectories` of params.yaml; without Keras, which takes seconds to load."""

from typing import Annotated

from pydantic import Field

from descent.optimizers.entries import OptimizerName
from descent.parameters import Section

_Positive = Annotated[float, Field(gt=0)]
_Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class Surface(Section):
    """f(p) = p' H p / 2, where H has these curvatures, along axes turned by this angle; and how a path starts."""

    curvatures: _Pair
    angle_degrees: float
    start: _Pair
    noise: Annotated[float, Field(ge=0)]


class TrajectoryParameters(Section):
    """The params.yaml section `trajectories`."""

    steps: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    half_width: _Positive
    constant_gradient: _Positive
    surfaces: Annotated[dict[OptimizerName, Surface], Field(min_length=1)]
