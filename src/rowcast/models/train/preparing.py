"""A recipe brought together with its table: what is learned from, what is learned, and why the rest is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.profile.profiling import profile
from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.errors import InvalidInput, Problem
from rowcast.models.encode.inputs import Indices, take
from rowcast.models.presets import Plan, plan
from rowcast.models.recipe import Recipe
from rowcast.models.train.candidates import Table
from rowcast.models.train.columns import Choice, check_names, choose, learned_from
from rowcast.models.train.kinds import with_kinds
from rowcast.models.train.reading import read_inputs, read_moments, read_target
from rowcast.models.train.repeats import repeats_warning
from rowcast.models.train.target import Target
from rowcast.models.train.target import read_target as target_of

Tell = Callable[[str, float], None]
"""Told what is going on, and the fraction of the preparation."""


@dataclass(frozen=True)
class Prepared:
    """A recipe brought together with its table. ``moments`` are those of the time column, if there is one."""

    recipe: Recipe
    plan: Plan
    schema: FeatureSchema
    choice: Choice
    target: Target
    table: Table
    moments: NDArray[np.float64] | None
    warnings: list[str]
    learned_rows: int | None = None
    """Where the table is but a sample: how many rows are learned from."""

    @property
    def row_count(self) -> int:
        return len(self.table.y) if self.learned_rows is None else self.learned_rows

    def take(self, rows: Indices) -> Prepared:
        """The same with these of the rows that it uses."""
        return replace(
            self,
            table=self.table.take(rows),
            target=replace(self.target, y=self.target.y[rows], rows=self.target.rows[rows]),
            moments=None if self.moments is None else self.moments[rows],
        )


def prepare(path: Path, recipe: Recipe, schema: FeatureSchema, tell: Tell) -> Prepared:
    """Raises ``InvalidInput`` for a recipe that does not fit the table."""
    work = plan(recipe)
    check_names(recipe, schema)
    tell("reading the target", 0.0)
    schema = with_kinds(path, schema, recipe.kinds)
    target = target_of(read_target(path, schema, recipe.target), recipe)
    tell("looking for leaks and identifiers", 0.2)
    choice = choose(recipe, schema, profile(path, _to_profile(recipe, schema), recipe.target))
    tell("reading the features", 0.7)
    features = learned_from(choice, recipe, schema)
    table = Table(
        features=features.features,
        inputs=take(read_inputs(path, features), target.rows),
        y=target.y,
        problem=target.problem,
        classes=target.classes,
    )
    moments = _moments(path, recipe, schema)
    prepared = Prepared(
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


def _without_unknown_moments(prepared: Prepared) -> Prepared:
    assert prepared.moments is not None
    known = np.flatnonzero(~np.isnan(prepared.moments))
    unknown = len(prepared.moments) - len(known)
    if not unknown:
        return prepared
    warning = f"{unknown} rows without a value in {prepared.recipe.time_column!r} were left out."
    return replace(prepared.take(known), warnings=[*prepared.warnings, warning])
