"""The training job: from a stored table and a recipe to a bundle per algorithm, best first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Report, Storage
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.bundle.contents import DatasetReference
from rowcast.models.bundle.packing import Pack, pack
from rowcast.models.calibrate.maps import NONE
from rowcast.models.evaluate.dependence import MOST_FEATURES, partial_dependence
from rowcast.models.evaluate.metrics import greater_is_better, primary_metric
from rowcast.models.recipe import EnsembleMember, Recipe, TrainingRequest
from rowcast.models.recipe import Problem as Goal
from rowcast.models.train.candidates import (
    Candidate,
    Conditions,
    Preparation,
    Table,
    cross_validate,
    untried,
    with_automatic,
)
from rowcast.models.train.ensembles import combine, served_members
from rowcast.models.train.fold_plan import TestedRows, plan_folds
from rowcast.models.train.judging import Judged, judge
from rowcast.models.train.member import Member, mean_prediction
from rowcast.models.train.preparing import Prepared, prepare
from rowcast.models.train.progress import TrainingProgress

_YEARS = (1900, 2100)
"""Whole numbers between these are taken for years."""


def train(
    storage: Storage,
    report: Report,
    *,
    request: dict[str, Any],
    content_hash: str,
    dataset_number: int,
    schema: dict[str, Any],
    bundle_prefix: str,
    threads: int,
    study: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train every algorithm of the request and write a bundle for each: the TrainingOutcome, best candidate first.

    ``study`` is how the recipe was found, which goes into the evaluation.

    Raises ``InvalidInput`` for a recipe that does not fit the table and ``Internal("training_failed")`` when every
    algorithm failed; one that fails beside others is only a warning. The same request gives the same models.
    """
    wait_without_spinning()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    asked = TrainingRequest.model_validate(request)
    progress = TrainingProgress(report)
    source = DatasetReference(name=asked.dataset, version=dataset_number, content_hash=content_hash)
    with threadpool_limits(threads):
        with storage.local(table_key(content_hash)) as path:
            prepared = prepare(path, asked.recipe(), FeatureSchema.model_validate(schema), progress.prepare)
        tested = plan_folds(prepared.target, prepared.plan, prepared.moments, prepared.recipe.seed)
        prepared.warnings.extend(tested.warnings)
        conditions = _conditions(prepared.recipe, threads)
        judged = _judge(prepared, tested, conditions, progress)
        prepared.warnings.extend(_time_hint(judged[0], prepared))
        storage.delete(bundle_prefix)  # what an interrupted run of the same task left
        try:
            found = {} if study is None else {"study": study}
            lines = [
                serve(one, prepared, conditions, source, storage, bundle_prefix, progress, found) for one in judged
            ]
        except BaseException:
            storage.delete(bundle_prefix)
            raise
    progress.finish()
    return outcome(prepared, lines)


def wait_without_spinning() -> None:
    """OpenMP's threads spin while they wait, which on busy cores makes a fit ten times slower.

    The libraries read this when they are loaded, so it must come before any of them is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _conditions(recipe: Recipe, threads: int) -> Conditions:
    return Conditions(
        seed=recipe.seed,
        threads=threads,
        in_time=recipe.time_column is not None,
    )


def _judge(prepared: Prepared, tested: TestedRows, conditions: Conditions, progress: TrainingProgress) -> list[Judged]:
    """Cross-validate, drop the algorithms that failed, and order the others best first."""
    table, work = prepared.table, prepared.plan
    candidates = _candidates(prepared)
    progress.begin(len(candidates), len(tested.folds), table.problem)
    cross_validate(table, tested.folds, candidates, conditions, work.average_folds, progress.step)
    if work.ensemble:
        candidates = [combine(candidates, table, tested.folds)]
    judged = [
        judge(candidate, table, prepared.target.positive_class, tested, conditions)
        for candidate in _succeeded(candidates, prepared.warnings)
    ]
    return best_first(judged, table.problem)


def best_first(judged: Sequence[Judged], problem: Goal) -> list[Judged]:
    """In the order of the problem's primary metric."""
    primary = primary_metric(problem)
    sign = -1.0 if greater_is_better(primary) else 1.0
    return sorted(judged, key=lambda one: sign * next(m.value for m in one.metrics if m.name == primary))


def _candidates(prepared: Prepared) -> list[Candidate]:
    """The algorithms of the recipe, or the members of its ensemble, before any fold."""
    recipe, work, table = prepared.recipe, prepared.plan, prepared.table
    rows = len(table.y)
    how = Preparation(None, recipe.outliers == "clip", recipe.imbalance == "balanced")
    return [
        untried(table, name, with_automatic(name, given, rows), how) for name, given in work.hyperparameters.items()
    ] + [
        untried(
            table,
            one.algorithm,
            with_automatic(one.algorithm, one.hyperparameters, rows),
            Preparation(_of_features(one, table), one.outliers == "clip", one.imbalance == "balanced"),
            one.weight,
        )
        for one in work.ensemble
    ]


