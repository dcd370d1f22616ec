"""Options that are written as NAME=VALUE or NAME@VERSION."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import typer


def kinds(pairs: Iterable[str]) -> dict[str, str]:
    """``amount=number`` and so on, as kinds by column."""
    from rowcast.datasets.schema import Kind

    chosen: dict[str, str] = {}
    for pair in pairs:
        column, sign, kind = pair.rpartition("=")
        if not sign or not column:
            raise typer.BadParameter(f"'{pair}' must be written as COLUMN=KIND.")
        if kind not in [*Kind]:
            raise typer.BadParameter(f"'{kind}' is not a kind. Kinds are {', '.join(Kind)}.")
        chosen[column] = kind
    return chosen


def versioned(reference: str) -> tuple[str, int | None]:
    """``name`` or ``name@3`` as a name and a number."""
    name, sign, number = reference.partition("@")
    if not sign or number == "latest":
        return name, None
    if not number.isdecimal():
        raise typer.BadParameter(f"'{reference}' must be written as NAME or NAME@NUMBER.")
    return name, int(number)


def hyperparameters(pairs: Iterable[str], algorithms: list[str] | None) -> dict[str, dict[str, Any]]:
    """``lightgbm.learning_rate=0.1`` as values by algorithm and name; the algorithm may be left out if there is one."""
    chosen: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        path, sign, value = pair.partition("=")
        algorithm, dot, name = path.rpartition(".")
        if not sign or not name:
            raise typer.BadParameter(f"'{pair}' must be written as ALGORITHM.NAME=VALUE.")
        if not dot:
            algorithm = _only(algorithms, pair)
        chosen.setdefault(algorithm, {})[name] = scalar(value)
    return chosen


def scalar(value: str) -> Any:
    """A number, true, false or null where it is written as one, else the text."""
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return value if isinstance(read, list | dict | str) else read


def _only(algorithms: list[str] | None, pair: str) -> str:
    if algorithms is None or len(algorithms) != 1:
        raise typer.BadParameter(f"'{pair}': write ALGORITHM.{pair}, or name one --algorithm.")
    return algorithms[0]
