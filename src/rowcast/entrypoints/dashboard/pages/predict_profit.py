"""The profit calculator: what a loan on other terms would be expected to earn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from rowcast.datasets.schema import FeatureSchema
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.models.decide.credit import LONGEST, good_and_bad
from rowcast.models.decide.policy import Amount, ColumnAmount, Credit, Payoff
from rowcast.scoring.views import Decision


@dataclass(frozen=True)
class Terms:
    """A loan. ``term`` is in months, ``rate`` a share a year, ``loss`` the share of it that a bad loan loses."""

    amount: float
    term: float
    rate: float
    loss: float


@dataclass(frozen=True)
class Outlook:
    """What a loan earns if it is paid back and if not, what that is on average, and the chance of a bad end at which it
    earns nothing."""

    good: float
    bad: float
    expected: float
    break_even: float | None


def outlook(terms: Terms, bad_chance: float) -> Outlook | None:
    """What a loan that ends badly with this probability earns; None where its terms make no sense."""
    good, bad = (float(earned) for earned in good_and_bad(terms.amount, terms.term, terms.rate, terms.loss))
    if good != good or bad != bad:
        return None
    break_even = good / (good - bad) if good > bad else None
    return Outlook(good, bad, bad_chance * bad + (1 - bad_chance) * good, break_even)


def terms_of(credit: Credit, row: Mapping[str, Any]) -> dict[str, float | None]:
    """The terms that a policy reads from a row, by name; None where it lacks them."""
    return {name: amount_of(getattr(credit, name), row) for name in ("amount", "term", "rate", "loss")}


def amount_of(amount: Amount, row: Mapping[str, Any]) -> float | None:
    """An amount of a policy for a row, or None where the row lacks its column."""
    if not isinstance(amount, ColumnAmount):
        return amount
    value = row.get(amount.column)
    return value * amount.times + amount.plus if isinstance(value, int | float) else None


def unit_of(payoff: Payoff, schema: FeatureSchema) -> str | None:
    """What the amounts are counted in, as the columns say that they are read from."""
    columns = [amount.column for _, amount in payoff.amounts if isinstance(amount, ColumnAmount)]
    features = [schema.feature(name) for name in columns]
    return next((feature.unit for feature in features if feature is not None and feature.unit), None)


def show_expected(page: Page, decision: Decision, unit: str | None) -> None:
    """What the policy expects the case to earn, or why it cannot tell."""
    if decision.problems:
        columns = ", ".join(sorted({plain(problem.field) for problem in decision.problems if problem.field}))
        st.info(page.t("predict.profit_unknown", columns=columns or page.t("predict.amounts_of_policy")))
        return
    if decision.expected_profit is None:
        return
    accepted, declined = st.columns(2)
    accepted.metric(page.t("predict.if_accepted"), page.f.money(decision.expected_profit, unit))
    if decision.expected_if_declined is not None:
        declined.metric(page.t("predict.if_declined"), page.f.money(decision.expected_if_declined, unit))


@st.fragment
def show_calculator(
    page: Page, key: str, given: Mapping[str, float | None], bad: str, chance: float, unit: str | None
) -> None:
    """Terms to try, with what a loan of this case would earn on them. It costs nothing and is kept nowhere."""
    t, f = page.t, page.f
    st.caption(t("predict.calculator_help", of=plain(bad), chance=f.percent(chance)))
    amount, term, rate, loss = st.columns(4)
    wanted = {
        "amount": amount.number_input(
            t("predict.loan_amount"), 0.0, value=given.get("amount"), step=1000.0, format="%g", key=f"{key}.amount"
        ),
        "term": term.number_input(
            t("predict.loan_term"), 1.0, float(LONGEST), value=given.get("term"), step=1.0, format="%g",
            key=f"{key}.term",
        ),
        "rate": rate.number_input(
            t("predict.loan_rate"), 0.0, 100.0, value=_hundredfold(given.get("rate")), step=0.5, format="%g",
            key=f"{key}.rate",
        ),
        "loss": loss.number_input(
            t("predict.loan_loss"), 0.0, 100.0, value=_hundredfold(given.get("loss", 1.0)), step=5.0, format="%g",
            key=f"{key}.loss",
        ),
    }  # fmt: skip
    found = _outlook(wanted, chance)
    if found is None:
        st.info(t("predict.calculator_empty"), icon=":material/calculate:")
        return
    expected, good, lost, even = st.columns(4)
    expected.metric(t("predict.expected"), f.money(found.expected, unit))
    good.metric(t("predict.if_good"), f.money(found.good, unit))
    lost.metric(t("predict.if_bad", of=plain(bad)), f.money(found.bad, unit))
    even.metric(t("predict.break_even"), f.percent(found.break_even), help=t("predict.break_even_help", of=plain(bad)))


def _outlook(wanted: Mapping[str, float | None], chance: float) -> Outlook | None:
    amount, term, rate, loss = (wanted[name] for name in ("amount", "term", "rate", "loss"))
    if amount is None or term is None or rate is None or loss is None:
        return None
    return outlook(Terms(amount, term, rate / 100, loss / 100), chance)


def _hundredfold(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 6)
