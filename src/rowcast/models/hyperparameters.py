"""Hyperparameters as forms and JSON send them, made into the numbers that an algorithm takes, or a clear error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from rowcast.errors import InvalidInput, Problem
from rowcast.models.algorithms import learner_of
from rowcast.models.views import Hyperparameter

_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})

Value = float | int | bool | str | None


def resolve(algorithm: str, given: Mapping[str, Any]) -> dict[str, Value]:
    """Every hyperparameter of the algorithm: as given (text is read), else its default; None is automatic.

    Raises ``InvalidInput("hyperparameter_invalid")`` with a problem for each value at fault.
    """
    known = {knob.name: knob for knob in learner_of(algorithm).describe().hyperparameters}
    values: dict[str, Value] = {name: knob.default for name, knob in known.items()}
    problems = []
    for name, raw in given.items():
        knob = known.get(name)
        message = _unknown(algorithm, name, list(known)) if knob is None else None
        if knob is not None:
            try:
                values[name] = _read(knob, raw)
            except ValueError as error:
                message = str(error)
        if message:
            problems.append(Problem(code="hyperparameter_invalid", message=message, field=f"{algorithm}.{name}"))
    if problems:
        text = " ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise InvalidInput("hyperparameter_invalid", text, problems)
    return values


def _unknown(algorithm: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name.strip().lower(), known, n=1, cutoff=0.5)
    if near:
        return f"There is no such hyperparameter. Did you mean {near[0]!r}?"
    have = f"it has {', '.join(known)}" if known else "it has none"
    return f"There is no such hyperparameter of {algorithm}; {have}."


def _read(knob: Hyperparameter, raw: Any) -> Value:
    text = raw.strip() if isinstance(raw, str) else raw
    if text is None or text == "":
        return knob.default
    if knob.type == "boolean":
        return _read_boolean(text)
    if knob.type == "choice":
        return _read_choice(knob, text)
    number = _read_number(text)
    if number is None or (knob.type == "integer" and number != int(number)) or not _within(knob, number):
        raise ValueError(f"Give {_wanted(knob)}.")
    return int(number) if knob.type == "integer" else number


def _read_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).casefold()
    if word not in _YES | _NO:
        raise ValueError("Give true or false.")
    return word in _YES


def _read_choice(knob: Hyperparameter, value: Any) -> str:
    if value not in knob.choices:
        raise ValueError(f"Give one of {', '.join(knob.choices)}.")
    return str(value)


def _within(knob: Hyperparameter, number: float) -> bool:
    low = -math.inf if knob.minimum is None else knob.minimum
    return low <= number <= (math.inf if knob.maximum is None else knob.maximum)


def _wanted(knob: Hyperparameter) -> str:
    kind = "a whole number" if knob.type == "integer" else "a number"
    if knob.minimum is None or knob.maximum is None:
        return kind
    return f"{kind} from {knob.minimum:g} to {knob.maximum:g}"
