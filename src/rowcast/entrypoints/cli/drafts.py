"""A policy put together on the command line: from a file or the one in force, with what the options change in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rowcast.models.decide.policy import Policy

if TYPE_CHECKING:
    from rowcast.client import Client


_FACTOR = r"\s*(?P<factor>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)\s*(?P<percent>%)?"
_TIMES = re.compile(_FACTOR + r"(?:\s*\*\s*|\s+of\s+)(?P<column>.*\S)\s*", re.DOTALL)
_BEGINS_WITH_A_NUMBER = re.compile(_FACTOR + r"(?:(?<=%)|\s)")


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


def draft(client: Client, model: str, options: Options, start: Policy, version: int | None = None) -> Policy:
    """The policy that ``start``, or the file in its place, becomes by the options. What must be looked up for that
    is of the ``version``, by default the champion.

    Raises:
        InvalidInput: the file or what came of it is no policy.
    """
    fields = start.model_dump(mode="json", exclude_none=True) if options.file is None else read_policy(options.file)
    bands = _comparable(dict(fields.get("bands") or {}), options.measure)
    if options.good is not None or options.bad is not None:
        classes = client.models.version(model, version).classes
        fields["payoff"] = _payoff(options, classes, bands | options.bands, fields.get("payoff"))
    if options.bands or options.best:
        fields["bands"] = bands | options.bands
    if options.best:
        fields["bands"] |= _best(client, model, fields, version)
    elif options.bands and fields["bands"].get("measure") != "profit" and not _has_threshold(fields["bands"]):
        raise typer.BadParameter("Give the thresholds, too: --yellow and --red, or --best.")
    return checked(fields)


def _has_threshold(bands: dict[str, Any]) -> bool:
    return not bands.keys().isdisjoint(("yellow", "red"))


def _comparable(bands: dict[str, Any], measure: str | None) -> dict[str, Any]:
    """The bands without what means nothing for another measure: thresholds, and on which side is green."""
    if measure is None or measure == bands.get("measure"):
        return bands
    return {name: value for name, value in bands.items() if name == "of"}


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
    """``120``, ``Price``, ``0.1*Price``, ``10%*Price`` or ``10% of Price`` as an amount."""
    try:
        return float(text)
    except ValueError:
        pass
    found = _TIMES.fullmatch(text)
    if found is not None:
        return {"column": found["column"], "times": float(found["factor"]) / (100 if found["percent"] else 1)}
    if _BEGINS_WITH_A_NUMBER.match(text):
        raise typer.BadParameter(
            f"'{text}' is no amount. Write a sum such as 120, a column such as Price, or a column times a factor such "
            "as 0.2*Price or 20%*Price; what else there is goes into a --file."
        )
    return {"column": text.strip()}


def _payoff(
    options: Options, classes: Sequence[str], bands: dict[str, Any], before: dict[str, Any] | None
) -> dict[str, Any]:
    if options.good is None or options.bad is None:
        raise typer.BadParameter("Give both --good and --bad: what accepting a good and a bad case earns.")
    good, bad = _good_and_bad(classes, bands, before)
    return {"accept": {good: amount(options.good), bad: amount(options.bad)}}


def _good_and_bad(classes: Sequence[str], bands: dict[str, Any], before: dict[str, Any] | None) -> tuple[str, str]:
    """Of two classes the good and the bad one: what is decided on is bad where a high probability is red. Where a
    profit is decided on, whose high is always green, they are what they were in the payoff ``before``."""
    if len(classes) != 2:
        raise typer.BadParameter("--good and --bad are for two classes: write the payoff of others into a --file.")
    of = bands.get("of") or classes[1]
    other = classes[0] if of == classes[1] else classes[1]
    if bands.get("measure") == "profit":
        return (of, other) if _best_before(before) == of else (other, of)
    return (of, other) if bands.get("high") == "green" else (other, of)


def _best_before(payoff: dict[str, Any] | None) -> str | None:
    """The class whose cases earned most, as far as the factors of its amounts tell."""
    if payoff is None:
        return None
    if payoff.get("credit"):
        return str(payoff["credit"]["good"])
    worth: dict[str, float] = {
        name: given["times"] if isinstance(given, dict) else given for name, given in payoff["accept"].items()
    }
    return max(worth, key=lambda name: worth[name])


def _best(client: Client, model: str, fields: dict[str, Any], version: int | None) -> dict[str, float]:
    """Both thresholds where held-out cases are expected to earn most."""
    if fields["bands"].get("measure") == "profit":
        raise typer.BadParameter("--best is a threshold of the probability: add --measure probability.")
    if not fields.get("payoff"):
        raise typer.BadParameter("--best needs to know what cases earn: --good and --bad, or a payoff in --file.")
    tried = fields | {"bands": fields["bands"] | {"yellow": 0.5, "red": 0.5}}
    curve = client.policies.preview(model, checked(tried), version=version).profit
    if curve is None or curve.best.threshold is None:
        raise typer.BadParameter("--best needs a class whose probability decides: --of CLASS.")
    return {"yellow": curve.best.threshold, "red": curve.best.threshold}
