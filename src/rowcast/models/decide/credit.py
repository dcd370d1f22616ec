"""What a loan earns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST = 1200
"""Months."""


def good_and_bad(amount: Any, term: Any, rate: Any, loss: Any) -> tuple[Floats, Floats]:
    """What loans earn that are paid back, and what those do that are not. Both are NaN where any term makes no sense.

    That is an amount of 0 or less, a term outside 1 to ``LONGEST`` months, a rate or loss outside 0 to 1, or NaN.
    """
    amount, term, rate, loss = (np.asarray(given, dtype=np.float64) for given in (amount, term, rate, loss))
    sound = (amount > 0) & (term >= 1) & (term <= LONGEST) & _is_share(rate) & _is_share(loss)
    lent, months = np.where(sound, amount, np.nan), np.where(sound, term, np.nan)
    return interest(lent, months, rate), principal_lost(lent, loss)


def interest(amount: Any, term: Any, rate: Any) -> Floats:
    """All interest on loans of ``amount`` that are paid back in ``term`` equal monthly payments at ``rate`` a year.

    An annuity in arrears (Kellison 2009, "The theory of interest", chapter 3): with i = rate / 12 a month the payment
    is amount * i / (1 - (1 + i) ** -term), and what the payments exceed the amount by is interest. Without interest,
    or without a month, it is 0. NaN for a term or a rate below 0, and wherever something is not known.
    """
    months, monthly = np.asarray(term, dtype=np.float64), np.asarray(rate, dtype=np.float64) / 12
    with np.errstate(divide="ignore", invalid="ignore"):
        discount = -np.expm1(-months * np.log1p(monthly))
        factor = months * monthly / discount - 1
    factor = np.where((monthly == 0) | (months == 0), 0.0, factor)
    earned: Floats = np.asarray(amount, dtype=np.float64) * factor
    return np.where((months >= 0) & (monthly >= 0), earned, np.nan)


def principal_lost(amount: Any, loss: Any) -> Floats:
    """What bad loans earn: less than nothing, the share ``loss`` of their ``amount``."""
    return -np.asarray(amount, dtype=np.float64) * np.asarray(loss, dtype=np.float64)


def _is_share(values: Floats) -> NDArray[np.bool_]:
    return (values >= 0) & (values <= 1)
