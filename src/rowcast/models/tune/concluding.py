"""The last job of a search: what is chosen, judged on rows that no trial saw, and trained on all rows as an ordinary
version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import Internal, RowcastError
from rowcast.models.calibrate.choice import calibrate
from rowcast.models.calibrate.maps import NONE, log_odds, predictions
from rowcast.models.encode.inputs import Floats
from rowcast.models.evaluate.metrics import evaluate
from rowcast.models.recipe import EnsembleMember, Preset, Problem, Recipe, TrainingRequest
from rowcast.models.train.member import common_link
from rowcast.models.train.preparing import Tell
from rowcast.models.train.training import train, wait_without_spinning
from rowcast.models.tune.budget import MORE_FOLDS, seconds_to_join, time_for_more_folds
from rowcast.models.tune.choosing import best_first, beyond_chance, choose, mean_scores, unlike
from rowcast.models.tune.grounds import Grounds, grounds
from rowcast.models.tune.proposing import tried_first
from rowcast.models.tune.trials import Tried, scores_of
from rowcast.models.tune.views import Study, TrialResult, TuningRequest, Weight
from rowcast.models.views import Metric

_CHOOSING = 0.2
"""Share of the job before the final training."""

_MORE_FOLDS_ROWS = 20_000
"""Beyond, a tenth more rows to learn from change nothing."""

_COMPARED = ("lightgbm", "linear")
"""What a training compares unless it is told otherwise."""


def conclude(
    storage: Storage,
    report: Report,
    *,
    request: dict[str, Any],
    content_hash: str,
    dataset_number: int,
    schema: dict[str, Any],
    trials: list[dict[str, Any]],
    scores_prefix: str,
    bundle_prefix: str,
    threads: int,
) -> dict[str, Any]:
    """What the job ``train`` gives, with one candidate, and ``study``: see ``views.Study``.

    Raises what the first trial failed with when none is done, else what ``train`` raises.
    """
    wait_without_spinning()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    asked = TuningRequest.model_validate(request)
    results = [TrialResult.model_validate(one) for one in trials]
    ranked = best_first(results)
    if not ranked:
        raise _fruitless(results)
    with threadpool_limits(threads):
        with storage.local(table_key(content_hash)) as path:
            shared = grounds(path, asked, FeatureSchema.model_validate(schema), threads, _preparing(report))
        library = _library(storage, scores_prefix, beyond_chance(ranked, tried_first(asked)), shared)
        chosen = choose(library, shared, inf if asked.seconds is None else seconds_to_join(asked.seconds, threads))
        study = Study(
            best_trial=ranked[0].number,
            chosen=chosen,
            estimate=_estimate(library, chosen, shared),
            default_estimate=_default(storage, scores_prefix, results, shared),
            searched_rows=len(shared.searched),
            held_out_rows=len(shared.held_out),
            trials=len(results),
        ).model_dump(mode="json")
        by_number = {trial.number: trial for trial in ranked}
        folds = _folds(asked, [by_number[one.trial].seconds for one in chosen], shared, threads)
    outcome = train(
        storage,
        _later(report),
        request=_winner(asked, by_number, chosen, folds).model_dump(mode="json"),
        content_hash=content_hash,
        dataset_number=dataset_number,
        schema=schema,
        bundle_prefix=bundle_prefix,
        threads=threads,
        study=study,
    )
    return outcome | {"study": study}


def _fruitless(results: Sequence[TrialResult]) -> RowcastError:
    failure = next((trial.failure for trial in results if trial.failure is not None), None)
    if failure is None:
        return Internal("tuning_failed", "The search ended before its first trial; give it more time.")
    return Internal(failure.code, failure.message)


def _library(storage: Storage, prefix: str, ranked: Sequence[TrialResult], shared: Grounds) -> list[Tried]:
    """The best trials that are unlike each other; where they score differently all do so by log
    odds, which is what an ensemble of them counts by."""
    library = [scores_of(storage, prefix, trial, shared) for trial in unlike(ranked)]
    link = common_link(tried.link for tried in library)
    return [one if one.link is link else replace(one, link=link, scores=_log_odds(one)) for one in library]


def _log_odds(tried: Tried) -> Floats:
    return log_odds(tried.link, tried.scores.astype(np.float64)).astype(np.float32)


def _estimate(library: Sequence[Tried], weights: Sequence[Weight], shared: Grounds) -> list[Metric]:
    """The metrics on the rows held out of a mean of trials, calibrated on the rows that were searched."""
    table, link = shared.table, library[0].link
    scores, calibration = mean_scores(library, weights), NONE
    if table.problem is not Problem.REGRESSION and library[0].result.algorithm != "baseline":
        rows = shared.searched[shared.tested.fold_of_row >= 0]
        folds = shared.tested.fold_of_row[shared.tested.fold_of_row >= 0]
        conditions = shared.conditions
        fitted = calibrate(
            table.problem, link, scores[rows], table.y[rows], folds, in_time=conditions.in_time, seed=conditions.seed
        )
        calibration = fitted.calibration.map
    found = predictions(link, scores[shared.held_out], calibration)
    positive, seed = shared.prepared.target.positive_class, shared.conditions.seed
    return evaluate(table.problem, table.y[shared.held_out], found, table.classes, positive, seed=seed)


def _default(storage: Storage, prefix: str, results: Sequence[TrialResult], shared: Grounds) -> list[Metric]:
    """The same of the best of what a training compares by default, else of any algorithm's defaults."""
    plain = [trial for trial in best_first(results) if not trial.hyperparameters]
    plain = [trial for trial in plain if trial.outliers == "keep" and trial.imbalance == "none" and not trial.selection]
    first = next((trial for trial in plain if trial.algorithm in _COMPARED), next(iter(plain), None))
    if first is None:
        return []
    library = [scores_of(storage, prefix, first, shared)]
    return _estimate(library, [Weight(trial=first.number, weight=1.0)], shared)


