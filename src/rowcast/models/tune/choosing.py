"""What is made of the trials: the best one, or an ensemble of several where that is better beyond chance.

The ensemble is that of Caruana et al. 2004, "Ensemble selection from libraries of models": trials are added one by one,
the same one again if it helps most, whichever brings the mean of their held-out scores furthest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rowcast.models.calibrate.maps import predictions
from rowcast.models.evaluate.metrics import score
from rowcast.models.train.folds import Fold
from rowcast.models.tune.grounds import Grounds
from rowcast.models.tune.trials import Tried
from rowcast.models.tune.views import TrialResult, Weight

LIBRARY = 20
"""So many of the best trials may join an ensemble."""

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


def choose(library: Sequence[Tried], shared: Grounds) -> list[Weight]:
    """The best trial alone, or several with weights; the library is best first and has one link.

    An ensemble is fitted on all folds but one and compared on that with the trial that is best on the others. It is
    taken when it gains more, in the mean over the folds, than the standard error of this mean: a smaller gain is not
    worth several models to serve.
    """
    alone = [Weight(trial=library[0].result.number, weight=1.0)]
    folds = _sampled(shared)
    if len(library) < 2 or (len(folds) > 1 and not _pays(library, shared, folds)):
        return alone
    counts = _greedy(library, shared, folds)
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


def _pays(library: Sequence[Tried], shared: Grounds, folds: Sequence[Fold]) -> bool:
    gains = []
    for fold in folds:
        others = [one for one in folds if one is not fold]
        counts = _greedy(library, shared, others)
        single = max(library, key=lambda tried: _mean(tried.scores, tried, shared, others))
        mixed = _blend(library, counts)
        gains.append(_mean(mixed, single, shared, [fold]) - _mean(single.scores, single, shared, [fold]))
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return bool(np.mean(gains) > error)


def _greedy(library: Sequence[Tried], shared: Grounds, folds: Sequence[Fold]) -> Counter[int]:
    """How often each place of the library was taken, by the earliest of the rounds that came furthest."""
    taken: Counter[int] = Counter()
    total = np.zeros(library[0].scores.shape)
    best, furthest = Counter[int](), -np.inf
    for size in range(1, _ROUNDS + 1):
        open_to = range(len(library)) if len(taken) < _MOST_MEMBERS else sorted(taken)
        reached = [_mean((total + library[i].scores) / size, library[i], shared, folds) for i in open_to]
        place = open_to[int(np.argmax(reached))]
        taken[place] += 1
        total += library[place].scores
        if max(reached) > furthest + _TINY:
            best, furthest = taken.copy(), max(reached)
    return best


def _blend(library: Sequence[Tried], counts: Counter[int]) -> NDArray[np.float64]:
    return np.average([library[i].scores for i in counts], axis=0, weights=list(counts.values())).astype(np.float64)


def _mean(scores: NDArray[np.floating], tried: Tried, shared: Grounds, folds: Sequence[Fold]) -> float:
    """The mean over the folds of the primary metric, more being better."""
    table, sign = shared.table, 1.0 if tried.result.greater_is_better else -1.0
    found = [
        score(table.problem, table.y[fold.testing], predictions(tried.link, scores[fold.testing].astype(np.float64)))
        for fold in folds
    ]
    return sign * float(np.mean(found))
