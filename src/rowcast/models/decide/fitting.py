"""Whether a policy fits a model: its classes, its kind of answer, and the columns that amounts are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rowcast.datasets.names import nearest
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.texts import path_of
from rowcast.errors import Problem
from rowcast.models import recipe
from rowcast.models.decide.credit import LONGEST
from rowcast.models.decide.policy import Amount, Bands, ColumnAmount, Credit, Payoff, Policy

_MOST = 1e12
"""What an amount, or what is added to a column, is at most in absolute value: exact to the cent in float64."""
_MOST_TIMES = 1e6
_MOST_FLOAT32 = 3.4e38
"""Outputs are compared with thresholds in float32."""


@dataclass(frozen=True)
class Subject:
    """What of a model a policy is about. ``columns`` are all that amounts may be read from; its own features go first.

    Of two ``classes`` the second is the positive one.
    """

    problem: recipe.Problem
    classes: Sequence[str]
    columns: Mapping[str, Feature]

    @staticmethod
    def of(problem: recipe.Problem, classes: Sequence[str], features: FeatureSchema, *others: FeatureSchema) -> Subject:
        """Of the ``others`` the later ones go before the earlier."""
        known = {feature.name: feature for schema in (*others, features) for feature in schema.features}
        return Subject(problem, classes, known)


def filled_in(policy: Policy, model: Subject) -> Policy:
    """The policy with the class and the measure that it left open, so that it means the same for any later version."""
    bands = policy.bands
    if bands is None:
        return policy
    numbers = model.problem is recipe.Problem.REGRESSION
    of = bands.of or (model.classes[1] if model.problem is recipe.Problem.BINARY else None)
    measure = bands.measure or ("value" if numbers else "probability")
    return policy.model_copy(update={"bands": bands.model_copy(update={"of": of, "measure": measure})})


def schema_of(policy: Policy, model: Subject) -> FeatureSchema:
    """The columns that amounts are read from, as they are written. A row may lack any of them."""
    features = [model.columns[name].model_copy(update={"may_be_missing": True}) for name in policy.columns]
    return FeatureSchema(features=tuple(features))


def faults(policy: Policy, model: Subject) -> list[Problem]:
    """Why the policy, filled in, does not fit the model; nothing when it does."""
    found = list(_of_bands(policy.bands, model)) if policy.bands else []
    if policy.bands and policy.bands.measure == "profit":
        found += _of_profit(policy)
    if policy.payoff is None:
        return found
    if model.problem is recipe.Problem.REGRESSION:
        message = "A payoff is for classes, and this model predicts a number: give bands alone."
        return [*found, Problem(code="payoff_not_for_numbers", message=message, field="payoff")]
    payoff = policy.payoff
    credit = _of_credit(payoff.credit) if payoff.credit else ()
    return [*found, *_of_payoff(payoff, model), *_of_columns(payoff, model), *_of_sizes(payoff), *credit]


def _of_bands(bands: Bands, model: Subject) -> Iterator[Problem]:
    numbers = model.problem is recipe.Problem.REGRESSION
    if numbers is (bands.measure in ("probability", "profit")):
        wanted = "'value', 'low' or 'high', as it predicts a number" if numbers else "'probability' or 'profit'"
        yield Problem(code="measure_invalid", message=f"The measure of this model is {wanted}.", field="bands.measure")
    if numbers and bands.of is not None:
        message = "This model predicts a number and has no classes: leave 'of' out."
        yield Problem(code="class_unknown", message=message, field="bands.of")
    if numbers:
        yield from _of_number_thresholds(bands)
        return
    if bands.of is None:
        message = f"Say which class's probability decides: {_listed(model.classes)}."
        yield Problem(code="class_missing", message=message, field="bands.of")
    elif bands.of not in model.classes:
        yield _unknown_class(bands.of, "bands.of", model)
    for name in ("yellow", "red"):
        if bands.measure == "probability" and not 0 <= getattr(bands, name) <= 1:
            message = "A threshold of a probability is between 0 and 1: 0.25 for 25 %."
            yield Problem(code="threshold_invalid", message=message, field=f"bands.{name}")


def _of_profit(policy: Policy) -> Iterator[Problem]:
    assert policy.bands is not None
    if policy.payoff is None:
        message = "To decide by profit, say what cases earn: give a payoff, too."
        yield Problem(code="payoff_missing", message=message, field="payoff")
    if policy.bands.high == "red":
        yield Problem(code="high_invalid", message="A high profit is 'green'.", field="bands.high")
    for name in ("yellow", "red"):
        if abs(getattr(policy.bands, name)) > _MOST:
            message = f"A threshold of a profit is between {-_MOST:,.0f} and {_MOST:,.0f}."
            yield Problem(code="threshold_invalid", message=message, field=f"bands.{name}")


def _of_number_thresholds(bands: Bands) -> Iterator[Problem]:
    for name in ("yellow", "red"):
        if abs(getattr(bands, name)) > _MOST_FLOAT32:
            message = f"A threshold is between {-_MOST_FLOAT32:g} and {_MOST_FLOAT32:g}."
            yield Problem(code="threshold_invalid", message=message, field=f"bands.{name}")


def _of_payoff(payoff: Payoff, model: Subject) -> Iterator[Problem]:
    if payoff.credit is not None:
        named = {"payoff.credit.good": payoff.credit.good, "payoff.credit.bad": payoff.credit.bad}
    else:
        named = {path_of(("payoff", "accept", name)): name for name in payoff.accept}
    named |= {path_of(("payoff", "decline", name)): name for name in payoff.decline}
    for field, name in named.items():
        if name not in model.classes:
            yield _unknown_class(name, field, model)
    accepted = {name for field, name in named.items() if not field.startswith("payoff.decline.")}
    for name in model.classes:
        if name not in accepted:
            message = f"Say what accepting a case of the class '{name}' earns, too."
            yield Problem(
                code="class_missing", message=message, field="payoff.credit" if payoff.credit else "payoff.accept"
            )


def _of_columns(payoff: Payoff, model: Subject) -> Iterator[Problem]:
    for place, amount in payoff.amounts:
        if not isinstance(amount, ColumnAmount):
            continue
        feature = model.columns.get(amount.column)
        if feature is None:
            meant = nearest(amount.column, model.columns)
            hint = f"Did you mean '{meant}'?" if meant else "See the dataset's columns."
            message = f"Neither the model nor its table has a column '{amount.column}'. {hint}"
            yield Problem(code="column_unknown", message=message, field=place)
        elif feature.kind is not Kind.NUMBER:
            message = f"The column '{amount.column}' holds no numbers ({feature.kind}), so it is no amount."
            yield Problem(code="column_not_number", message=message, field=place)


def _of_sizes(payoff: Payoff) -> Iterator[Problem]:
    for place, amount in payoff.amounts:
        for field, number, most in _numbers_of(place, amount):
            if abs(number) > most:
                message = f"This number is between {-most:,.0f} and {most:,.0f}."
                yield Problem(code="amount_invalid", message=message, field=field[-200:])


def _numbers_of(place: str, amount: Amount) -> list[tuple[str, float, float]]:
    """The numbers that the amount is made of, each with its place and what it is at most."""
    if isinstance(amount, ColumnAmount):
        return [(f"{place}.times", amount.times, _MOST_TIMES), (f"{place}.plus", amount.plus, _MOST)]
    return [(place, amount, _MOST)]


def _of_credit(credit: Credit) -> Iterator[Problem]:
    """Terms that are the same for all loans; what columns bring along is looked at loan by loan."""
    rules: list[tuple[str, Callable[[float], bool], str]] = [
        ("amount", lambda lent: lent > 0, "What is lent is more than 0."),
        ("term", lambda months: 1 <= months <= LONGEST, f"A term is between 1 and {LONGEST} months: 60 for 5 years."),
        ("rate", lambda rate: 0 <= rate <= 1, "A rate a year is between 0 and 1: 0.1 for 10 %."),
        ("loss", lambda share: 0 <= share <= 1, "A lost share is between 0 and 1: 0.6 for 60 %."),
    ]
    for name, is_sound, message in rules:
        given = getattr(credit, name)
        if not isinstance(given, ColumnAmount) and not is_sound(given):
            yield Problem(code="credit_invalid", message=message, field=f"payoff.credit.{name}")


def _unknown_class(name: str, field: str, model: Subject) -> Problem:
    meant = nearest(name, model.classes)
    hint = f"Did you mean '{meant}'?" if meant else f"Its classes: {_listed(model.classes)}."
    return Problem(code="class_unknown", message=f"The model has no such class. {hint}", field=field[:200])


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - 10} more" if len(classes) > 10 else ""
    return f"{', '.join(classes[:10])}{more}"
