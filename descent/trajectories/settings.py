"""The section `trajectories` of params.yaml; without Keras, which takes seconds to load."""

from typing import Annotated

from pydantic import Field

from descent.core.parameters import Finite, NotNegative, Positive, Section
from descent.training.settings import OptimizerName

_Pair = Annotated[list[Finite], Field(min_length=2, max_length=2)]


class Surface(Section):
    """f(p) = p' H p / 2, where H has these curvatures, along axes turned by this angle; and how a path starts."""

    curvatures: _Pair
    angle_degrees: Annotated[float, Field(ge=-360, le=360)]
    start: _Pair
    noise: NotNegative


class TrajectoryParameters(Section):
    """The params.yaml section `trajectories`."""

    steps: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    plot_range: Positive
    constant_gradient: Positive
    surfaces: Annotated[dict[OptimizerName, Surface], Field(min_length=1, max_length=12)]
