"""A policy put together on the command line: from a file or the one in force, with what the options change in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rowcast.models.decide.policy import Policy

if TYPE_CHECKING:
    from rowcast.client import Client


@dataclass(frozen=True)
class Options:
    """What was written; None where nothing was."""

    file: Path | None = None
    yellow: float | None = None
    red: float | None = None
    of: str | None = None
    high: str | None = None
    measure: str | None = None
    good: str | None = None
    bad: str | None = None
    best: bool = False

    @property
    def bands(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("of", "high", "measure", "yellow", "red")}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def empty(self) -> bool:
        return self == Options()


def draft(client: Client, model: str, options: Options, start: Policy) -> Policy:
    """The policy that ``start``, or the file in its place, becomes by the options.

    Raises:
        InvalidInput: the file or what came of it is no policy.
    """
    fields = start.model_dump(mode="json", exclude_none=True) if options.file is None else read_policy(options.file)
    bands = dict(fields.get("bands") or {})
    if options.good is not None or options.bad is not None:
        fields["payoff"] = _payoff(client, model, options, bands)
    if options.bands or options.best:
        fields["bands"] = bands | options.bands
    if options.best:
        fields["bands"] |= _best(client, model, fields)
    elif options.bands and not {"yellow", "red"} & fields["bands"].keys():
        raise typer.BadParameter("Give the thresholds, too: --yellow and --red, or --best.")
    _complete(fields)
    return checked(fields)


def read_policy(path: Path) -> dict[str, Any]:
    """The policy in a YAML or JSON file, not looked into yet.

    Raises:
        InvalidInput: the file cannot be read, or holds something else.
    """
    import yaml

    from rowcast.errors import InvalidInput

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InvalidInput("policy_unreadable", f"{path} is not YAML or JSON.") from None
    if not isinstance(read, dict) or not all(isinstance(part, dict | None) for part in read.values()):
        raise InvalidInput("policy_unreadable", f"{path} must hold a policy: 'bands', 'payoff' or both.")
    return {str(name): part for name, part in read.items() if part is not None}


def checked(fields: dict[str, Any]) -> Policy:
    """The fields as a policy.

    Raises:
        InvalidInput: they are none; the problems name the fields.
    """
    from rowcast.client.answers import request_of

    return Policy.model_validate(request_of(Policy, None, fields))


def amount(text: str) -> Any:
    """``120``, ``Price`` or ``0.1*Price`` as an amount."""
    factor, star, column = text.partition("*")
    try:
        return {"column": column.strip(), "times": float(factor)} if star else float(text)
    except ValueError:
        return {"column": text.strip()}


def _payoff(client: Client, model: str, options: Options, bands: dict[str, Any]) -> dict[str, Any]:
    if options.good is None or options.bad is None:
        raise typer.BadParameter("Give both --good and --bad: what accepting a good and a bad case earns.")
    good, bad = _good_and_bad(client.models.version(model).classes, bands | options.bands)
    return {"accept": {good: amount(options.good), bad: amount(options.bad)}}


def _good_and_bad(classes: Sequence[str], bands: dict[str, Any]) -> tuple[str, str]:
    """Of two classes the good and the bad one: what is decided on is bad where a high probability is red."""
    if len(classes) != 2:
        raise typer.BadParameter("--good and --bad are for two classes: write the payoff of others into a --file.")
    of = bands.get("of") or classes[1]
    other = classes[0] if of == classes[1] else classes[1]
    return (of, other) if bands.get("high") == "green" else (other, of)


def _best(client: Client, model: str, fields: dict[str, Any]) -> dict[str, float]:
    """Both thresholds where the profit of held-out cases is highest."""
    if not fields.get("payoff"):
        raise typer.BadParameter("--best needs to know what cases earn: --good and --bad, or a payoff in --file.")
    tried = fields | {"bands": fields["bands"] | {"yellow": 0.5, "red": 0.5}}
    curve = client.policies.preview(model, checked(tried)).profit
    if curve is None or curve.best.threshold is None:
        raise typer.BadParameter("--best needs a class whose probability decides: --of CLASS.")
    return {"yellow": curve.best.threshold, "red": curve.best.threshold}


def _complete(fields: dict[str, Any]) -> None:
    """A threshold that is given alone is both, so that nothing is yellow."""
    bands = fields.get("bands")
    if bands:
        bands.setdefault("red", bands.get("yellow"))
        bands.setdefault("yellow", bands.get("red"))
