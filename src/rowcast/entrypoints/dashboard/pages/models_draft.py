"""A policy as the fields of a form have it, and back: plain reckoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.models.decide.policy import Amount, Bands, ColumnAmount, Payoff, Policy

PayoffKind = Literal["none", "matrix", "credit"]


@dataclass(frozen=True)
class AmountDraft:
    """An amount in a form: a number, or with a ``column`` what that is multiplied by, and what is added then."""

    column: str | None = None
    number: float | None = None
    plus: float = 0.0

    @staticmethod
    def of(amount: Amount | None) -> AmountDraft:
        if isinstance(amount, ColumnAmount):
            return AmountDraft(amount.column, amount.times, amount.plus)
        return AmountDraft(number=amount)

    @property
    def field(self) -> Any:
        """As a policy takes it; None where nothing was given."""
        if self.number is None:
            return None
        if self.column is None:
            return self.number
        return {"column": self.column, "times": self.number, "plus": self.plus}


def bands_fields(
    measure: str, of: str | None, thresholds: tuple[float, float], high: Literal["red", "green"]
) -> dict[str, Any]:
    """Bands from both thresholds, the lower first: which of them is yellow depends on what a high measure means."""
    low, top = thresholds
    yellow, red = (low, top) if high == "red" else (top, low)
    fields = {"measure": measure, "yellow": yellow, "red": red, "high": high}
    return fields if of is None or measure not in ("probability", "profit") else fields | {"of": of}


def kind_of(payoff: Payoff | None) -> PayoffKind:
    if payoff is None:
        return "none"
    return "matrix" if payoff.credit is None else "credit"


def matrix_fields(accept: Mapping[str, AmountDraft], decline: Mapping[str, AmountDraft]) -> dict[str, Any] | None:
    """A payoff of what accepting and declining each class earns; None while an amount of accepting is not given."""
    accepted = {name: draft.field for name, draft in accept.items()}
    if any(field is None for field in accepted.values()):
        return None
    declined = {name: draft.field for name, draft in decline.items() if draft.field not in (None, 0.0)}
    return {"accept": accepted} | ({"decline": declined} if declined else {})


def credit_fields(
    good: str, bad: str, terms: Mapping[str, AmountDraft], decline: Payoff | None
) -> dict[str, Any] | None:
    """A payoff of loans; None while a term is not given. What declining earns stays as it is in ``decline``."""
    fields = {name: draft.field for name, draft in terms.items()}
    if good == bad or any(field is None for field in fields.values()):
        return None
    kept = decline.model_dump(mode="json")["decline"] if decline is not None else {}
    return {"credit": {"good": good, "bad": bad, **fields}} | ({"decline": kept} if kept else {})


def columns_for_amounts(schemas: Sequence[FeatureSchema], policy: Policy) -> list[str]:
    """The columns that amounts can be read from: those of numbers, and those that the policy reads already."""
    names = [feature.name for schema in schemas for feature in schema.features if feature.kind is Kind.NUMBER]
    return list(dict.fromkeys([*names, *policy.columns]))


def default_bands(classes: Sequence[str], positive: str | None) -> Bands:
    """Where to begin when there are none yet: a risk of 15 % and 30 %; of numbers there is nothing to begin with."""
    if not classes:
        return Bands(measure="value", yellow=0.0, red=0.0)
    return Bands(of=positive or classes[-1], measure="probability", yellow=0.15, red=0.3)
