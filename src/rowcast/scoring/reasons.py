"""Reasons: which features made an answer what it is, strongest first, in numbers and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from rowcast.datasets.schema import Feature
from rowcast.scoring.banding import Band, Similar

MOST_CODES = 4
"""Reason codes of one answer: more would say little (as in the official commentary on Regulation B, 12 CFR 1002.9)."""
_STRONG, _SLIGHT = 0.25, 0.05
"""Shares of all that the features add and take away together."""
_LONGEST_MEANING = 60
_NEGLIGIBLE = 1e-9

Method = Literal["contributions", "occlusion"]
Unit = Literal["log_odds", "probability", "number"]


class Reason(msgspec.Struct, omit_defaults=True):
    """``views.Reason``."""

    feature: str
    code: str
    contribution: float
    direction: Literal["raises", "lowers"]
    sentence: str
    value: Any = None
    description: str | None = None


class Explanation(msgspec.Struct, omit_defaults=True):
    """``views.Explanation``."""

    method: Method
    of: str
    unit: Unit
    reasons: list[Reason]
    reason_codes: list[str]
    base: float | None = None
    score: float | None = None
    rest: float | None = None
    band: Band | None = None
    similar: Similar | None = None


@dataclass(frozen=True)
class Wording:
    """What an explanation is about: the target, and the class whose chance is explained or None for a number."""

    target: str
    of: str | None
    method: Method
    typical: Mapping[str, Any]


def explanation(
    features: Sequence[Feature],
    amounts: Sequence[float],
    row: Mapping[str, Any],
    wording: Wording,
    most: int | None,
    base: float | None,
) -> Explanation:
    """The strongest ``most`` reasons (None: all) from what each feature contributes to one row's answer.

    With a ``base`` the contributions add up: base + those of the reasons + ``rest`` = score.
    """
    order = sorted(range(len(amounts)), key=lambda position: -abs(amounts[position]))
    scale = sum(map(abs, amounts))
    telling = [position for position in order if abs(amounts[position]) > _NEGLIGIBLE * scale]
    shown = telling[:most]
    reasons = [_reason(features[i], amounts[i], row.get(features[i].name), scale, wording) for i in shown]
    raising = [code_of(features[i].name) for i in telling if amounts[i] > 0][:MOST_CODES]
    found = Explanation(
        method=wording.method,
        of=wording.of if wording.of is not None else wording.target,
        unit=_unit(wording),
        reasons=reasons,
        reason_codes=raising if wording.of is not None else [],
    )
    if base is not None:
        found.base, found.score = base, base + sum(amounts)
        found.rest = found.score - base - sum(reason.contribution for reason in reasons)
    return found


def code_of(feature: str) -> str:
    """The reason code of a feature: its name in capitals, with '_' for whatever is neither letter nor digit."""
    return re.sub(r"[\W_]+", "_", feature).strip("_").upper() or "FEATURE"


def _unit(wording: Wording) -> Unit:
    if wording.of is None:
        return "number"
    return "log_odds" if wording.method == "contributions" else "probability"


def _reason(feature: Feature, amount: float, value: Any, scale: float, wording: Wording) -> Reason:
    return Reason(
        feature=feature.name,
        code=code_of(feature.name),
        contribution=amount,
        direction="raises" if amount > 0 else "lowers",
        sentence=_sentence(feature, amount, value, scale, wording),
        value=value,
        description=feature.description,
    )


def _sentence(feature: Feature, amount: float, value: Any, scale: float, wording: Wording) -> str:
    known = value is not None and str(value).strip() != ""
    subject = f"{_named(feature)} is {str(value).strip() if known else 'not known'}"
    if wording.method == "occlusion":
        return f"{subject}; {_with_typical(feature, amount, wording)}"
    if wording.of is None:
        moved = f"adds {_number(amount)} to" if amount > 0 else f"takes {_number(-amount)} off"
        return f"{subject}, which {moved} {wording.target}."
    share = abs(amount) / scale
    strength = "strongly " if share >= _STRONG else "slightly " if share < _SLIGHT else ""
    return f"{subject}, which {strength}{'raises' if amount > 0 else 'lowers'} the probability of {wording.of}."


def _with_typical(feature: Feature, amount: float, wording: Wording) -> str:
    typical = wording.typical.get(feature.name)
    usual = "a typical value" if typical is None else f"a typical value ({typical})"
    way = "lower" if amount > 0 else "higher"
    if wording.of is None:
        return f"with {usual} {wording.target} would be {_number(abs(amount))} {way}."
    return f"with {usual} the probability of {wording.of} would be {100 * abs(amount):.1f} points {way}."


def _named(feature: Feature) -> str:
    """The name, with what the dictionary says it means where that is short."""
    meaning = re.split(r"[;.(]", feature.description or "")[0].strip()
    return f"{feature.name} ({meaning})" if 0 < len(meaning) <= _LONGEST_MEANING else feature.name


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10_000 else f"{amount:,.4g}"
