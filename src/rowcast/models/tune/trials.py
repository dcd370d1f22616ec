"""The job of a search: some trials of a generation, each reported and its scores stored as it ends."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import NotFound, RowcastError
from rowcast.errors import Problem as Fault
from rowcast.models.algorithms.learner import Link
from rowcast.models.encode.inputs import Floats
from rowcast.models.evaluate.metrics import greater_is_better, primary_metric
from rowcast.models.hyperparameters import resolve
from rowcast.models.train.candidates import Candidate, Preparation, failure_of, fit_fold, untried, with_automatic
from rowcast.models.train.training import wait_without_spinning
from rowcast.models.tune.grounds import Grounds, grounds
from rowcast.models.tune.proposing import generation_of
from rowcast.models.tune.views import Trial, TrialResult, TuningRequest


@dataclass(frozen=True)
class Tried:
    """A trial's result, and if it is done its scores of all rows [N,outputs]: of each row that is searched by the model
    of the fold that tests it (NaN where none does), of those held out the mean of the folds' models."""

    result: TrialResult
    link: Link
    scores: Floats


def run_trials(
    storage: Storage,
    report: Report,
    *,
    request: dict[str, Any],
    content_hash: str,
    dataset_number: int,
    schema: dict[str, Any],
    finished: list[dict[str, Any]],
    numbers: list[int],
    scores_prefix: str,
    threads: int,
) -> dict[str, Any]:
    """Run those ``numbers``, all of one generation that follows from the ``finished`` trials, one after the other.

    A trial that fails is a result like any other. Raises ``InvalidInput`` for a request that does not fit the table.
    """
    wait_without_spinning()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    asked, known = TuningRequest.model_validate(request), FeatureSchema.model_validate(schema)
    before = [TrialResult.model_validate(one) for one in finished]
    generation = generation_of(asked, len(known.features), before, numbers[0])
    proposed = {trial.number: trial for trial in generation.trials}
    wanted = [proposed[number] for number in numbers]
    told = _Told(report, len(wanted))
    with threadpool_limits(threads):
        with storage.local(table_key(content_hash)) as path:
            shared = grounds(path, asked, known, threads, told.prepare)
        for trial in wanted:
            tried = run_trial(trial, shared, generation.bars)
            if tried.result.state == "done":
                storage.put(_key(scores_prefix, trial.number), _packed(tried))
            told.trial(tried.result)
    return {"trials": told.results}


class _Told:
    """Reports a job's trials as they end, and keeps what was reported."""

    def __init__(self, report: Report, count: int) -> None:
        self.results: list[dict[str, Any]] = []
        self._report = report
        self._count = count

    def prepare(self, message: str, fraction: float) -> None:
        self._report(Progress(fraction=0.0, message=message, stage="prepare"))

    def trial(self, result: TrialResult) -> None:
        self.results.append(result.model_dump(mode="json"))
        message = f"trial {result.number}: {result.algorithm}"
        share = len(self.results) / self._count
        self._report(Progress(fraction=share, message=message, stage="search", trial=self.results[-1]))


def run_trial(trial: Trial, shared: Grounds, bars: Sequence[float | None] = ()) -> Tried:
    """The trial on every fold of the rows that are searched, given up where its mean is behind the bar of a fold."""
    started = time.perf_counter()
    metric = primary_metric(shared.table.problem)
    better = greater_is_better(metric)
    features = None
    try:
        candidate, aside = _fit(trial, shared, bars, better)
        if candidate.failure is None and trial.selection is not None:
            features = list(shared.features(trial.selection))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a trial, the others go on
        candidate, aside = _failed(trial, shared, failure_of(trial.algorithm, error))
    failure, scores = candidate.failure, candidate.scores
    whole = len(scores) == len(shared.folds)
    result = TrialResult(
        **trial.model_dump(),
        state="failed" if failure else "done" if whole else "pruned",
        metric=metric,
        greater_is_better=better,
        score=None if failure else float(np.mean(scores)),
        fold_scores=[] if failure else scores,
        features=features,
        seconds=round(time.perf_counter() - started, 3),
        failure=None if failure is None else Fault(code=failure.code, message=failure.message),
    )
    candidate.scored[shared.held_out] = aside
    return Tried(result, candidate.link, candidate.scored)


def _fit(
    trial: Trial, shared: Grounds, bars: Sequence[float | None], better: bool
) -> tuple[Candidate, NDArray[np.float64]]:
    """The candidate after its folds, and the mean of its models' scores of the rows held out."""
    candidate = _candidate(trial, shared)
    aside = np.zeros((len(shared.held_out), candidate.scored.shape[1]))
    for number, fold in enumerate(shared.folds):
        if trial.selection is not None:
            candidate.preparation = replace(candidate.preparation, features=shared.features(trial.selection, number))
        encoded, held_out = shared.encoded(candidate, number)
        member = fit_fold(candidate, shared.table, fold, encoded, shared.conditions, number + 1, lambda *_: None)
        if member is None or _behind(candidate.scores, bars, better):
            break
        aside += member.score(held_out) / len(shared.folds)
    return candidate, aside


def _candidate(trial: Trial, shared: Grounds) -> Candidate:
    values = with_automatic(trial.algorithm, resolve(trial.algorithm, trial.hyperparameters), len(shared.table.y))
    how = Preparation(None, trial.outliers == "clip", trial.imbalance == "balanced")
    return untried(shared.table, trial.algorithm, values, how)


def _failed(trial: Trial, shared: Grounds, failure: RowcastError) -> tuple[Candidate, NDArray[np.float64]]:
    candidate = untried(shared.table, trial.algorithm, {}, Preparation())
    candidate.failure = failure
    return candidate, np.full((len(shared.held_out), candidate.scored.shape[1]), np.nan)


def _behind(scores: Sequence[float], bars: Sequence[float | None], better: bool) -> bool:
    bar = bars[len(scores) - 1] if len(scores) <= len(bars) else None
    return bar is not None and (float(np.mean(scores)) < bar if better else float(np.mean(scores)) > bar)


def scores_of(storage: Storage, prefix: str, trial: TrialResult, shared: Grounds) -> Tried:
    """A trial that is done with its scores, as they were stored, else by running it again."""
    try:
        data = storage.read(_key(prefix, trial.number))
    except NotFound:
        return replace(run_trial(Trial(**trial.model_dump(include=set(Trial.model_fields))), shared), result=trial)
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Tried(trial, Link(str(arrays["link"])), arrays["scores"])


def _packed(tried: Tried) -> bytes:
    file = io.BytesIO()
    np.savez(file, scores=tried.scores, link=np.array(tried.link.value))
    return file.getvalue()


def _key(prefix: str, number: int) -> str:
    return f"{prefix}/{number}.npz"
