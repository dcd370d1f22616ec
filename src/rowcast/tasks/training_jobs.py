"""The jobs that train on a table: one, or several together where there are nodes for it and the table is large."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rowcast.datasets.ports import Progress
from rowcast.errors import Unavailable
from rowcast.models.presets import plan, shared_algorithms
from rowcast.models.recipe import TrainingRequest
from rowcast.tasks.handlers import Bench

_PREPARED, _GROWN = 0.1, 0.9
"""Fractions of a shared training when its sample is prepared, and when all trees are grown."""

_OUT_OF_MEMORY = ("job_killed", "job_out_of_memory")
_SHARE_IT = (
    "The nodes of the cluster can learn a table of this size together: ask for the algorithms xgboost or lightgbm "
    "alone, with no time column and no ensemble. Or take a sample of its rows."
)


def train(bench: Bench, payload: dict[str, Any], bundle_prefix: str) -> dict[str, Any]:
    """What ``models.train.training.train`` gives for the payload of a training."""
    request = TrainingRequest.model_validate(payload["request"])
    beyond = bench.limits.spread_rows is not None and payload["row_count"] > bench.limits.spread_rows
    if beyond and shared_algorithms(request.recipe()):
        return SharedTraining(bench, payload, bundle_prefix).run()
    arguments = {
        "request": payload["request"],
        "content_hash": payload["content_hash"],
        "dataset_number": payload["dataset_number"],
        "schema": payload["schema"],
        "bundle_prefix": bundle_prefix,
        "threads": bench.limits.threads,
    }
    try:
        return bench.run("train", arguments, timeout=bench.limits.training_timeout_seconds)
    except Unavailable as error:
        if beyond and error.code in _OUT_OF_MEMORY:
            raise Unavailable(error.code, f"{error.message} {_SHARE_IT}") from error
        raise


class SharedTraining:
    """Sees to one training by the jobs of ``models.train.shares``."""

    def __init__(self, bench: Bench, payload: dict[str, Any], bundle_prefix: str) -> None:
        asked = TrainingRequest.model_validate(payload["request"])
        self._algorithms = shared_algorithms(asked.recipe())
        self._left = [name for name in plan(asked.recipe()).algorithms if name not in self._algorithms]
        self._folds = asked.folds
        self._reached = 0.0
        self._bench = bench
        self._workers = max(1, bench.compute.slots // bench.limits.threads)
        self._work_prefix = f"{bundle_prefix}/shared"
        self._table = {
            "request": {**payload["request"], "algorithms": list(self._algorithms)},
            "content_hash": payload["content_hash"],
            "schema": payload["schema"],
            "work_prefix": self._work_prefix,
        }
        self._finish = {"dataset_number": payload["dataset_number"], "bundle_prefix": bundle_prefix}

    def run(self) -> dict[str, Any]:
        """What ``training.train`` gives, and raises."""
        timeout = self._bench.limits.training_timeout_seconds
        self._part(0.0, _PREPARED).run("prepare_shares", self._table, timeout=timeout)
        step = (_GROWN - _PREPARED) / len(self._algorithms)
        shares = 0
        for number, algorithm in enumerate(self._algorithms):
            start = _PREPARED + number * step
            shares = self._fit(self._part(start, start + step), algorithm, timeout)
        rest = {"shares": shares, "warnings": self._warnings(), "threads": self._bench.limits.threads}
        last = self._part(_GROWN, 1.0)
        outcome = last.run("finish_shares", {**self._table, **self._finish, **rest}, timeout=timeout)
        self._bench.storage.delete(self._work_prefix)
        return outcome

    def _fit(self, bench: Bench, algorithm: str, timeout: float) -> int:
        """Grow a model; how many processes did."""
        arguments = {
            "content_hash": self._table["content_hash"],
            "work_prefix": self._work_prefix,
            "algorithm": algorithm,
            "threads": bench.limits.threads,
        }
        grown = bench.spread(algorithm, "fit_share", arguments, workers=self._workers, timeout=timeout)
        return int(grown["shares"])

    def _part(self, start: float, end: float) -> Bench:
        """The bench for a job that is but a part of the training."""

        def report(progress: Progress) -> None:
            # Processes that are started again tell from the start.
            self._reached = max(self._reached, start + (end - start) * progress.fraction)
            self._bench.report(progress.model_copy(update={"fraction": self._reached, "eta_seconds": None}))

        return replace(self._bench, report=report)

    def _warnings(self) -> list[str]:
        told = [
            "The table is so large that several processes learned together: what is done to a row before it is scored "
            "and all figures come from a sample of other rows."
        ]
        if self._left:
            told.append(f"{', '.join(self._left)} would need all rows in one process and were left out.")
        if self._folds is not None:
            told.append("Rows were held out in place of folds.")
        return told
