"""What a person is shown of an error."""

from __future__ import annotations

import pytest

from rowcast.client import Client
from rowcast.errors import SHOWN_PROBLEMS, InvalidInput, Problem


def test_an_error_says_where_and_what() -> None:
    problems = [
        Problem(code="bad", message="It is no number.", row=3, field="amount"),
        Problem(code="bad", message="It is missing.", field="state"),
        Problem(code="bad", message="It has too many columns."),
    ]
    assert str(InvalidInput("rows_invalid", "Two rows are wrong.", problems)).splitlines() == [
        "Two rows are wrong.",
        "  row 3, amount: It is no number.",
        "  state: It is missing.",
        "  It has too many columns.",
    ]


def test_nothing_is_told_twice_and_not_too_much() -> None:
    told = InvalidInput(
        "x", "depth: Give a whole number.", [Problem(code="x", message="Give a whole number.", field="d")]
    )
    assert str(told) == "depth: Give a whole number."
    many = [Problem(code="x", message="It is no number.", row=row) for row in range(1, SHOWN_PROBLEMS + 3)]
    lines = str(InvalidInput("x", "Rows are wrong.", many)).splitlines()
    assert len(lines) == SHOWN_PROBLEMS + 2
    assert lines[-1] == "  and 2 more"


def test_a_field_that_the_client_refuses_is_named() -> None:
    with Client("http://127.0.0.1:9", api_key="none") as client, pytest.raises(InvalidInput) as refused:
        client.tune(dataset="loans", target="status", seconds=1)
    assert "  seconds: " in str(refused.value)
