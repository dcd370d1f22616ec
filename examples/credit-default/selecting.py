"""Which half of the features to keep: by permutation importance, or by mRMR."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
from sklearn.metrics import normalized_mutual_info_score

from rowcast.datasets.views import TableProfile
from rowcast.models.views import ModelVersionDetail

_BINS = 20


def by_permutation(version: ModelVersionDetail) -> list[str]:
    """The better half of a version's features, by what its score loses on held-out rows when they are shuffled."""
    ranked = sorted(version.evaluation["importance"], key=lambda one: -(one["mean"] or 0.0))
    return [str(one["feature"]) for one in ranked[: (len(ranked) + 1) // 2]]


def by_mrmr(features: list[str], profile: TableProfile, table: pl.DataFrame) -> list[str]:
    """The half that says most about the outcome and least of what another said already (Ding and Peng, "Minimum
    redundancy feature selection from microarray gene expression data", 2005, in its quotient form). Relevance is what
    the profile measured of each column alone, redundancy the mean normalised mutual information with those chosen."""
    relevance = {one.name: max(0.0, 2 * (one.association or 0.5) - 1) for one in profile.columns}
    codes = {name: _levels(table[name]) for name in features}
    shared = {
        frozenset(pair): float(normalized_mutual_info_score(codes[pair[0]], codes[pair[1]]))
        for pair in combinations(features, 2)
    }
    chosen = [max(features, key=lambda name: relevance[name])]
    while len(chosen) < (len(features) + 1) // 2:
        left = [name for name in features if name not in chosen]
        chosen.append(
            max(
                left,
                key=lambda name: (
                    relevance[name] / max(np.mean([shared[frozenset((name, one))] for one in chosen]), 1e-6)
                ),
            )
        )
    return chosen


def _levels(cells: pl.Series) -> np.ndarray:
    """Numbers in bins with about as many rows, else the most frequent values and all others."""
    numbers = cells.str.replace_all(r"[$, ]", "").cast(pl.Float64, strict=False)
    if numbers.null_count() < cells.len() / 10 and numbers.n_unique() > _BINS:
        return (numbers.fill_null(-1.0).rank().to_numpy() * _BINS // (cells.len() + 1)).astype(int)
    frequent = cells.value_counts(sort=True, name="rows")[cells.name].head(_BINS).to_list()
    places = {value: place for place, value in enumerate(frequent)}
    return np.array([places.get(cell, _BINS) for cell in cells])
