"""What rows cost."""

import pytest

from rowcast.credits.accounts import quote
from rowcast.credits.tariff import Tariff, cost
from rowcast.credits.views import Credits, QuoteRequest

PAID = Tariff(paid=True, per_row=2, reasons=2.5, file=0.5)


@pytest.mark.parametrize(
    ("own", "options", "rows", "credits"),
    [
        (None, {}, 10, 20),
        (3, {}, 10, 30),
        (0, {"reasons": True}, 10, 0),
        (None, {"reasons": True}, 3, 15),
        (1, {"reasons": True}, 3, 8),
        (1, {"file": True}, 3, 2),
        (1, {"file": True}, 0, 0),
        (1, {"file": True}, 4, 2),
    ],
)
def test_a_price_is_rounded_up_once(own, options, rows, credits):
    assert cost(PAID.rate(own, **options), rows) == credits


def test_nothing_costs_anything_in_free_mode():
    assert Tariff().rate(5, reasons=True) == 0


def test_part_of_the_rows_never_costs_more_than_all():
    for rate in (1, 333, 500, 1000, 2500, 3333):
        assert all(cost(rate, rows) <= cost(rate, rows + 1) for rows in range(50))


@pytest.mark.parametrize(
    ("balance", "limit", "spent", "enough"),
    [(20, None, 0, True), (19, None, 0, False), (100, 25, 5, True), (100, 24, 5, False)],
)
def test_a_quote_says_whether_one_has_and_may_spend_it(balance, limit, spent, enough):
    credits = Credits(user="ann", mode="paid", balance=balance, held=0, month="2026-11", spent=spent, limit=limit)
    quoted = quote(credits, "loans", None, QuoteRequest(rows=10), PAID)
    assert (quoted.price, quoted.enough) == (20, enough)
    assert quote(credits, "loans", None, QuoteRequest(rows=10), Tariff()).enough
