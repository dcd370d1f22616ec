"""The steps of tuning: each is compared with one before it on the same folds and on the same later loans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from loans import APPROVED, BAD, CALENDAR, TARGET, Loans
from measures import Figure, Floats, Resampled, fold_difference, fold_mean
from selecting import by_mrmr, by_permutation

from rowcast.client import Client
from rowcast.datasets.views import TableProfile
from rowcast.models.views import Candidate, Metric, TrainingResult

NAME = "credit_default"


@dataclass(frozen=True)
class Step:
    """One line of the report. Differences are with the step ``against``, above 0 where this one is better."""

    name: str
    version: int
    folds: list[float]
    in_folds: Figure
    later: Figure
    features: list[str]
    scores: Floats = field(repr=False)
    against: str | None = None
    folds_gain: Figure | None = None
    later_gain: Figure | None = None


@dataclass(frozen=True)
class Learned:
    """All that was tried, and what is known beside it."""

    steps: dict[str, Step]
    in_time: Figure
    """ROC AUC of LightGBM in folds that are each later than what they were learned from: the mean of the folds."""

    leaking: Figure
    """The same in folds at random, with the columns that give the outcome away."""

    row_count: int


class Workshop:
    """Trains on the earlier loans, and judges on the later ones that nothing is chosen by."""

    def __init__(self, client: Client, loans: Loans, say: Callable[[str], None], folds: int) -> None:
        self._client, self._loans, self._say, self._folds = client, loans, say, folds
        self.bad: Floats = (loans.later[TARGET] == BAD).to_numpy().astype(np.float64)
        self.resampled = Resampled(self.bad)
        self.steps: dict[str, Step] = {}

    def train(self, what: str, **fields: Any) -> TrainingResult:
        """Train with these fields beside what all trainings share."""
        self._say(what)
        shared = {"dataset": NAME, "target": TARGET, "positive_class": BAD, "folds": self._folds}
        shared["optional"] = ["*"]  # a later loan may lack what every earlier one has
        return self._client.train_and_wait(**{**shared, **fields})

    def note(self, name: str, candidate: Candidate, against: str | None = None) -> Step:
        """Judge a candidate and put it on the list."""
        assert candidate.version is not None
        found = _figure(candidate)
        features = self._client.models.version(NAME, candidate.version).feature_schema.names
        scores = self._predict(candidate.version, features)
        before = self.steps[against] if against else None
        step = Step(
            name=name,
            version=candidate.version,
            folds=found.folds,
            in_folds=Figure(found.value, found.low or found.value, found.high or found.value),
            later=self.resampled.auc(scores),
            features=features,
            scores=scores,
            against=against,
            folds_gain=fold_difference(found.folds, before.folds) if before else None,
            later_gain=self.resampled.auc_difference(scores, before.scores) if before else None,
        )
        self.steps[name] = step
        return step

    def _predict(self, version: int, features: list[str]) -> Floats:
        """The probability that each of the later loans is charged off."""
        answers = self._client.predict(f"{NAME}@{version}", self._loans.applications(features)).predictions
        return np.array([np.nan if one is None else one.probability for one in answers], dtype=np.float64)


def figure_of(result: TrainingResult) -> Metric:
    return _figure(result.candidates[0])


def _figure(candidate: Candidate) -> Metric:
    return next(metric for metric in candidate.metrics if metric.name == "roc_auc")


def tune(
    work: Workshop, client: Client, earlier: pl.DataFrame, profile: TableProfile, *, brief: bool = False
) -> Learned:
    """All steps; ``brief`` only those with which the report still tells something."""
    names = ["baseline", "linear", "lightgbm"] + ([] if brief else ["catboost"])
    first = work.train(", ".join(names), algorithms=names)
    found = {candidate.algorithm: candidate for candidate in first.candidates}
    work.note("baseline", found["baseline"])
    work.note("linear", found["linear"], "baseline")
    work.note("lightgbm", found["lightgbm"], "linear")
    if not brief:
        _outliers(work)
        _selection(work, client, earlier, profile)
        _weights(work)
        work.note("catboost", found["catboost"], "lightgbm")
        _ensemble(work)
    _without_calendar(work)
    leaks = [one.column for one in profile.warnings if one.code == "leak" and one.column]
    in_time = figure_of(work.train("lightgbm in folds in time", algorithms=["lightgbm"], time_column=APPROVED))
    leaking = figure_of(work.train("lightgbm with the leaks", algorithms=["lightgbm"], include=leaks))
    # Fold i in time learned from i parts as large as the one that it is tested on.
    tested_to_learned = float(np.mean([1 / (fold + 1) for fold in range(len(in_time.folds))]))
    return Learned(
        work.steps,
        fold_mean(in_time.folds, tested_to_learned),
        Figure(leaking.value, leaking.low or leaking.value, leaking.high or leaking.value),
        first.row_count,
    )


def _outliers(work: Workshop) -> None:
    result = work.train("outliers clipped", algorithms=["linear", "lightgbm"], outliers="clip")
    for candidate in sorted(result.candidates, key=lambda one: one.algorithm != "linear"):
        work.note(f"{candidate.algorithm}, outliers clipped", candidate, candidate.algorithm)


def _selection(work: Workshop, client: Client, earlier: pl.DataFrame, profile: TableProfile) -> None:
    whole = client.models.version(NAME, work.steps["lightgbm"].version)
    for how, features in {
        "permutation": by_permutation(whole),
        "mRMR": by_mrmr(whole.feature_schema.names, profile, earlier),
    }.items():
        result = work.train(f"half of the features, by {how}", algorithms=["lightgbm"], features=features)
        work.note(f"lightgbm, half by {how}", result.candidates[0], "lightgbm")


def _weights(work: Workshop) -> None:
    result = work.train("classes weighed alike", algorithms=["lightgbm"], imbalance="balanced")
    work.note("lightgbm, balanced", result.candidates[0], "lightgbm")


def _ensemble(work: Workshop) -> None:
    members = [{"algorithm": name, "weight": 1 / 3} for name in ("linear", "lightgbm", "catboost")]
    result = work.train("stacked: the mean of three", ensemble=members)
    best = max(("linear", "lightgbm", "catboost"), key=lambda name: work.steps[name].in_folds.value)
    work.note("ensemble of three", result.candidates[0], best)


def _without_calendar(work: Workshop) -> None:
    result = work.train("without the calendar", algorithms=["lightgbm"], exclude=list(CALENDAR))
    work.note("lightgbm, no calendar", result.candidates[0], "lightgbm")


def chosen(steps: dict[str, Step]) -> Step:
    """The step that serves, by the folds alone: the first, unless one that came later is better than the one it was
    compared with, by more than chance would make it, and than the choice so far."""
    best: Step | None = None
    for step in steps.values():
        clearly = step.folds_gain is not None and step.folds_gain.verdict > 0
        if best is None or (clearly and step.in_folds.value > best.in_folds.value):
            best = step
    assert best is not None
    return best
