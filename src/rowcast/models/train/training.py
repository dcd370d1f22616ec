"""The training job: from a stored table and a recipe to a bundle per algorithm, best first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Report, Storage
from rowcast.datasets.profile.profiling import profile
from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.errors import InvalidInput, Problem
from rowcast.models.bundle.contents import DatasetReference
from rowcast.models.bundle.packing import Pack, pack
from rowcast.models.encode.inputs import take
from rowcast.models.evaluate.metrics import greater_is_better, primary_metric
from rowcast.models.presets import Plan, plan
from rowcast.models.recipe import Recipe, TrainingRequest
from rowcast.models.train.candidates import (
    Candidate,
    Conditions,
    Table,
    cross_validate,
    fit_for_serving,
    with_automatic,
)
from rowcast.models.train.columns import Choice, check_names, choose, learned_from
from rowcast.models.train.fold_plan import TestedRows, plan_folds
from rowcast.models.train.judging import Judged, judge
from rowcast.models.train.kinds import with_kinds
from rowcast.models.train.progress import TrainingProgress
from rowcast.models.train.reading import read_inputs, read_moments, read_target
from rowcast.models.train.repeats import repeats_warning
from rowcast.models.train.target import Target
from rowcast.models.train.target import read_target as target_of


@dataclass(frozen=True)
class _Prepared:
    """A recipe brought together with its table. ``moments`` are those of the time column, if there is one."""

    recipe: Recipe
    plan: Plan
    schema: FeatureSchema
    choice: Choice
    target: Target
    table: Table
    moments: NDArray[np.float64] | None
    warnings: list[str]


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
) -> dict[str, Any]:
    """Train every algorithm of the request and write a bundle for each: the TrainingOutcome, best candidate first.

    Raises ``InvalidInput`` for a recipe that does not fit the table and ``Internal("training_failed")`` when every
    algorithm failed; one that fails beside others is only a warning. The same request gives the same models.
    """
    _wait_without_spinning()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    asked = TrainingRequest.model_validate(request)
    progress = TrainingProgress(report)
    source = DatasetReference(name=asked.dataset, version=dataset_number, content_hash=content_hash)
    with threadpool_limits(threads):
        with storage.local(table_key(content_hash)) as path:
            prepared = _prepare(path, asked.recipe(), FeatureSchema.model_validate(schema), progress)
        tested = plan_folds(prepared.target, prepared.plan, prepared.moments, prepared.recipe.seed)
        prepared.warnings.extend(tested.warnings)
        conditions = _conditions(prepared.recipe, threads)
        judged = _judge(prepared, tested, conditions, progress)
        storage.delete(bundle_prefix)  # what an interrupted run of the same task left
        try:
            lines = [_serve(one, prepared, conditions, source, storage, bundle_prefix, progress) for one in judged]
        except BaseException:
            storage.delete(bundle_prefix)
            raise
    progress.finish()
    return _outcome(prepared, lines)


def _wait_without_spinning() -> None:
    """OpenMP's threads spin while they wait, which on busy cores makes a fit ten times slower.

    The libraries read this when they are loaded, so it must come before any of them is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _prepare(path: Path, recipe: Recipe, schema: FeatureSchema, progress: TrainingProgress) -> _Prepared:
    work = plan(recipe)
    check_names(recipe, schema)
    progress.prepare("reading the target", 0.0)
    schema = with_kinds(path, schema, recipe.kinds)
    target = target_of(read_target(path, schema, recipe.target), recipe)
    progress.prepare("looking for leaks and identifiers", 0.2)
    choice = choose(recipe, schema, profile(path, _to_profile(recipe, schema), recipe.target))
    progress.prepare("reading the features", 0.7)
    features = learned_from(choice, recipe, schema)
    table = Table(
        features=features.features,
        inputs=take(read_inputs(path, features), target.rows),
        y=target.y,
        problem=target.problem,
        classes=target.classes,
    )
    moments = _moments(path, recipe, schema)
    prepared = _Prepared(
        recipe=recipe,
        plan=work,
        schema=features,
        choice=choice,
        target=target,
        table=table,
        moments=None if moments is None else moments[target.rows],
        warnings=[*target.warnings, *choice.warnings, *repeats_warning(table.inputs, target.y, recipe.seed)],
    )
    return prepared if moments is None else _without_unknown_moments(prepared)


def _to_profile(recipe: Recipe, schema: FeatureSchema) -> FeatureSchema:
    """The columns that may be learned from, and the target: the others need no figures."""
    asked = schema.names if recipe.features is None else [*recipe.features, recipe.target]
    return schema.select(name for name in schema.names if name in set(asked) - set(recipe.exclude) | {recipe.target})


