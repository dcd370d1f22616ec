"""What every database promises."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.datasets.tables import DatasetRow
from rowcast.monitoring.insertion import Insertion
from rowcast.tables import now, take_turn
from rowcast.tasks.statements import stored


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


def test_documents_come_back_as_they_were_written(database):
    written = {"zeta": 1, "alpha": [1.0, 1e-300, 10**30, None, True], "nul": "\0", "half": "\ud800", "": {}}
    with database.transaction() as session:
        session.add(UserRow(id="a" * 32, name="ann", role="user"))
        session.flush()
        session.add(DatasetRow(id="d" * 32, name="loans", owner_id="a" * 32, dictionary=written))

    with database.reading() as session:
        found = session.scalar(select(DatasetRow.dictionary))
    assert found == written
    assert [*found] == [*written]
    assert [type(value) for value in found["alpha"]] == [float, float, int, type(None), bool]


def user(user_id, name):
    """A row with a value for each column, in their order."""
    given = {"id": user_id, "name": name, "role": "user", "created_at": now()}
    return tuple(given.get(column.name) for column in UserRow.__table__.columns)


def test_a_held_writer_commits_all_or_nothing(database):
    writer = database.writer()
    insert = Insertion(UserRow.__table__, writer.dialect)
    rows = [user(f"{number:032}", f"user {number}") for number in range(150)]

    with writer.transaction() as cursor:
        insert(cursor, rows)
    with pytest.raises(ZeroDivisionError), writer.transaction() as cursor:
        insert(cursor, [user("x", "x")])
        raise ZeroDivisionError
    with pytest.raises(IntegrityError), writer.transaction() as cursor:
        insert(cursor, rows[:1])
    with writer.transaction() as cursor:
        insert(cursor, [user("y", "y")])
    writer.close()

    assert len(names(database)) == 151


def test_a_statement_that_stands_alone_is_committed_and_gives_its_rows(database):
    writer, reader = database.writer(), database.reader()
    mark = "?" if database.engine.dialect.name == "sqlite" else "$"
    insert = f"INSERT INTO users (id, name, role, created_at) VALUES ({mark}1, {mark}1, 'user', {mark}2) RETURNING name"
    moment = stored(now(), writer.dialect)

    assert [tuple(row) for row in writer.alone(insert, ("ann", moment))] == [("ann",)]
    with pytest.raises(IntegrityError):
        writer.alone(insert, ("ann", moment))
    assert [tuple(row) for row in writer.alone(insert, ("bob", moment))] == [("bob",)]
    found = reader.alone(f"SELECT name FROM users WHERE name >= {mark}1 ORDER BY name", ("ann",))
    assert [row[0] for row in found] == ["ann", "bob"]
    writer.close()
    reader.close()


def test_names_take_turns(database):
    order = []
    held = threading.Event()

    def first():
        with database.transaction() as session:
            take_turn(session, "loans")
            held.set()
            time.sleep(0.2)
            order.append("first")

    def second():
        held.wait(timeout=10)
        with database.transaction() as session:
            take_turn(session, "loans")
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert order == ["first", "second"]
