"""What a search may try of every algorithm: values that are known to matter, within ranges that are worth a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFAULT_ALGORITHMS = ("lightgbm", "catboost", "linear", "xgboost", "random_forest")
"""What is best on most tables first: a small budget may not come to the last."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, tried evenly or, with ``log``, evenly by their logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


SPACES: dict[str, dict[str, Range]] = {
    "baseline": {},
    "linear": {"C": Range(1e-3, 100.0, log=True)},
    "random_forest": {
        "min_samples_leaf": Range(3, 50, log=True, whole=True),
        "max_features": Range(0.1, 0.6),
    },
    "lightgbm": {
        "learning_rate": Range(0.02, 0.2, log=True),
        "num_leaves": Range(4, 128, log=True, whole=True),
        "min_child_samples": Range(2, 100, log=True, whole=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bytree": Range(0.3, 1.0),
        "reg_alpha": Range(1e-3, 10.0, log=True),
        "reg_lambda": Range(1e-2, 100.0, log=True),
    },
    "xgboost": {
        "learning_rate": Range(0.02, 0.2, log=True),
        "max_depth": Range(2, 10, whole=True),
        "min_child_weight": Range(0.5, 50.0, log=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bytree": Range(0.3, 1.0),
        "reg_alpha": Range(1e-3, 10.0, log=True),
        "reg_lambda": Range(1e-2, 100.0, log=True),
    },
    "catboost": {
        "learning_rate": Range(0.03, 0.3, log=True),
        "max_depth": Range(3, 7, whole=True),
        "l2_leaf_reg": Range(0.5, 50.0, log=True),
        "subsample": Range(0.5, 1.0),
    },
}

STARTERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lightgbm", {"learning_rate": 0.03, "num_leaves": 63, "min_child_samples": 10, "colsample_bytree": 0.5}),
    ("catboost", {"learning_rate": 0.1, "max_depth": 4, "l2_leaf_reg": 5.0}),
    ("xgboost", {"learning_rate": 0.03, "max_depth": 4, "min_child_weight": 1.0, "colsample_bytree": 0.5}),
)
"""What often does better than the defaults; tried right after them."""
