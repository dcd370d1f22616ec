"""Hyperparameters that the boosters share."""

from __future__ import annotations

from rowcast.models.views import Hyperparameter

MOST_TREES = Hyperparameter(
    name="n_estimators", type="integer", default=1000, minimum=1, maximum=20_000,
    description="Most trees; fewer are kept when held-out rows stop getting better.",
)  # fmt: skip
LEARNING_RATE = Hyperparameter(
    name="learning_rate", type="number", default=0.05, minimum=0.0001, maximum=1.0,
    description="Size of each tree's step: smaller learns slower and often better.",
)  # fmt: skip
EARLY_STOPPING = Hyperparameter(
    name="early_stopping_rounds", type="integer", default=50, minimum=1, maximum=1000,
    description="Trees without progress on held-out rows after which growing stops.",
)  # fmt: skip

KEPT_TREES = 25
"""After so many trees more a booster tells how far it is."""


def fitted_rounds(trees: int) -> int:
    """A count of trees for a refit: at least one."""
    return max(1, trees)
