"""What is made of the trials: the best one, or an ensemble of several where their mean is better.

The ensemble is that of Caruana et al. 2004, "Ensemble selection from libraries of models": trials are added one by one,
the same one again if it helps most, whichever brings the mean of their held-out scores furthest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.calibrate.maps import predictions
from rowcast.models.evaluate.metrics import score
from rowcast.models.train.folds import Fold
from rowcast.models.tune.grounds import Grounds
from rowcast.models.tune.trials import Tried
from rowcast.models.tune.views import TrialResult, Weight

_LIBRARY, _OF_A_KIND = 24, 3
"""So many of the best trials may join an ensemble, and so many of one kind: more of them have nothing to add."""

_ROUNDS = 20
_MOST_MEMBERS = 5
_MOST_ROWS = 5_000
_TINY = 1e-12


def best_first(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Those that are done."""
    done = [trial for trial in trials if trial.state == "done" and trial.score is not None]
    return sorted(done, key=lambda trial: (-merit(trial), trial.number))


def merit(trial: TrialResult) -> float:
    """Its score, with its sign such that more is better."""
    assert trial.score is not None
    return trial.score if trial.greater_is_better else -trial.score


def beyond_chance(ranked: Sequence[TrialResult], first: int) -> list[TrialResult]:
    """Of the trials, best first, the ``first`` that were made, and the others that are better than the best of those by
    more than two standard errors of the difference over the folds. Breiman et al. 1984, "Classification and regression
    trees", ask for one; here dozens were proposed for what they score on these very folds, which flatters the best.
    """
    before = next((trial for trial in ranked if trial.number < first), None)
    if before is None:
        return list(ranked)
    return [trial for trial in ranked if trial.number < first or _clearly_better(trial, before)]


def _clearly_better(trial: TrialResult, than: TrialResult) -> bool:
    gains = np.array(trial.fold_scores) - np.array(than.fold_scores)
    gains = gains if trial.greater_is_better else -gains
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() > 2 * error)


def unlike(ranked: Sequence[TrialResult]) -> list[TrialResult]:
    """Those of the trials, best first, that may join an ensemble: no two the same, and some of every kind."""
    distinct = {str([trial.algorithm, trial.fold_scores]): trial for trial in reversed(ranked)}
    kept: list[TrialResult] = []
    kinds: Counter[Any] = Counter()
    for trial in reversed(distinct.values()):
        kind = trial.algorithm, trial.hyperparameters.get("extra_trees", False)
        kinds[kind] += 1
        kept += [trial] if kinds[kind] <= _OF_A_KIND else []
    return kept[:_LIBRARY]


def choose(library: Sequence[Tried], shared: Grounds, seconds: float = inf) -> list[Weight]:
    """The best trial alone, or several with weights, which took so many seconds together at most; the library is best
    first and has one link.
    """
    counts = _greedy(library, shared, _sampled(shared), seconds)
    total = sum(counts.values())
    return [Weight(trial=library[place].result.number, weight=n / total) for place, n in sorted(counts.items())]


def mean_scores(library: Sequence[Tried], weights: Sequence[Weight]) -> NDArray[np.float64]:
    """Scores of all rows [N,outputs]."""
    by_number = {tried.result.number: tried.scores for tried in library}
    return np.asarray(sum(by_number[one.trial].astype(np.float64) * one.weight for one in weights))


def _sampled(shared: Grounds) -> list[Fold]:
    """The folds, of large tables with a part of the rows that they test: thousands of means are compared."""
    rng = np.random.default_rng(shared.conditions.seed)
    return [
        fold
        if len(fold.testing) <= _MOST_ROWS
        else Fold(fold.training, np.sort(rng.choice(fold.testing, _MOST_ROWS, replace=False)))
        for fold in shared.folds
    ]


def _greedy(library: Sequence[Tried], shared: Grounds, folds: Sequence[Fold], seconds: float) -> Counter[int]:
    """How often each place of the library was taken, by the earliest of the rounds that came furthest."""
    taken: Counter[int] = Counter()
    total = np.zeros(library[0].scores.shape)
    best, furthest = Counter[int](), -np.inf
    for size in range(1, _ROUNDS + 1):
        open_to = _open_to(library, taken, seconds)
        reached = [_mean((total + library[i].scores) / size, library[i], shared, folds) for i in open_to]
        place = open_to[int(np.argmax(reached))]
        taken[place] += 1
        total += library[place].scores
        if max(reached) > furthest + _TINY:
            best, furthest = taken.copy(), max(reached)
    return best


def _open_to(library: Sequence[Tried], taken: Counter[int], seconds: float) -> list[int]:
    """Those that may be added: any at first, then what is taken already and what there is still time for."""
    if not taken:
        return list(range(len(library)))
    left = seconds - sum(library[place].result.seconds for place in taken)
    more = left if len(taken) < _MOST_MEMBERS else -1.0
    return [place for place, tried in enumerate(library) if place in taken or tried.result.seconds <= more]


def _mean(scores: NDArray[np.floating], tried: Tried, shared: Grounds, folds: Sequence[Fold]) -> float:
    """The mean over the folds of the primary metric, more being better."""
    table, sign = shared.table, 1.0 if tried.result.greater_is_better else -1.0
    found = [
        score(table.problem, table.y[fold.testing], predictions(tried.link, scores[fold.testing].astype(np.float64)))
        for fold in folds
    ]
    return sign * float(np.mean(found))
