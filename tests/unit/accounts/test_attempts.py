"""Guessing slowed down, with a clock of the test's own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from rowcast.accounts import attempts
from rowcast.accounts.attempts import at_account, from_address, take
from rowcast.accounts.tables import AttemptRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import TooMany

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


def attempt(database, *subjects, after=0.0):
    """Seconds to wait, 0 when the attempt may be made."""
    try:
        with database.transaction() as session:
            take(session, *subjects, moment=START + timedelta(seconds=after))
    except TooMany as error:
        assert error.code == "too_many_attempts"
        return error.details["retry_after"]
    return 0


def test_five_are_free_then_waits_double(database):
    anna = at_account("anna")
    assert [attempt(database, anna) for _ in range(5)] == [0] * 5
    moment, waits = 0.0, []
    for _ in range(12):
        waits.append(wait := attempt(database, anna, after=moment))
        moment += wait
        assert attempt(database, anna, after=moment) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_refused_attempt_does_not_count(database):
    anna = at_account("anna")
    for _ in range(5):
        attempt(database, anna)
    assert [attempt(database, anna, after=0.5) for _ in range(50)] == [1] * 50
    assert attempt(database, anna, after=1) == 0
    assert attempt(database, anna, after=1) == 2


def test_accounts_are_apart_and_capitals_and_spaces_are_not(database):
    for name in ("anna", "ANNA", " Anna ", "anna", "aNNa"):
        attempt(database, at_account(name))
    assert attempt(database, at_account("Anna")) == 1
    assert attempt(database, at_account("boris")) == 0


def test_an_address_may_err_more_often_over_all_accounts(database):
    answers = [attempt(database, at_account(f"user {n}"), from_address("192.0.2.1")) for n in range(21)]
    assert answers == [0] * 20 + [1]
    assert attempt(database, at_account("somebody"), from_address("192.0.2.2")) == 0


def test_a_household_with_ipv6_is_one_address():
    assert from_address("2001:db8:1:2::1").hash == from_address("2001:db8:1:2:ffff::9").hash
    assert from_address("2001:db8:1:2::1").hash != from_address("2001:db8:1:3::1").hash
    assert from_address("::ffff:192.0.2.1").hash == from_address("192.0.2.1").hash
    assert from_address("a socket").hash


def test_success_begins_anew_for_the_account_but_not_for_the_address(database):
    anna, address = at_account("anna"), from_address("192.0.2.1")
    for number in range(20):
        attempt(database, at_account(f"user {number}"), address)
    assert attempt(database, anna, address) == 1
    assert attempt(database, anna, address, after=1) == 0
    with database.transaction() as session:
        attempts.forget(session, anna)
        attempts.take_back(session, address, START + timedelta(seconds=1))
    # Having an account of one's own must not give free guesses at others': the next wait is as long as it was.
    assert attempt(database, at_account("boris"), address, after=1) == 0
    assert attempt(database, at_account("clara"), address, after=1) == 2


def test_all_is_forgotten_after_a_while(database):
    anna, day = at_account("anna"), 86_400
    for _ in range(5):
        attempt(database, anna)
    assert attempt(database, anna) == 1
    assert [attempt(database, anna, after=day + 1) for _ in range(5)] == [0] * 5


def test_what_was_typed_is_not_kept(database):
    attempt(database, at_account("my password by mistake"))
    with database.reading() as session:
        kept = session.scalars(select(AttemptRow)).one()
    assert "password" not in str(vars(kept))


def test_old_ones_are_deleted(database):
    attempt(database, at_account("anna"))
    attempt(database, at_account("boris"), after=100)
    with database.transaction() as session:
        assert attempts.delete_old_attempts(session, START + timedelta(seconds=50)) == 1


def test_guesses_at_the_same_time_do_not_slip_through(database):
    anna, address = at_account("anna"), from_address("192.0.2.1")
    answers, ready = [], threading.Barrier(16)

    def guess():
        ready.wait()
        answers.append(attempt(database, anna, address))

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0] * 5 + [1] * 11
