"""The algorithms by name. Listing them imports none of their libraries."""

from __future__ import annotations

from difflib import get_close_matches

from rowcast.errors import InvalidInput, Problem
from rowcast.models.algorithms.baseline import Baseline
from rowcast.models.algorithms.catboost import CatBoost
from rowcast.models.algorithms.learner import Learner
from rowcast.models.algorithms.lightgbm import LightGBM
from rowcast.models.algorithms.linear import Linear
from rowcast.models.algorithms.random_forest import RandomForest
from rowcast.models.algorithms.xgboost import XGBoost
from rowcast.models.views import Algorithm


def learners() -> dict[str, Learner]:
    """Every algorithm by name, simplest first."""
    every: tuple[Learner, ...] = (Baseline(), Linear(), RandomForest(), LightGBM(), XGBoost(), CatBoost())
    return {learner.describe().name: learner for learner in every}


def listing() -> list[Algorithm]:
    """What can be trained, with every hyperparameter."""
    return [learner.describe() for learner in learners().values()]


def learner_of(name: str) -> Learner:
    """The algorithm of that name, or ``InvalidInput("algorithm_unknown")``."""
    known = learners()
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    message = f"There is no such algorithm.{meant} There are: {', '.join(known)}."
    problem = Problem(code="algorithm_unknown", message=message, field="algorithms")
    raise InvalidInput("algorithm_unknown", message, [problem])
