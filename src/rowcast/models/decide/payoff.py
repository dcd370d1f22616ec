"""Payoff arithmetic: what accepting and declining cases earns, by their true class or as expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.decide.credit import good_and_bad
from rowcast.models.decide.policy import Amount, ColumnAmount, Payoff

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
"""Numbers [N] by column, NaN where they are not known."""


@dataclass(frozen=True)
class Earnings:
    """By class, in the order of the classes, what accepting and declining a case earns: for all alike [] or each [N].

    NaN where an amount is not known.
    """

    accept: list[Floats]
    decline: list[Floats]

    def known(self, count: int) -> NDArray[np.bool_]:
        """Of ``count`` cases those [N] whose amounts are known for every class, whatever their own turned out to be.

        To leave out only cases whose own class has no amount would leave out more of one class than of another.
        """
        found = np.ones(count, dtype=np.bool_)
        for amount in (*self.accept, *self.decline):
            found &= np.isfinite(amount)
        return found


def earnings(payoff: Payoff, classes: Sequence[str], columns: Columns) -> Earnings:
    """What the cases that brought these columns along earn."""
    accept = {name: read(amount, columns) for name, amount in payoff.accept.items()}
    decline = {name: read(amount, columns) for name, amount in payoff.decline.items()}
    if payoff.credit is not None:
        terms = payoff.credit
        given = (read(amount, columns) for amount in (terms.amount, terms.term, terms.rate, terms.loss))
        accept[terms.good], accept[terms.bad] = good_and_bad(*given)
    nothing = np.zeros(())
    return Earnings([accept[name] for name in classes], [decline.get(name, nothing) for name in classes])


def read(amount: Amount, columns: Columns) -> Floats:
    """The amount: [] where it is the same for all, else [N]."""
    if isinstance(amount, ColumnAmount):
        return np.asarray(columns[amount.column], dtype=np.float64) * amount.times + amount.plus
    return np.asarray(amount, dtype=np.float64)


def expected(by_class: Sequence[Floats], probabilities: NDArray[Any]) -> Floats:
    """What is earned on average [N], with probabilities [N,K] in the order of the classes.

    Added class by class, so that a row comes out the same to the bit alone and among others.
    """
    total = np.zeros(len(probabilities))
    for code, amount in enumerate(by_class):
        total = total + probabilities[:, code].astype(np.float64) * amount
    return total


def realised(by_class: Sequence[Floats], codes: NDArray[np.int64]) -> Floats:
    """What was earned [N] by cases whose true classes have these codes [N]."""
    earned = np.empty(len(codes))
    for code, amount in enumerate(by_class):
        rows = codes == code
        earned[rows] = np.broadcast_to(amount, codes.shape)[rows]
    return earned
