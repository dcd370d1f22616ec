"""Progress of a training: steps of many fits as one fraction, with a line for people."""

from __future__ import annotations

import time
from itertools import count, takewhile

from rowcast.datasets.ports import Progress, Report
from rowcast.models.evaluate.metrics import primary_metric
from rowcast.models.recipe import Problem

_PREPARING = 0.05
_TITLES = {"roc_auc": "ROC AUC", "log_loss": "log loss", "rmse": "RMSE"}


class TrainingProgress:
    """Counts a unit of work per algorithm and fold, and one per algorithm for the model that is served.

    The fraction never goes back. ``step`` is a candidates.Step.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._started = time.monotonic()
        self._fraction = 0.0
        self._units = 1
        self._folds = 0
        self._metric = ""
        self._done: set[tuple[str, int | None]] = set()
        self._scores: dict[str, dict[int, float]] = {}

    def prepare(self, message: str, fraction: float) -> None:
        """Before the fits: ``fraction`` of the preparation."""
        self._send(_PREPARING * fraction, message, "prepare")

    def begin(self, algorithms: int, folds: int, problem: Problem) -> None:
        self._units = algorithms * (folds + 1)
        self._folds = folds
        self._metric = _TITLES[primary_metric(problem)]

    def step(self, algorithm: str, fraction: float, fold: int | None, score: float | None) -> None:
        """``fraction`` of the fit of an algorithm in a fold, counted from 1, or on all rows."""
        if fraction >= 1.0:
            self._done.add((algorithm, fold))
        if fold is not None and score is not None:
            self._scores.setdefault(algorithm, {})[fold] = score
        inside = 0.0 if fraction >= 1.0 else max(0.0, fraction)
        done = _PREPARING + (1 - _PREPARING) * min(1.0, (len(self._done) + inside) / self._units)
        where = "final model" if fold is None else f"fold {fold} of {self._folds}"
        reached = "" if score is None else f", {self._metric} {score:.3f}"
        self._send(done, f"{algorithm}: {where}{reached}", "export" if fold is None else "fit", algorithm, fold, score)

    def finish(self) -> None:
        self._send(1.0, "done", "done")

    def _send(
        self,
        fraction: float,
        message: str,
        stage: str,
        algorithm: str | None = None,
        fold: int | None = None,
        score: float | None = None,
    ) -> None:
        self._fraction = max(self._fraction, min(1.0, fraction))
        elapsed = time.monotonic() - self._started
        left = elapsed * (1 - self._fraction) / self._fraction if self._fraction > _PREPARING else None
        self._report(
            Progress(
                fraction=self._fraction,
                message=message,
                stage=stage,
                algorithm=algorithm,
                fold=fold,
                folds=self._folds or None,
                score=score,
                # All of them every time: whoever looks now and then misses none.
                fold_scores={name: _in_order(scores) for name, scores in self._scores.items()} or None,
                eta_seconds=None if left is None else round(left, 1),
            )
        )


def _in_order(scores: dict[int, float]) -> list[float]:
    """The scores of the folds from the first, up to one that others have overtaken."""
    return [scores[fold] for fold in takewhile(scores.__contains__, count(1))]
