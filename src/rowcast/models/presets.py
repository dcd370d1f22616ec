"""How much work a training does: algorithms, folds and what is served, by preset unless the recipe says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from rowcast.errors import InvalidInput, Problem
from rowcast.models.algorithms import learner_of
from rowcast.models.hyperparameters import resolve
from rowcast.models.recipe import EnsembleMember, Preset, Recipe

_ALGORITHMS = {
    Preset.FAST: ("lightgbm",),
    Preset.BALANCED: ("baseline", "linear", "lightgbm"),
    Preset.BEST: ("baseline", "linear", "random_forest", "lightgbm", "xgboost", "catboost"),
}
_FOLDS = {Preset.FAST: 3, Preset.BALANCED: 5, Preset.BEST: 5}
_ROUNDING = 1e-6
"""By which the weights of an ensemble may miss 1."""

_BOTH = ("ensemble_and_algorithms", "Give 'algorithms' or 'ensemble', not both.")
_WEIGHTS = ("ensemble_weights", "The weights of an ensemble's members must add up to 1.")

_HOLD_OUT_ROWS = 500_000
"""Beyond this one hold-out is enough for the fast preset: its interval is narrow."""


@dataclass(frozen=True)
class Plan:
    """What a recipe comes to. ``hyperparameters`` are complete, by algorithm; None is automatic."""

    algorithms: tuple[str, ...]
    """None when the recipe is an ensemble."""

    ensemble: tuple[EnsembleMember, ...]
    hyperparameters: dict[str, dict[str, Any]]
    folds: int
    folds_asked_for: bool
    average_folds: bool
    """Serve the mean of the fold models instead of one model fitted on all rows."""

    hold_out_beyond: float
    """Tables with more rows get one hold-out of a tenth instead of folds."""


def plan(recipe: Recipe) -> Plan:
    """The work a recipe asks for.

    Cheap, so that a door can refuse a recipe at once: raises ``InvalidInput`` with code algorithm_unknown,
    algorithms_empty, ensemble_and_algorithms, ensemble_weights, hyperparameter_invalid or hyperparameter_unused.
    """
    ensemble = _ensemble(recipe)
    chosen = _ALGORITHMS[recipe.preset] if recipe.algorithms is None else tuple(dict.fromkeys(recipe.algorithms))
    chosen = () if ensemble else chosen
    if not chosen and not ensemble:
        raise InvalidInput("algorithms_empty", "Name at least one algorithm, or leave 'algorithms' out.")
    for name in (*chosen, *recipe.hyperparameters):
        learner_of(name)
    _refuse_unused(recipe, chosen)
    return Plan(
        algorithms=chosen,
        ensemble=ensemble,
        hyperparameters={name: resolve(name, recipe.hyperparameters.get(name, {})) for name in chosen},
        folds=recipe.folds or _FOLDS[recipe.preset],
        folds_asked_for=recipe.folds is not None,
        average_folds=recipe.preset is Preset.BEST,
        hold_out_beyond=_HOLD_OUT_ROWS if recipe.preset is Preset.FAST and recipe.folds is None else inf,
    )


def shared_algorithms(recipe: Recipe) -> tuple[str, ...]:
    """The algorithms of a recipe that several processes can learn together, each from a share of the rows: of a
    preset's those that can, else all that it names. None when it asks for anything that needs all rows at once."""
    work = plan(recipe)
    able = tuple(name for name in work.algorithms if learner_of(name).shared)
    others = set(work.algorithms) - set(able)
    named = others if recipe.algorithms is not None else {name for name in others if recipe.hyperparameters.get(name)}
    return () if work.ensemble or recipe.time_column or named else able


def _ensemble(recipe: Recipe) -> tuple[EnsembleMember, ...]:
    """The members with complete hyperparameters."""
    if recipe.ensemble and recipe.algorithms:
        raise InvalidInput(*_BOTH, _problems(*_BOTH))
    if recipe.ensemble and abs(sum(one.weight for one in recipe.ensemble) - 1) > _ROUNDING:
        raise InvalidInput(*_WEIGHTS, _problems(*_WEIGHTS))
    return tuple(
        one.model_copy(update={"hyperparameters": resolve(one.algorithm, one.hyperparameters)})
        for one in recipe.ensemble or ()
    )


def _problems(code: str, message: str) -> list[Problem]:
    return [Problem(code=code, message=message, field="ensemble")]


def _refuse_unused(recipe: Recipe, chosen: tuple[str, ...]) -> None:
    unused = [name for name in recipe.hyperparameters if name not in chosen and recipe.hyperparameters[name]]
    if not unused:
        return
    message = (
        f"Hyperparameters are given for {', '.join(unused)}, which is not among the algorithms: add it or drop them."
    )
    problems = [Problem(code="hyperparameter_unused", message=message, field=name) for name in unused]
    raise InvalidInput("hyperparameter_unused", message, problems)