def _moments(path: Path, recipe: Recipe, schema: FeatureSchema) -> NDArray[np.float64] | None:
    if recipe.time_column is None:
        return None
    feature = schema.feature(recipe.time_column)
    if feature is None or feature.kind not in (Kind.DATE, Kind.NUMBER) or recipe.time_column == recipe.target:
        message = f"The time column {recipe.time_column!r} must hold dates or numbers and not be the target."
        problem = Problem(code="time_column_invalid", message=message, field="time_column")
        raise InvalidInput("time_column_invalid", message, [problem])
    return read_moments(path, schema, recipe.time_column)


def _without_unknown_moments(prepared: _Prepared) -> _Prepared:
    assert prepared.moments is not None
    known = np.flatnonzero(~np.isnan(prepared.moments))
    unknown = len(prepared.moments) - len(known)
    if not unknown:
        return prepared
    warning = f"{unknown} rows without a value in {prepared.recipe.time_column!r} were left out."
    return replace(
        prepared,
        table=prepared.table.take(known),
        target=replace(prepared.target, y=prepared.target.y[known], rows=prepared.target.rows[known]),
        moments=prepared.moments[known],
        warnings=[*prepared.warnings, warning],
    )


def _conditions(recipe: Recipe, threads: int) -> Conditions:
    return Conditions(
        seed=recipe.seed,
        threads=threads,
        balanced=recipe.imbalance == "balanced",
        in_time=recipe.time_column is not None,
    )


def _judge(prepared: _Prepared, tested: TestedRows, conditions: Conditions, progress: TrainingProgress) -> list[Judged]:
    """Cross-validate, drop the algorithms that failed, and order the others best first."""
    table, work = prepared.table, prepared.plan
    values = {name: with_automatic(name, given, len(table.y)) for name, given in work.hyperparameters.items()}
    progress.begin(len(values), len(tested.folds), table.problem)
    candidates = cross_validate(table, tested.folds, values, conditions, work.average_folds, progress.step)
    judged = [
        judge(candidate, table, prepared.target.positive_class, tested, conditions)
        for candidate in _succeeded(candidates, prepared.warnings)
    ]
    primary = primary_metric(table.problem)
    sign = -1.0 if greater_is_better(primary) else 1.0
    return sorted(judged, key=lambda one: sign * next(m.value for m in one.metrics if m.name == primary))


def _succeeded(candidates: Sequence[Candidate], warnings: list[str]) -> list[Candidate]:
    failures = [candidate for candidate in candidates if candidate.failure is not None]
    kept = [candidate for candidate in candidates if candidate.failure is None]
    learned = [candidate for candidate in kept if candidate.algorithm != "baseline"]
    if failures and not learned:
        assert failures[0].failure is not None
        raise failures[0].failure
    warnings.extend(one.failure.message for one in failures if one.failure is not None)
    return kept


def _serve(
    judged: Judged,
    prepared: _Prepared,
    conditions: Conditions,
    source: DatasetReference,
    storage: Storage,
    prefix: str,
    progress: TrainingProgress,
) -> dict[str, Any]:
    """Fit what is served, pack it, store it: the candidate's line of the outcome."""
    candidate = judged.candidate
    started = datetime.now(UTC)
    members = candidate.members or [fit_for_serving(candidate, prepared.table, conditions, progress.step)]
    key = f"{prefix}/{candidate.algorithm}"
    bundle_hash = pack(
        Pack(
            algorithm=candidate.algorithm,
            members=members,
            table=prepared.table,
            schema=prepared.schema,
            recipe=prepared.recipe,
            positive_class=prepared.target.positive_class,
            source=source,
            hyperparameters=candidate.hyperparameters,
            metrics=judged.metrics,
            evaluation=judged.evaluation,
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
        "evaluation": judged.evaluation,
        "bundle_key": key,
        "bundle_hash": bundle_hash,
    }


def _outcome(prepared: _Prepared, candidates: list[dict[str, Any]]) -> dict[str, Any]:
    problem = prepared.table.problem
    return {
        "problem": problem.value,
        "primary_metric": primary_metric(problem),
        "row_count": len(prepared.table.y),
        "classes": prepared.table.classes,
        "positive_class": prepared.target.positive_class,
        "left_out": [left.model_dump() for left in prepared.choice.left_out],
        "warnings": prepared.warnings,
        "candidates": candidates,
    }
