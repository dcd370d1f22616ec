"""Ranking features, best first, from the rows that a model may learn from and no others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.encode.encoder import Style, fit_encoder
from rowcast.models.encode.inputs import Indices
from rowcast.models.evaluate.importance import drops_in_score
from rowcast.models.hyperparameters import resolve
from rowcast.models.recipe import Problem
from rowcast.models.train.candidates import (
    Conditions,
    Preparation,
    Table,
    encode,
    failure_of,
    fit_fold,
    untried,
    with_automatic,
)
from rowcast.models.train.folds import random_folds
from rowcast.models.tune.views import Selection

Floats = NDArray[np.float64]

_PARTS = 3
_TREES = 100
_MOST_ROWS = 20_000
"""Beyond, more rows change the order of the features little."""


def selected(table: Table, rows: Indices, selection: Selection, conditions: Conditions) -> tuple[str, ...]:
    """The best of the features by the selection's method, in the table's order: at least one."""
    rng = np.random.default_rng(conditions.seed)
    sample = rows if len(rows) <= _MOST_ROWS else np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    rank = _METHODS[selection.method]
    ranked = rank(table.take(sample), conditions)
    kept = set(ranked[: max(1, math.ceil(selection.keep * len(ranked)))])
    return tuple(feature.name for feature in table.features if feature.name in kept)


def by_permutation(table: Table, conditions: Conditions) -> list[str]:
    """By what a quick booster loses on other rows when the feature is shuffled, mean over three parts."""
    values = resolve("lightgbm", {"n_estimators": _TREES, "learning_rate": 0.1, "early_stopping_rounds": 20})
    booster = untried(table, "lightgbm", with_automatic("lightgbm", values, len(table.y)), Preparation())
    drops = np.zeros(len(table.features))
    for number, fold in enumerate(random_folds(table.y, _PARTS, conditions.seed, by_class=bool(table.classes)), 1):
        encoded = encode(booster, table, fold, conditions)
        member = fit_fold(booster, table, fold, encoded, conditions, number, lambda *_: None)
        if member is None:
            raise booster.failure or failure_of(booster.algorithm, RuntimeError())
        drops += drops_in_score(
            table.problem, member, encoded.testing, table.y[fold.testing], table.features, conditions.seed, _PARTS
        )
    return [table.features[place].name for place in np.argsort(-drops, kind="stable")]


def by_mrmr(table: Table, conditions: Conditions) -> list[str]:
    """By relevance for the target over redundancy with those ranked before (Ding and Peng 2005, "Minimum redundancy
    feature selection from microarray gene expression data"; as the quotient of F statistic and mean correlation, FCQ
    of Zhao et al. 2019). Columns are ranks, so that neither is at the mercy of outliers."""
    style = Style.FOREST
    encoder, matrix = fit_encoder(table.features, table.inputs, table.y, table.problem, style, conditions.seed)
    columns = _standardised(matrix)
    related = _relation(columns, table)
    alone: dict[tuple[str, ...], list[int]] = {}
    for place, source in enumerate(encoder.sources()):
        alone.setdefault(source, []).append(place)
    places = [_best(np.array(alone[(feature.name,)]), related) for feature in table.features]
    order = _greedy(_f_statistic(related[places], table), np.abs(columns[:, places].T @ columns[:, places]))
    return [table.features[place].name for place in order]


_METHODS: dict[str, Callable[[Table, Conditions], list[str]]] = {"permutation": by_permutation, "mrmr": by_mrmr}


def _standardised(matrix: NDArray[Any]) -> Floats:
    """Ranks of each column (of ties the middle one) with mean 0 and length 1; a constant column is 0."""
    ranks: Floats = np.empty(matrix.shape)
    for column in range(matrix.shape[1]):
        _, places, counts = np.unique(matrix[:, column], return_inverse=True, return_counts=True)
        ranks[:, column] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    ranks -= ranks.mean(axis=0)
    length = np.linalg.norm(ranks, axis=0)
    return np.asarray(np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0))


def _relation(columns: Floats, table: Table) -> Floats:
    """Share of each column's variance that the target explains [D]: of classes the correlation ratio, of numbers the
    squared rank correlation."""
    if table.problem is Problem.REGRESSION:
        return np.asarray((columns.T @ _standardised(table.y.reshape(-1, 1)))[:, 0] ** 2)
    explained: Floats = np.zeros(columns.shape[1])
    for code in np.unique(table.y):
        inside = columns[table.y == code]
        explained += len(inside) * inside.mean(axis=0) ** 2
    return np.asarray(explained)


def _f_statistic(related: Floats, table: Table) -> Floats:
    groups = max(2, len(table.classes))
    share = np.minimum(related, 1 - 1e-9)
    return np.asarray(share / (1 - share) * max(1, len(table.y) - groups) / (groups - 1))


def _best(places: Indices, related: Floats) -> int:
    return int(places[np.argmax(related[places])])


def _greedy(relevance: Floats, correlation: Floats) -> Sequence[int]:
    order = [int(np.argmax(relevance))]
    left = [place for place in range(len(relevance)) if place != order[0]]
    redundancy = correlation[:, order[0]].copy()
    while left:
        quotients = relevance[left] / np.maximum(redundancy[left] / len(order), 1e-6)
        order.append(left.pop(int(np.argmax(quotients))))
        redundancy += correlation[:, order[-1]]
    return order
