"""Policies and decisions in words: the colour and where it begins and ends, and what a case earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rowcast.models.decide.policy import Amount, Bands, ColumnAmount, Payoff, Policy

if TYPE_CHECKING:
    from rowcast.scoring.views import Prediction

_MEASURES = {"value": "the prediction", "low": "the lower end of its interval", "high": "the upper end of its interval"}


def decision_sentence(prediction: Prediction, policy: Policy) -> str:
    """``Yellow: the probability of lost, 21.3 %, is at least 15 % and below 30 %, where red begins. ...``"""
    parts = [_color_sentence(prediction, policy.bands) if policy.bands else "", _profit_sentence(prediction, policy)]
    return " ".join(part for part in parts if part)


def thresholds_sentence(bands: Bands) -> str:
    """``green below 15 % probability of lost, yellow from there, red from 30 % on``"""
    low, high = (_measured(edge, bands) for edge in bands.edges)
    first, second, third = bands.colors
    what = _MEASURES.get(bands.measure or "", f"the probability of {bands.of}")
    if bands.yellow == bands.red:
        return f"{first.capitalize()} where {what} is below {low}, {third} from there on."
    return f"{first.capitalize()} where {what} is below {low}, {second} from there on, {third} from {high} on."


def payoff_lines(payoff: Payoff) -> list[str]:
    """What accepting and declining earns, a line for each amount."""
    lines = [f"Accepting a case of {name} earns {amount_text(amount)}." for name, amount in payoff.accept.items()]
    if payoff.credit is not None:
        terms = payoff.credit
        lines += [
            f"A case is a loan of {amount_text(terms.amount)} over {amount_text(terms.term)} months "
            f"at {_share(terms.rate)} a year.",
            f"Accepting one of {terms.good} earns its interest; of {terms.bad} {_share(terms.loss)} of it is lost.",
        ]
    return lines + [
        f"Declining a case of {name} earns {amount_text(amount)}." for name, amount in payoff.decline.items()
    ]


def amount_text(amount: Amount) -> str:
    """``12``, ``Price``, ``0.1 * Price`` or ``0.1 * Price + 5``"""
    if not isinstance(amount, ColumnAmount):
        return money(amount)
    text = amount.column if amount.times == 1 else f"{amount.times:g} * {amount.column}"
    return f"{text} {'+' if amount.plus > 0 else '-'} {money(abs(amount.plus))}" if amount.plus else text


def money(amount: float) -> str:
    """A sum with the digits that matter: whole ones from a thousand on."""
    if abs(amount) >= 1000 or amount == int(amount):
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if abs(amount) >= 1 else f"{amount:,.3g}"


def _color_sentence(prediction: Prediction, bands: Bands) -> str:
    color = prediction.decision.color if prediction.decision else None
    if color is None:
        return ""
    low, high = (_measured(edge, bands) for edge in bands.edges)
    first, second, third = bands.colors
    following = third if bands.yellow == bands.red else second
    where = {
        first: f"is below {low}, where {following} begins",
        second: f"is at least {low}, where {second} begins, and below {high}, where {third} begins",
        third: f"is at least {high}, where {third} begins",
    }[color]
    return f"{color.capitalize()}: {_subject(prediction, bands)} {where}."


def _subject(prediction: Prediction, bands: Bands) -> str:
    if bands.of is not None:
        return f"the probability of {bands.of}, {_percent((prediction.probabilities or {})[bands.of])},"
    interval = prediction.interval
    ends = {"value": prediction.value} | ({"low": interval.low, "high": interval.high} if interval else {})
    return f"{_MEASURES[bands.measure or 'value']}, {_number(float(ends[bands.measure or 'value']))},"


def _profit_sentence(prediction: Prediction, policy: Policy) -> str:
    decision = prediction.decision
    if policy.payoff is None or decision is None:
        return ""
    if decision.expected_profit is None:
        return f"What it earns cannot be told without {' and '.join(policy.columns)}."
    verb = "earn" if decision.expected_profit >= 0 else "lose"
    said = f"Accepting such cases is expected to {verb} {money(abs(decision.expected_profit))} each"
    if decision.expected_if_declined is not None:
        said += f", declining them {money(decision.expected_if_declined)}"
    return f"{said}."


def _measured(value: float, bands: Bands) -> str:
    return _number(value) if bands.of is None else _percent(value)


def _number(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _share(amount: Amount) -> str:
    return amount_text(amount) if isinstance(amount, ColumnAmount) else _percent(amount)
