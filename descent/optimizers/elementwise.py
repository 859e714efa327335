"""placeholder until the branch `check` is merged"""

from descent.optimizers.build import is_elementwise  # noqa: F401
