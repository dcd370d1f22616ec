"""Rows a day: counted for those who have a limit, in the transaction of what they are for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from rowcast.accounts.principal import Limits, Principal, Role
from rowcast.accounts.tables import RowsUsedRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.credits.allowances import give_back, spend, uses_of
from rowcast.credits.statements import on_cursor, on_session
from rowcast.errors import TooMany

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def opened(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


def ann(rows, *, user=None, key=None, key_id="k" * 32):
    limits = Limits(user_rows_per_day=user, key_rows_per_day=key)
    return uses_of(Principal("a" * 32, "ann", Role.USER, key_id=key_id, limits=limits), rows)


def spent(database, *wanted, moment=NOON):
    """Which of the calls were refused."""
    with database.transaction() as session:
        return [outcome is not None for outcome in spend(on_session(session), wanted, moment)]


def counted(database):
    with database.reading() as session:
        return {row.subject_id[0]: row.row_count for row in session.scalars(select(RowsUsedRow))}


def test_who_has_no_limit_costs_no_statement(opened):
    unlimited = uses_of(Principal("a", "ann", Role.USER), 5)
    assert unlimited == ann(5) == ()
    assert spend(lambda *_: pytest.fail("a statement"), [unlimited, ()]) == [None, None]


def test_rows_are_counted_up_to_the_limit_in_order(opened):
    assert spent(opened, ann(60, user=100), ann(60, user=100), ann(40, user=100)) == [False, True, False]
    assert counted(opened) == {"a": 100}
    assert spent(opened, ann(1, user=100)) == [True]
    assert counted(opened) == {"a": 100}


def test_what_is_given_back_can_be_used_again(opened):
    with opened.transaction() as session:
        run = on_session(session)
        wanted = [ann(6, user=10, key=10), ann(4, user=10, key=10)]
        assert spend(run, wanted, NOON) == [None, None]
        give_back(run, [use for uses in wanted[1:] for use in uses], NOON)
        give_back(run, [], NOON)
    assert counted(opened) == {"a": 6, "k": 6}
    assert spent(opened, ann(4, user=10, key=10)) == [False]


def test_both_limits_hold_and_what_is_refused_by_one_counts_for_neither(opened):
    assert spent(opened, ann(8, user=100, key=10), ann(8, user=100, key=10)) == [False, True]
    assert counted(opened) == {"a": 8, "k": 8}
    assert spent(opened, ann(90, user=100, key=1000, key_id="l" * 32)) == [False]
    assert spent(opened, ann(5, user=100, key=1000, key_id="l" * 32)) == [True]
    assert counted(opened) == {"a": 98, "k": 8, "l": 90}


def test_a_new_day_begins_at_midnight_in_utc(opened):
    late = datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC)
    with opened.transaction() as session:
        run = on_session(session)
        assert spend(run, [ann(10, user=10)], late) == [None]
        (refused,) = spend(run, [ann(1, user=10)], late)
    assert isinstance(refused, TooMany)
    assert (refused.code, refused.details["retry_after"]) == ("rows_limit", 30)
    assert "your account is 10 rows a day" in refused.message
    assert spent(opened, ann(10, user=10), moment=datetime(2026, 11, 23, tzinfo=UTC)) == [False]


def test_the_cursor_of_a_writer_does_the_same(opened):
    writer = opened.writer()
    for expected in (None, TooMany):
        with writer.transaction() as cursor:
            (outcome,) = spend(on_cursor(cursor, writer.dialect), [ann(6, user=10)], NOON)
        assert outcome is None if expected is None else isinstance(outcome, expected)
    writer.close()
    assert counted(opened) == {"a": 6}


def test_many_at_once_never_count_more_than_the_limit(opened):
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda _: spent(opened, ann(3, user=50, key=70))[0], range(40)))
    assert refused.count(False) == 16
    assert counted(opened) == {"a": 48, "k": 48}
