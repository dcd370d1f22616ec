"""How well each column alone predicts the target, on rows that the prediction has not seen.

Every column is cut into levels (quantile bins, frequent single values and "missing" for numbers; the values themselves
for categories). The target's mean in each level, smoothed towards the overall mean (Micci-Barreca, SIGKDD Explorations
3(1), 2001), is learned on four fifths of the rows and judged on the last, in turn, so that a column with as many values
as rows gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import rankdata

from rowcast.datasets.casts import column
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.table import scan
from rowcast.datasets.views import TableProfile

SAMPLE_ROWS = 200_000
FOLDS = 5
MAX_CLASSES = 30
_SMOOTHING = 10.0
_QUANTILE_BINS = 50
_FEWEST_BINS = 5
_ROWS_PER_BIN = 25
_FREQUENT_SHARE = 0.005
_FEWEST_ROWS = 20

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Target:
    """The target's values in the sampled rows: a column of 0 and 1 for each class, or one column of numbers."""

    values: Floats
    classes: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        return not self.classes

    @property
    def ordered(self) -> Floats | None:
        """What a rank correlation can be taken with: the numbers, or membership in the second of two classes."""
        if self.is_number:
            return self.values[:, 0]
        return self.values[:, -1] if len(self.classes) == 2 else None


@dataclass(frozen=True)
class TargetSample:
    """Typed columns of the sampled rows whose target is known, the target, and the fold of each row."""

    frame: pl.DataFrame
    target: Target
    folds: Codes


def associate(
    path: Path, schema: FeatureSchema, found: TableProfile, target: str
) -> tuple[TableProfile, TargetSample | None]:
    """The profile with association and correlation of every column but the target, and the rows they were found on."""
    sample = sample_with_target(path, schema, found.row_count, target)
    if sample is None:
        return found, None
    columns = [
        one if one.name == target else one.model_copy(update=_measured(sample, schema.feature(one.name)))
        for one in found.columns
    ]
    sampled = sample.folds.size if found.row_count > SAMPLE_ROWS else None
    return found.model_copy(update={"columns": columns, "sampled_rows": sampled}), sample


