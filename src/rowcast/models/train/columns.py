"""Which columns a model learns from, and why the others are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from rowcast.datasets.names import nearest
from rowcast.datasets.schema import TRAINABLE, FeatureSchema
from rowcast.datasets.views import TableProfile
from rowcast.errors import InvalidInput, Problem
from rowcast.models.recipe import Recipe
from rowcast.models.views import LeftOut

EVERY_COLUMN = "*"
"""Stands in ``optional`` for all features."""

_MOST_PROBLEMS = 100
_SHOWN = 100
"""Characters of an unknown name that are told."""


@dataclass(frozen=True)
class Choice:
    """The features in order, and every other column with the reason why it is none."""

    features: list[str]
    left_out: list[LeftOut]
    warnings: list[str]


def check_names(recipe: Recipe, schema: FeatureSchema) -> None:
    """Raise ``InvalidInput`` for columns that do not fit, as far as can be told without the rows.

    Codes: column_unknown, which names the first hundred that the table does not have; features_invalid for a feature
    that is the target; features_empty where none is left.
    """
    known = set(schema.names)
    unknown = ((name, place) for place, names in _mentioned(recipe).items() for name in names if name not in known)
    problems = [
        Problem(code="column_unknown", message=_unknown(name, place, schema.names), field=name[:_SHOWN])
        for name, place in islice(unknown, _MOST_PROBLEMS)
    ]
    if problems:
        raise InvalidInput("column_unknown", " ".join(problem.message for problem in problems), problems)
    _check_features(recipe, schema)


def _mentioned(recipe: Recipe) -> dict[str, list[str]]:
    return {
        "target": [recipe.target],
        "features": recipe.features or [],
        "include": recipe.include,
        "exclude": recipe.exclude,
        "optional": [name for name in recipe.optional if name != EVERY_COLUMN],
        "kinds": list(recipe.kinds),
        "time_column": [recipe.time_column] if recipe.time_column else [],
        "ensemble": [name for one in recipe.ensemble or () for name in one.features or ()],
    }


def _check_features(recipe: Recipe, schema: FeatureSchema) -> None:
    members = [set(one.features) for one in recipe.ensemble or () if one.features is not None]
    asked = set(recipe.include) if recipe.features is None else set(recipe.features) - set(recipe.exclude)
    if recipe.target in asked.union(*members):
        problem = _is_target(recipe.target)
        raise InvalidInput("features_invalid", problem.message, [problem])
    all_features = schema.names if recipe.features is None else recipe.features
    left = set(all_features) - set(recipe.exclude) - {recipe.target}
    if not left or not all(left & member for member in members):
        message = "No column is left to learn from. See to 'features', 'exclude' and the features of ensemble members."
        raise InvalidInput("features_empty", message)


def choose(recipe: Recipe, schema: FeatureSchema, profile: TableProfile) -> Choice:
    """The features that a recipe comes to: ``features`` as given, else all that the warnings do not exclude.

    Raises ``InvalidInput``: features_invalid for a feature that is the target or of a kind that cannot be learned
    from, features_empty when none is left.
    """
    if recipe.features is not None:
        chosen = [name for name in dict.fromkeys(recipe.features) if name not in recipe.exclude]
        _check_trainable(chosen, schema, recipe.target)
        others = [name for name in schema.names if name not in chosen and name != recipe.target]
        told = "not among the features asked for"
        not_asked = [LeftOut(column=name, reason=told, code="not_asked") for name in others]
        return _checked(Choice(chosen, not_asked, _used_in_spite(chosen, profile)))
    _check_trainable(recipe.include, schema, recipe.target)
    left_out = _left_out(recipe, schema, profile)
    chosen = [name for name in schema.names if name not in left_out and name != recipe.target]
    return _checked(Choice(chosen, [*left_out.values()], _used_in_spite(chosen, profile)))


def learned_from(choice: Choice, recipe: Recipe, schema: FeatureSchema) -> FeatureSchema:
    """The schema of the features, those that the recipe calls optional allowed to be missing."""
    chosen = schema.select(choice.features)
    optional = set(chosen.names if EVERY_COLUMN in recipe.optional else recipe.optional)
    relaxed = (
        feature.model_copy(update={"may_be_missing": True}) if feature.name in optional else feature
        for feature in chosen.features
    )
    return chosen.model_copy(update={"features": tuple(relaxed)})


def _left_out(recipe: Recipe, schema: FeatureSchema, profile: TableProfile) -> dict[str, LeftOut]:
    """By their names the columns that are not learned from."""
    excluded = {
        warning.column: warning for warning in profile.warnings if warning.exclude and warning.column is not None
    }
    left_out: dict[str, LeftOut] = {}
    for feature in schema.features:
        name, kind = feature.name, feature.kind.value
        if name == recipe.target:
            continue
        if name in recipe.exclude:
            left_out[name] = LeftOut(column=name, reason="left out as asked", code="as_asked")
        elif name in excluded and name not in recipe.include:
            warning = excluded[name]
            left_out[name] = LeftOut(column=name, reason=warning.message, code=warning.code, values=warning.values)
        elif feature.kind not in TRAINABLE:
            told = f"{kind} is not learned from; give another kind to use it"
            left_out[name] = LeftOut(column=name, reason=told, code="not_trainable", values={"kind": kind})
    return left_out


def _check_trainable(names: Iterable[str], schema: FeatureSchema, target: str) -> None:
    problems = []
    for name in names:
        feature = schema.feature(name)
        if name == target:
            problems.append(_is_target(name))
        elif feature is not None and feature.kind not in TRAINABLE:
            advice = f'give its kind to use it, as in "kinds": {{"{name}": "category"}}'
            problems.append(_problem(name, f"{name!r} is taken for {feature.kind.value}; {advice}."))
    if problems:
        raise InvalidInput("features_invalid", " ".join(problem.message for problem in problems), problems)


def _checked(choice: Choice) -> Choice:
    if choice.features:
        return choice
    why = " ".join(f"{left.column}: {left.reason.rstrip('.')}." for left in choice.left_out[:10])
    raise InvalidInput(
        "features_empty", f"No column is left to learn from. {why} Name some in 'features' or 'include'."
    )


def _used_in_spite(chosen: list[str], profile: TableProfile) -> list[str]:
    used = set(chosen)
    return [
        f"{warning.column} is learned from in spite of a warning: {warning.message}"
        for warning in profile.warnings
        if warning.exclude and warning.column in used
    ]


def _unknown(name: str, place: str, known: list[str]) -> str:
    near = nearest(name, known)
    meant = f" Did you mean {near!r}?" if near else ""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    return f"{place!r} names the column {shown!r}, which the table does not have.{meant}"


def _is_target(name: str) -> Problem:
    return _problem(name, f"{name!r} is the target, so it cannot be a feature.")


def _problem(name: str, message: str) -> Problem:
    return Problem(code="features_invalid", message=message, field=name)
