"""What every database promises."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.tables import now


def add_user(database, name="ann", role="0"):
    with database.transaction() as session:
        user = UserRow(name=name, role=role)
        session.add(user)
    return user


def names(database):
    with database.reading() as session:
        return list(session.scalars(select(UserRow.name).order_by(UserRow.name)))


def test_a_transaction_commits_and_its_rows_stay_readable(database):
    user = add_user(database)

    assert user.name == "ann"
    assert names(database) == ["ann"]


def test_an_exception_rolls_back(database):
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.add(UserRow(name="ann", role="user"))
        session.flush()
        raise ZeroDivisionError

    assert names(database) == []


def test_a_reading_session_writes_nothing(database):
    user = add_user(database)

    with database.reading() as session:
        session.get_one(UserRow, user.id).name = "bob"
        assert session.scalar(select(UserRow.name)) == "ann"

    assert names(database) == ["ann"]


def test_a_view_is_consistent_and_blocks_no_writer(database):
    with database.reading() as session:
        assert session.scalars(select(UserRow.name)).all() == []
        add_user(database)
        assert session.scalars(select(UserRow.name)).all() == []

    assert names(database) == ["ann"]


def test_references_and_unique_names_hold(database):
    add_user(database)

    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(ApiKeyRow(user_id="nobody", prefix="", key_hash="0"))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(UserRow(name="ann", role="user"))
    assert names(database) == ["ann"]


def test_moments_keep_their_zone(database):
    user = add_user(database)

    with database.reading() as session:
        stored = session.get_one(UserRow, user.id).created_at
    assert isinstance(stored, datetime)
    assert stored == user.created_at
    assert abs((now() - stored).total_seconds()) < 60


def test_no_update_is_lost_between_threads(database):
    user = add_user(database)

    def increment():
        for _ in range(10):
            with database.transaction() as session:
                row = session.get_one(UserRow, user.id, with_for_update=True)
                row.role = str(int(row.role) + 1)

    threads = [threading.Thread(target=increment) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert session.get_one(UserRow, user.id).role == "80"


def test_it_answers_also_after_its_connections_were_closed(database):
    database.ping()
    database.dispose()
    database.ping()
