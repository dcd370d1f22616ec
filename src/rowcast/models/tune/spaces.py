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


FLAG = Range(0, 1, whole=True)
"""No or yes."""

SPACES: dict[str, dict[str, Range]] = {
    "baseline": {},
    "linear": {"C": Range(1e-3, 100.0, log=True)},
    "random_forest": {
        "min_samples_leaf": Range(1, 50, log=True, whole=True),
        "max_features": Range(0.1, 1.0),
        "extra_trees": FLAG,
        "one_hot": FLAG,
    },
    "lightgbm": {
        "learning_rate": Range(0.02, 0.2, log=True),
        "num_leaves": Range(4, 128, log=True, whole=True),
        "min_child_samples": Range(2, 100, log=True, whole=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bytree": Range(0.3, 1.0),
        "reg_alpha": Range(1e-3, 10.0, log=True),
        "reg_lambda": Range(1e-2, 100.0, log=True),
        "extra_trees": FLAG,
        "one_hot": FLAG,
    },
    "xgboost": {
        "learning_rate": Range(0.02, 0.2, log=True),
        "max_depth": Range(2, 10, whole=True),
        "min_child_weight": Range(0.5, 50.0, log=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bytree": Range(0.3, 1.0),
        "reg_alpha": Range(1e-3, 10.0, log=True),
        "reg_lambda": Range(1e-2, 100.0, log=True),
        "one_hot": FLAG,
    },
    "catboost": {
        "learning_rate": Range(0.03, 0.3, log=True),
        "max_depth": Range(3, 7, whole=True),
        "l2_leaf_reg": Range(0.5, 50.0, log=True),
        "subsample": Range(0.5, 1.0),
        "one_hot": FLAG,
    },
}

PORTFOLIO: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lightgbm", {}),
    ("catboost", {}),
    ("random_forest", {"extra_trees": True, "min_samples_leaf": 2, "max_features": 0.5}),
    ("linear", {}),
    ("xgboost", {"learning_rate": 0.05, "max_depth": 6, "min_child_weight": 1.0, "subsample": 1.0, "one_hot": True}),
    (
        "lightgbm",
        {
            "extra_trees": True,
            "one_hot": True,
            "num_leaves": 31,
            "min_child_samples": 20,
            "subsample": 1.0,
            "colsample_bytree": 1.0,
        },
    ),
    ("random_forest", {}),
    ("xgboost", {"learning_rate": 0.03, "max_depth": 4, "min_child_weight": 1.0, "one_hot": True}),
    ("random_forest", {"extra_trees": True, "min_samples_leaf": 1, "max_features": 0.7}),
)
"""What is tried before anything is proposed: of every algorithm what is as good as it is unlike the others. More of
them make no better ensembles: on small tables what is chosen among more is chosen by chance."""
