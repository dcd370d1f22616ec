"""The target: what kind of problem a column poses, and its values as class codes or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Kind
from rowcast.errors import InvalidInput
from rowcast.errors import Problem as Fault
from rowcast.models.encode.inputs import Indices
from rowcast.models.recipe import Problem, Recipe

MOST_CLASSES = 20
"""More labels than this are taken for a mistake unless the recipe says that they are classes."""
_MOST_ASKED_CLASSES = 200
_FEWEST_ROWS = 10


@dataclass(frozen=True)
class WrittenTarget:
    """The target's column as read: ``numbers`` [N] with NaN for missing, if it has any, and ``labels`` or None.

    ``yes`` are the labels of a flag that mean yes.
    """

    kind: Kind
    numbers: NDArray[np.float64] | None
    labels: NDArray[Any] | None
    yes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Target:
    """``rows`` are those of the table that can be used; ``y`` holds their class codes (int64) or numbers (float64)."""

    problem: Problem
    y: NDArray[Any]
    rows: Indices
    classes: list[str]
    positive_class: str | None
    warnings: list[str]

    @property
    def of_classes(self) -> bool:
        return self.problem is not Problem.REGRESSION


def read_target(written: WrittenTarget, recipe: Recipe) -> Target:
    """The target of the rows that can be used.

    Raises ``InvalidInput`` when nothing can be learned: target_kind, target_constant, target_too_many_classes,
    target_not_binary, target_not_number, positive_class_unknown or too_few_rows.
    """
    if written.kind is Kind.DATE:
        raise _refused("target_kind", recipe, "holds dates, which cannot be predicted; choose another target.")
    problem = recipe.problem or _infer(written, recipe)
    target = _numbers(written, recipe) if problem is Problem.REGRESSION else _classes(written, recipe, problem)
    if len(target.rows) < _FEWEST_ROWS:
        raise _refused(
            "too_few_rows", recipe, f"is known in {len(target.rows)} usable rows; at least {_FEWEST_ROWS} are needed."
        )
    return target


def _infer(written: WrittenTarget, recipe: Recipe) -> Problem:
    if written.numbers is not None and written.kind is Kind.NUMBER:
        known = written.numbers[~np.isnan(written.numbers)]
        distinct = np.unique(known)
        if len(distinct) <= 2:
            return Problem.BINARY
        whole = bool((distinct == np.floor(distinct)).all())
        return Problem.MULTICLASS if whole and len(distinct) <= MOST_CLASSES else Problem.REGRESSION
    labels = _known_labels(written)
    if len(labels) > MOST_CLASSES:
        raise _refused(
            "target_too_many_classes",
            recipe,
            f"has {len(labels)} different labels. If they are classes, give problem 'multiclass'; if they are numbers, "
            "give its kind as 'number'; else choose another target.",
        )
    return Problem.BINARY if len(labels) <= 2 else Problem.MULTICLASS


def _known_labels(written: WrittenTarget) -> list[str]:
    assert written.labels is not None
    return sorted({label for label in written.labels.tolist() if label})


def _numbers(written: WrittenTarget, recipe: Recipe) -> Target:
    if written.numbers is None or written.kind is not Kind.NUMBER:
        raise _refused("target_not_number", recipe, "does not hold numbers, so problem 'regression' does not fit it.")
    if recipe.positive_class is not None:
        raise _refused_positive("'positive_class' is for a target of two classes, and this one is a number.")
    rows = np.flatnonzero(~np.isnan(written.numbers))
    y = written.numbers[rows]
    if not len(rows) or y.min() == y.max():
        what = "has the same value in every row" if len(rows) else "has no values"
        raise _refused("target_constant", recipe, f"{what}, so there is nothing to learn.")
    return Target(Problem.REGRESSION, y, rows, [], None, _dropped(len(written.numbers) - len(rows), recipe))


def _classes(written: WrittenTarget, recipe: Recipe, problem: Problem) -> Target:
    labels = written.labels if written.numbers is None else _as_labels(written.numbers)
    assert labels is not None
    names, codes = np.unique(labels.astype(str), return_inverse=True)
    counts = np.bincount(codes)
    known = np.array([name != "" for name in names])
    if int(known.sum()) < 2:
        what = "has one class only" if known.any() else "has no values"
        raise _refused("target_constant", recipe, f"{what}, so there is nothing to learn.")
    kept, lost = _learnable(names, counts, known, recipe)
    missing = int(counts[~known].sum())
    if problem is Problem.BINARY and len(kept) != 2:
        raise _refused("target_not_binary", recipe, f"has {len(kept)} classes; problem 'binary' needs two.")
    if len(kept) > _MOST_ASKED_CLASSES:
        raise _refused(
            "target_too_many_classes", recipe, f"has {len(kept)} classes; {_MOST_ASKED_CLASSES} are the most."
        )
    ordered = _ordered(names, counts, kept, recipe, written.yes)
    code_of = np.full(len(names), -1, dtype=np.int64)
    code_of[ordered] = np.arange(len(ordered))
    rows = np.flatnonzero(code_of[codes] >= 0)
    classes = [str(names[i]) for i in ordered]
    solved = Problem.BINARY if len(classes) == 2 else Problem.MULTICLASS
    return Target(
        problem=solved,
        y=code_of[codes][rows],
        rows=rows,
        classes=classes,
        positive_class=classes[1] if solved is Problem.BINARY else None,
        warnings=_dropped(missing, recipe) + lost,
    )


def more_of(
    written: WrittenTarget, problem: Problem, classes: Sequence[str], yes: int | None
) -> tuple[NDArray[Any], Indices]:
    """Class codes or numbers of further rows of a column whose classes are known, and which rows these are: all but
    those without a value, or of another class. ``yes`` is the class of a flag that means yes, however it is spelled."""
    if problem is Problem.REGRESSION:
        assert written.numbers is not None
        rows = np.flatnonzero(~np.isnan(written.numbers))
        return written.numbers[rows], rows
    labels = written.labels if written.numbers is None else _as_labels(written.numbers)
    assert labels is not None
    names, places = np.unique(labels.astype(str), return_inverse=True)
    known = {name: code for code, name in enumerate(classes)}
    if yes is not None:
        known = {name: yes if name in written.yes else 1 - yes for name in names if name}
    codes = np.array([known.get(name, -1) for name in names], dtype=np.int64)[places]
    rows = np.flatnonzero(codes >= 0)
    return codes[rows], rows


def _as_labels(numbers: NDArray[np.float64]) -> NDArray[Any]:
    distinct, codes = np.unique(numbers, return_inverse=True)
    texts = [
        "" if np.isnan(n) else str(int(n)) if n == np.floor(n) and abs(n) < 1e15 else repr(float(n)) for n in distinct
    ]
    return np.array(texts, dtype=object)[codes]


def _learnable(
    names: NDArray[Any], counts: NDArray[np.int64], known: NDArray[np.bool_], recipe: Recipe
) -> tuple[list[int], list[str]]:
    """Classes with two rows or more: one row cannot be both learned from and tested."""
    kept = np.flatnonzero(known & (counts >= 2)).tolist()
    alone = int((known & (counts < 2)).sum())
    if len(kept) < 2:
        raise _refused("target_constant", recipe, "has fewer than two classes with at least two rows each.")
    if not alone:
        return kept, []
    return kept, [f"{alone} classes of {recipe.target!r} with a single row were left out, with their rows."]


def _ordered(
    names: NDArray[Any], counts: NDArray[np.int64], kept: list[int], recipe: Recipe, yes: frozenset[str]
) -> list[int]:
    """Two classes: negative, positive, which is yes if one is, else the rarer. More: by number or else by name."""
    if len(kept) > 2:
        if recipe.positive_class is not None:
            raise _refused_positive(f"'positive_class' is for a target of two classes, and this one has {len(kept)}.")
        return sorted(kept, key=lambda i: _sort_key(str(names[i])))
    if recipe.positive_class is None:
        return sorted(kept, key=lambda i: (names[i] in yes, -counts[i], names[i]))
    wanted = recipe.positive_class.strip()
    if wanted not in {names[i] for i in kept}:
        raise _refused_positive(
            f"'positive_class' is not one of the two classes of {recipe.target!r}; write it as it stands in the table."
        )
    return sorted(kept, key=lambda i: names[i] == wanted)


def _sort_key(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _dropped(missing: int, recipe: Recipe) -> list[str]:
    return [f"{missing} rows without a value in {recipe.target!r} were left out."] if missing else []


def _refused(code: str, recipe: Recipe, what: str) -> InvalidInput:
    message = f"The target {recipe.target!r} {what}"
    return InvalidInput(code, message, [Fault(code=code, message=message, field=recipe.target)])


def _refused_positive(message: str) -> InvalidInput:
    code = "positive_class_unknown"
    return InvalidInput(code, message, [Fault(code=code, message=message, field="positive_class")])


def scaled(y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Numbers brought to mean 0 and deviation 1, with that mean and deviation."""
    center, spread = float(y.mean()), float(y.std()) or 1.0
    return (y - center) / spread, center, spread
