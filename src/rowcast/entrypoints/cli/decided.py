"""Policies and decisions in words: the colour and where it begins and ends, and what a case earns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rowcast.entrypoints.cli.writing import odds, sentence
from rowcast.models.decide.policy import Amount, Bands, Color, ColumnAmount, Payoff, Policy

if TYPE_CHECKING:
    from rowcast.errors import Problem
    from rowcast.models.views import ModelVersionDetail
    from rowcast.scoring.views import Decision, Prediction

_MEASURES = {
    "value": "the prediction",
    "low": "the lower end of its interval",
    "high": "the upper end of its interval",
    "profit": "the expected profit",
}


def told(prediction: Prediction, about: ModelVersionDetail | None, policy: Policy) -> list[str]:
    """A prediction in a few sentences: of classes the colour first, with what it goes by, then the likelier outcome and
    what is earned; of a number first the number."""
    bands, decision = policy.bands, prediction.decision
    if bands is None or decision is None or (decision.color is None and bands.measure != "profit"):
        return [sentence(prediction, about), *_profit_lines(decision, policy)]
    if not prediction.probabilities:
        return [sentence(prediction, about), _color_sentence(prediction, bands)]
    if bands.measure == "profit":
        return [_color_by_profit(decision, bands), _likelier_by_profit(prediction, about, bands)]
    if len(prediction.probabilities) == 2:
        likelier = likelier_sentence(prediction, bands)
    else:
        likelier = sentence(prediction, about)
    return [_color_sentence(prediction, bands), likelier, *_profit_lines(decision, policy)]


def _profit_lines(decision: Decision | None, policy: Policy) -> list[str]:
    return [] if policy.payoff is None or decision is None else [profit_sentence(decision, policy.bands)]


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


def likelier_sentence(prediction: Prediction, bands: Bands) -> str:
    """Which of two classes is the likelier one; where the colour could be taken for the other, what it means."""
    chances = prediction.probabilities or {}
    likelier, color = str(prediction.value), prediction.decision.color if prediction.decision else None
    said = f"The likelier outcome is {likelier} ({_percent(chances[likelier])})"
    what, (first, _, third) = "risk" if bands.high == "red" else "chance", bands.colors
    if color == third and likelier != bands.of:
        return f"{said}: {color} says that the {what} is {_high(what)} for this policy, not that {bands.of} will come."
    if color == first and likelier == bands.of:
        return f"{said}: {color} says that the {what} is {_low(what)} for this policy, not that {bands.of} is unlikely."
    return f"{said}."


def profit_sentence(decision: Decision, bands: Bands | None) -> str:
    """What accepting the case is expected to earn, or why that is not known."""
    if decision.problems:
        return f"What it earns cannot be told: {_missing(decision.problems)}"
    if decision.expected_profit is None:
        return "What it earns is not known."
    said, gain = _earned(decision), _gain(decision)
    if bands is not None and bands.measure == "probability" and decision.color in ("green", "red"):
        if decision.color == "red" and gain > 0:
            return f"The colour goes by the probability alone; by money it would be accepted: {said}."
        if decision.color == "green" and gain < 0:
            return f"The colour goes by the probability alone; by money it would be declined: {said}."
    return f"{said[0].upper()}{said[1:]}."


def _earned(decision: Decision) -> str:
    """``accepting such cases is expected to earn 120 each, declining them 20``"""
    profit, declined = decision.expected_profit or 0.0, decision.expected_if_declined
    said = f"accepting such cases is expected to {'earn' if profit >= 0 else 'lose'} {money(abs(profit))} each"
    return said if declined is None else f"{said}, declining them {money(declined)}"


def _gain(decision: Decision) -> float:
    """What accepting is expected to earn beyond declining."""
    return (decision.expected_profit or 0.0) - (decision.expected_if_declined or 0.0)


def _color_by_profit(decision: Decision, bands: Bands) -> str:
    """The colour that goes by the profit, or why there is none."""
    if decision.color is None:
        why = _missing(decision.problems) if decision.problems else "an amount is not known."
        return f"No colour: this policy goes by the expected profit, and that cannot be told: {why}"
    said, gain, declined = _earned(decision), _gain(decision), decision.expected_if_declined
    if declined is not None:
        more = f"{money(abs(gain))} {'more' if gain >= 0 else 'less'}"
        compared = f"{money(decision.expected_profit or 0.0)} against {money(declined)}"
        said = f"accepting such cases is expected to earn {more} each than declining them ({compared})"
    return f"{decision.color.capitalize()}: {said}. {_where(decision.color, bands)}."


def _likelier_by_profit(prediction: Prediction, about: ModelVersionDetail | None, bands: Bands) -> str:
    """What the model calls the case, and that this is another question than what the policy decides."""
    chances, color = prediction.probabilities or {}, prediction.decision.color if prediction.decision else None
    if len(chances) == 2:
        positive = bands.of or list(chances)[-1]
        said = (
            f"The probability of {positive} is {_percent(chances[positive])}{odds(chances[positive])}, so the likelier "
            f"outcome is {prediction.value}"
        )
    else:
        said = sentence(prediction, about).rstrip(".")
    meant = {"green": "enough", "red": "too little", "yellow": f"less than {money(bands.yellow)}"}
    if color is None:
        return f"{said}."
    money_alone = f"{color.capitalize()} is about money, not about how this case will end"
    return f"{said}. {money_alone}: such cases earn {meant[color]} on average."


def _missing(problems: Sequence[Problem]) -> str:
    """What of the amounts is not there, or why it cannot be used."""
    missing = [str(problem.field) for problem in problems if problem.code == "amount_missing"]
    parts = [f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."] if missing else []
    others = [problem for problem in problems if problem.code != "amount_missing"]
    parts += [f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in others]
    return " ".join(parts)


def _color_sentence(prediction: Prediction, bands: Bands) -> str:
    color = prediction.decision.color if prediction.decision else None
    if color is None:
        return ""
    return f"{color.capitalize()}: {_subject(prediction, bands)}. {_where(color, bands)}."


def _where(color: Color, bands: Bands) -> str:
    """``That is below 15 %, where yellow begins``"""
    low, high = (_measured(edge, bands) for edge in bands.edges)
    first, second, third = bands.colors
    following = third if bands.yellow == bands.red else second
    where = {
        first: f"That is below {low}, where {following} begins",
        second: f"That is between {low}, where {second} begins, and {high}, where {third} begins",
        third: f"That is {high} or more, where {third} begins",
    }
    return where[color]


def _subject(prediction: Prediction, bands: Bands) -> str:
    if bands.of is not None:
        chance = (prediction.probabilities or {})[bands.of]
        return f"the probability of {bands.of} is {_percent(chance, bands.edges)}{odds(chance)}"
    interval = prediction.interval
    ends = {"value": prediction.value} | ({"low": interval.low, "high": interval.high} if interval else {})
    return f"{_MEASURES[bands.measure or 'value']} is {_number(float(ends[bands.measure or 'value']))}"


def _high(what: str) -> str:
    return "too high" if what == "risk" else "high enough"


def _low(what: str) -> str:
    return "low enough" if what == "risk" else "too low"


def _measured(value: float, bands: Bands) -> str:
    if bands.measure == "profit":
        return money(value)
    return _number(value) if bands.of is None else _percent(value)


def _number(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _percent(share: float, apart_from: tuple[float, ...] = ()) -> str:
    """The share with three digits, or as many as keep it on its side of what it is compared with."""
    for digits in range(3, 8):
        text = f"{100 * share:.{digits}g}" if abs(share) < 10 else f"{100 * share:,.0f}"
        shown = float(text.replace(",", "")) / 100
        if all((shown >= edge) is (share >= edge) for edge in apart_from):
            break
    return f"{text} %"


def _share(amount: Amount) -> str:
    return amount_text(amount) if isinstance(amount, ColumnAmount) else _percent(amount)
