"""Permutation importance: how much worse held-out predictions get when a feature's values are shuffled among rows.

After Breiman (2001) and Fisher, Rudin and Dominici (2019). A feature's encoded columns are shuffled together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature
from rowcast.models.encode.inputs import Floats
from rowcast.models.evaluate.metrics import greater_is_better, primary_metric, score
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member

_MOST_ROWS = 5_000
_MOST_CELLS = 2_000_000
"""Rows times features over all folds: wide tables are judged on fewer rows."""
_FEWEST_ROWS = 200
_BATCH_CELLS = 10_000_000
"""Of shuffled copies that are predicted in one call."""
_T_95 = (0.0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Student's t at 97.5 %, by degrees of freedom; beyond the last the normal's 1.96 is near enough."""


def drops_in_score(
    problem: Problem,
    member: Member,
    matrix: Floats,
    y: NDArray[Any],
    features: Sequence[Feature],
    seed: int,
    fold_count: int,
) -> NDArray[np.float64]:
    """For every feature the loss in the primary metric on a fold's test rows when it is shuffled; above 0 is useful."""
    rng = np.random.default_rng(seed)
    rows = _sample(len(matrix), len(features), fold_count, rng)
    x, truth = matrix[rows], y[rows]
    sign = 1.0 if greater_is_better(primary_metric(problem)) else -1.0
    whole = score(problem, truth, member.predict(x))
    columns = _columns(member, [feature.name for feature in features])
    drops = np.zeros(len(features))
    used = [i for i, places in enumerate(columns) if len(places)]
    step = max(1, _BATCH_CELLS // max(1, x.size))
    for start in range(0, len(used), step):
        batch = used[start : start + step]
        predicted = member.predict(np.vstack([_shuffled(x, columns[i], rng) for i in batch]))
        for position, i in enumerate(batch):
            part = predicted[position * len(x) : (position + 1) * len(x)]
            drops[i] = sign * (whole - score(problem, truth, part))
    return drops


def importance(drops: Sequence[NDArray[np.float64]], features: Sequence[Feature]) -> list[dict[str, Any]]:
    """The most important first: mean over folds, with the 95 % interval of that mean (none from a single fold)."""
    matrix = np.vstack(drops)
    mean, margin = matrix.mean(axis=0), _margin(matrix)
    listed = []
    for i in np.argsort(-mean, kind="stable"):
        low, high = (None, None) if margin is None else (float(mean[i] - margin[i]), float(mean[i] + margin[i]))
        listed.append({"feature": features[i].name, "mean": float(mean[i]), "low": low, "high": high})
    return listed


def _margin(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    folds = len(matrix)
    if folds < 2:
        return None
    t = _T_95[folds - 1] if folds <= len(_T_95) else 1.96
    deviation: NDArray[np.float64] = matrix.std(axis=0, ddof=1)
    return t * deviation / math.sqrt(folds)


def _sample(rows: int, features: int, fold_count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    most = min(_MOST_ROWS, max(_FEWEST_ROWS * fold_count, _MOST_CELLS // features)) // fold_count
    return np.arange(rows) if rows <= most else np.sort(rng.choice(rows, most, replace=False))


def _columns(member: Member, names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Per feature its encoded columns, if the model uses any of them."""
    sources = member.encoder.sources()
    used = member.model.used(len(sources))
    places: dict[str, list[int]] = {name: [] for name in names}
    useful: set[str] = set()
    for position, features in enumerate(sources):
        for name in features:
            places[name].append(position)
        if used[position]:
            useful.update(features)
    return [np.array(places[name] if name in useful else [], dtype=np.int64) for name in names]


def _shuffled(x: Floats, columns: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    changed = x.copy()
    changed[:, columns] = x[np.ix_(rng.permutation(len(x)), columns)]
    return changed