def sample_with_target(path: Path, schema: FeatureSchema, row_count: int, target: str) -> TargetSample | None:
    """Rows spread evenly over the table whose target is known; None when they are too few or of one class."""
    every = max(1, -(-row_count // SAMPLE_ROWS))
    frame = scan(path, schema, every=every).filter(column(target).is_not_null()).collect(engine="streaming")
    feature = schema.feature(target)
    if frame.height < _FEWEST_ROWS or feature is None:
        return None
    values = as_target(frame[target], feature)
    if values is None:
        return None
    folds = np.random.default_rng(0).permutation(frame.height) % FOLDS
    return TargetSample(frame, values, folds)


def as_target(values: pl.Series, feature: Feature) -> Target | None:
    """The target's values as columns; None when there is only one value.

    Classes come most frequent first; those beyond the thirtieth count as none of the others.
    """
    if feature.kind in (Kind.NUMBER, Kind.DATE):
        return None if values.n_unique() < 2 else Target(values.to_numpy()[:, None].astype(np.float64), ())
    names = _class_names(values, feature)
    counts = names.value_counts(name="rows").sort(["rows", names.name], descending=[True, False])
    classes = counts[names.name].head(MAX_CLASSES).to_list()
    if len(classes) < 2:
        return None
    members = [(names == name).to_numpy() for name in classes]
    return Target(np.column_stack(members).astype(np.float64), tuple(classes))


def _class_names(values: pl.Series, feature: Feature) -> pl.Series:
    if feature.kind is not Kind.FLAG:
        return values
    yes, no = (*feature.true_values, "true")[0], (*feature.false_values, "false")[0]
    return values.replace_strict({1.0: yes, 0.0: no}, return_dtype=pl.String).rename(values.name)


def _measured(sample: TargetSample, feature: Feature | None) -> dict[str, float | None]:
    if feature is None:
        return {}
    values = sample.frame[feature.name]
    association = predictive_power(levels(values), sample.target, sample.folds)
    return {"association": association, "correlation": spearman(values, sample.target)}


def levels(values: pl.Series) -> Codes:
    """A code for each row: categories by value, numbers by quantile or frequent value; missing is one of its own."""
    if values.dtype == pl.String:
        return values.fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    numbers = values.to_numpy().astype(np.float64)
    known = np.isfinite(numbers)
    codes = np.zeros(numbers.size, dtype=np.int64)
    if known.any():
        codes[known] = 1 + _number_levels(numbers[known])
    return codes


def _number_levels(numbers: Floats) -> Codes:
    distinct, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    bin_count = min(_QUANTILE_BINS, max(_FEWEST_BINS, numbers.size // _ROWS_PER_BIN))
    if distinct.size <= bin_count:
        return codes.astype(np.int64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bin_count + 1)[1:-1]))
    bins = np.searchsorted(edges, distinct, side="right")
    frequent = counts >= max(_FREQUENT_SHARE * numbers.size, 5)
    bins[frequent] = edges.size + 1 + np.arange(int(frequent.sum()))
    return np.asarray(bins[codes], dtype=np.int64)


def predictive_power(codes: Codes, target: Target, folds: Codes) -> float | None:
    """Held-out ROC AUC (mean over classes, one against the rest) or R2 of predicting by level alone."""
    size = int(codes.max()) + 1
    place = folds * size + codes
    rows = np.bincount(place, minlength=FOLDS * size).reshape(FOLDS, size).astype(np.float64)
    if target.is_number:
        return _r2(rows, place, target.values[:, 0])
    scores = [_mean_auc(rows, place, member) for member in _one_against_rest(target)]
    known = [score for score in scores if score is not None]
    return max(0.5, float(np.mean(known))) if known else None


def _one_against_rest(target: Target) -> npt.NDArray[np.float64]:
    members = target.values.T
    return members[-1:] if len(target.classes) == 2 else members


def _smoothed(rows: Floats, sums: Floats) -> Floats:
    """The target's mean by level as learned without each fold in turn, shape [folds, levels]."""
    others, other_sums = rows.sum(0) - rows, sums.sum(0) - sums
    overall = other_sums.sum(1, keepdims=True) / np.maximum(others.sum(1, keepdims=True), 1)
    return np.asarray((other_sums + _SMOOTHING * overall) / (others + _SMOOTHING))


def _sums(rows: Floats, place: Codes, weights: Floats) -> Floats:
    totals = np.bincount(place, weights=weights, minlength=rows.size)
    return totals.astype(np.float64).reshape(rows.shape)


def _mean_auc(rows: Floats, place: Codes, member: Floats) -> float | None:
    sums = _sums(rows, place, member)
    learned = _smoothed(rows, sums)
    aucs = [_auc(score, hit, count - hit) for score, hit, count in zip(learned, sums, rows, strict=True)]
    known = [auc for auc in aucs if auc is not None]
    return float(np.mean(known)) if known else None


def _auc(scores: Floats, positive: Floats, negative: Floats) -> float | None:
    """ROC AUC of levels with these scores and so many rows of each class; ties count half."""
    if not positive.sum() or not negative.sum():
        return None
    _, group = np.unique(scores, return_inverse=True)
    hits, misses = np.bincount(group, weights=positive), np.bincount(group, weights=negative)
    below = np.cumsum(misses) - misses
    return float(np.sum(hits * (below + misses / 2)) / (hits.sum() * misses.sum()))


def _r2(rows: Floats, place: Codes, numbers: Floats) -> float | None:
    centred = numbers - numbers.mean()
    total = float(np.sum(centred**2))
    if not np.isfinite(total) or total == 0:
        return None
    sums = _sums(rows, place, centred)
    learned = _smoothed(rows, sums)
    left = total - 2 * float(np.sum(learned * sums)) + float(np.sum(rows * learned**2))
    return max(0.0, 1.0 - left / total)


def spearman(values: pl.Series, target: Target) -> float | None:
    """Spearman's rank correlation over the rows where the column is known; None for what has no order."""
    other = target.ordered
    if values.dtype == pl.String or other is None:
        return None
    numbers = values.to_numpy().astype(np.float64)
    known = np.isfinite(numbers)
    if known.sum() < 3:
        return None
    return rank_correlation(rankdata(numbers[known]), rankdata(other[known]))


def rank_correlation(first: Floats, second: Floats) -> float | None:
    """Pearson's correlation of two arrays of ranks; None when one does not vary."""
    spread = float(first.std() * second.std())
    if spread == 0:
        return None
    return float(np.mean((first - first.mean()) * (second - second.mean())) / spread)