def _folds(asked: TuningRequest, took: Sequence[float], shared: Grounds, threads: int) -> int | None:
    """As many as asked for; else more than a training's own, of a table that gains by it, if there is time."""
    table = shared.table
    rarest = len(table.y) if table.problem is Problem.REGRESSION else int(np.bincount(table.y).min())
    if asked.folds is not None or asked.time_column or len(table.y) > _MORE_FOLDS_ROWS or rarest < 2 * MORE_FOLDS:
        return asked.folds
    in_time = asked.seconds is None or time_for_more_folds(asked.seconds, took, threads)
    return MORE_FOLDS if in_time else None


def _winner(
    asked: TuningRequest, trials: dict[int, TrialResult], chosen: Sequence[Weight], folds: int | None
) -> TrainingRequest:
    """The training of what was chosen. The models of the folds serve together, for they are better than one on all
    rows; not in time, where the first of them know little."""
    preset = Preset.BALANCED if asked.time_column else Preset.BEST
    learned = [(trials[one.trial], one.weight) for one in chosen]
    given = asked.recipe().model_dump() | {"preset": preset, "folds": folds}
    if len(learned) == 1:
        best = learned[0][0]
        given |= {
            "algorithms": [best.algorithm],
            "hyperparameters": {best.algorithm: best.hyperparameters},
            "outliers": best.outliers,
            "imbalance": best.imbalance,
        }
    else:
        given |= {"algorithms": None, "ensemble": [_member(trial, weight) for trial, weight in learned]}
    selections = [trial.features for trial, _ in learned]
    if all(selections):
        given["features"] = sorted({name for names in selections for name in names or ()})
    source = asked.model_dump(include={"dataset", "dataset_version", "model", "promote"})
    return TrainingRequest.model_validate(Recipe.model_validate(given).model_dump() | source)


def _member(trial: TrialResult, weight: float) -> EnsembleMember:
    return EnsembleMember(
        algorithm=trial.algorithm,
        weight=weight,
        hyperparameters=trial.hyperparameters,
        features=trial.features,
        outliers=trial.outliers,
        imbalance=trial.imbalance,
    )


def _preparing(report: Report) -> Tell:
    return lambda message, fraction: report(Progress(fraction=0.0, message=message, stage="prepare"))


def _later(report: Report) -> Report:
    """Reports a training as the last part of this job."""

    def later(progress: Progress) -> None:
        fraction = _CHOOSING + (1 - _CHOOSING) * progress.fraction
        report(progress.model_copy(update={"fraction": fraction}))

    return later