def _of_features(member: EnsembleMember, table: Table) -> tuple[str, ...] | None:
    """Those of the member's features that there are; all if none is left."""
    return tuple(one.name for one in table.features if one.name in (member.features or ())) or None


def _succeeded(candidates: Sequence[Candidate], warnings: list[str]) -> list[Candidate]:
    failures = [candidate for candidate in candidates if candidate.failure is not None]
    kept = [candidate for candidate in candidates if candidate.failure is None]
    learned = [candidate for candidate in kept if candidate.algorithm != "baseline"]
    if failures and not learned:
        assert failures[0].failure is not None
        raise failures[0].failure
    warnings.extend(one.failure.message for one in failures if one.failure is not None)
    return kept


def serve(
    judged: Judged,
    prepared: Prepared,
    conditions: Conditions,
    source: DatasetReference,
    storage: Storage,
    prefix: str,
    progress: TrainingProgress,
    found: dict[str, Any],
) -> dict[str, Any]:
    """Fit what is served, pack it, store it: the candidate's line of the outcome."""
    candidate = judged.candidate
    started = datetime.now(UTC)
    members = served_members(candidate, prepared.table, conditions, progress.step)
    evaluation = judged.evaluation | found | {"partial_dependence": _dependence(judged, members, prepared)}
    key = f"{prefix}/{candidate.algorithm}"
    bundle_hash = pack(
        Pack(
            algorithm=candidate.algorithm,
            members=members,
            table=prepared.table,
            row_count=prepared.row_count,
            schema=prepared.schema,
            recipe=prepared.recipe,
            positive_class=prepared.target.positive_class,
            source=source,
            hyperparameters=candidate.hyperparameters,
            metrics=judged.metrics,
            evaluation=evaluation,
            held_out=replace(judged.held_out, rows=prepared.target.rows[judged.held_out.rows]),
            left_out=prepared.choice.left_out,
            warnings=prepared.warnings,
            calibration=judged.calibration,
            intervals=judged.intervals,
        ),
        storage,
        key,
        conditions.threads,
    )
    candidate.seconds += (datetime.now(UTC) - started).total_seconds()
    progress.step(candidate.algorithm, 1.0, None, None)
    return {
        "algorithm": candidate.algorithm,
        "hyperparameters": candidate.hyperparameters,
        "metrics": [metric.model_dump() for metric in judged.metrics],
        "seconds": round(candidate.seconds, 3),
        "evaluation": evaluation,
        "bundle_key": key,
        "bundle_hash": bundle_hash,
    }


def _dependence(judged: Judged, members: Sequence[Member], prepared: Prepared) -> list[dict[str, Any]]:
    """How the calibrated answer of the model that serves depends on the features that matter most."""
    useful = [one["feature"] for one in judged.evaluation["importance"] if one["mean"] > 0][:MOST_FEATURES]
    table, calibration = prepared.table, judged.calibration.map if judged.calibration else NONE
    outputs = {name: place for place, name in enumerate(table.classes or [prepared.recipe.target])}
    if table.problem is Goal.BINARY:
        outputs = {name: place for name, place in outputs.items() if place == 1}
    features = [prepared.schema.feature(name) for name in useful]
    return partial_dependence(
        lambda inputs: mean_prediction(members, inputs, calibration),
        [feature for feature in features if feature is not None],
        table.inputs,
        outputs,
        prepared.recipe.seed,
    )


def _time_hint(best: Judged, prepared: Prepared) -> list[str]:
    """That rows of all times were mixed, where a date or a year matters most."""
    first = next((one for one in best.evaluation["importance"] if one["mean"] > 0), None)
    feature = prepared.schema.feature(first["feature"]) if first else None
    if feature is None or prepared.recipe.time_column is not None or not _of_time(feature):
        return []
    return [
        f"{feature.name} matters most, and rows of all times were tested. A split by time (time_column; --time-column "
        f"{feature.name}) tells how it does on later rows."
    ]


def _of_time(feature: Feature) -> bool:
    low, high = feature.minimum, feature.maximum
    if isinstance(low, float) and isinstance(high, float):
        return low.is_integer() and high.is_integer() and _YEARS[0] <= low < high <= _YEARS[1]
    return feature.kind is Kind.DATE


def outcome(prepared: Prepared, candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """What a training job gives, of the lines that ``serve`` gave."""
    problem = prepared.table.problem
    return {
        "problem": problem.value,
        "primary_metric": primary_metric(problem),
        "row_count": prepared.row_count,
        "classes": prepared.table.classes,
        "positive_class": prepared.target.positive_class,
        "left_out": [left.model_dump() for left in prepared.choice.left_out],
        "warnings": prepared.warnings,
        "candidates": candidates,
    }
