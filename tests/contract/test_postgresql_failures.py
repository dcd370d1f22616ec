"""What a PostgreSQL that is away, full of connections, slow, locked or read-only says to whoever runs Rowcast, and that
all goes well again by itself."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import psycopg
import pytest
from services import PrivatePostgres
from sqlalchemy import func, select, text

from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import InvalidInput, Unavailable


@contextmanager
def opened(url, **limits):
    database = open_database(url, **limits)
    try:
        yield database
    finally:
        database.dispose()


@pytest.fixture
def url(postgres_url):
    with opened(postgres_url) as database:
        upgrade(database.engine)
    return postgres_url


def write(database, name="ann"):
    with database.transaction() as session:
        session.add(UserRow(name=name, role="user"))


def write_by_hand(writer, number):
    with writer.transaction() as cursor:
        cursor.execute("INSERT INTO users (id, name, role, created_at) VALUES ($1, $1, 'user', now())", (str(number),))


def code_of(call, *arguments):
    with pytest.raises(Unavailable) as caught:
        call(*arguments)
    return caught.value.code


def test_a_server_that_is_killed_and_started_again(private_postgres):
    url = private_postgres.create_database()
    with opened(url) as database:
        upgrade(database.engine)
        writer = database.writer()
        write_by_hand(writer, 1)
        reader = database.reader()
        assert reader.alone("SELECT name FROM users WHERE name = $1", ("1",)) == [("1",)]
        private_postgres.kill()
        assert code_of(write, database) == "database_unavailable"
        assert code_of(database.ping) == "database_unavailable"
        assert code_of(write_by_hand, writer, 2) == "database_unavailable"
        assert code_of(reader.alone, "SELECT 1", ()) == "database_unavailable"
        assert code_of(upgrade, database.engine) == "database_unavailable"
        private_postgres.start()
        write(database)
        write_by_hand(writer, 3)
        private_postgres.stop()
        private_postgres.start()
        write_by_hand(writer, 4)  # the connection that was kept has died, which nobody notices
        assert reader.alone("SELECT name FROM users WHERE name = $1", ("4",)) == [("4",)]  # nor here
        with database.reading() as session:
            assert sorted(session.scalars(select(UserRow.name))) == ["1", "3", "4", "ann"]
        writer.close()
        reader.close()


def test_a_server_that_goes_silent_keeps_nobody_waiting_for_ever(private_postgres):
    with opened(private_postgres.create_database(), connect_seconds=2, pool_size=4) as database:
        upgrade(database.engine)
        writer = database.writer()
        write_by_hand(writer, 1)
        told, under_way = [], threading.Event()

        def sleep():
            with database.reading() as session:
                session.execute(text("SELECT 1"))
                under_way.set()
                session.execute(text("SELECT pg_sleep(600)"))

        def call(what, *arguments):
            try:
                what(*arguments)
            except Unavailable as error:
                told.append(error.code)

        asleep = threading.Thread(target=call, args=(sleep,))
        asleep.start()
        under_way.wait(timeout=30)
        private_postgres.freeze()
        try:
            # More than there are connections, so that some wait for one that is given up.
            others = [threading.Thread(target=call, args=(database.ping,)) for _ in range(8)]
            others.append(threading.Thread(target=call, args=(write_by_hand, writer, 2)))
            for thread in others:
                thread.start()
            for thread in (asleep, *others):
                thread.join(timeout=60)
            assert told == ["database_unavailable"] * 10
            assert code_of(database.ping) == "database_unavailable"
        finally:
            private_postgres.thaw()
        write(database)
        write_by_hand(writer, 3)
        writer.close()


def test_a_server_that_is_only_slow_is_not_taken_for_dead(url):
    with opened(url, connect_seconds=2) as database:
        with database.reading() as session:
            session.execute(text("SELECT pg_sleep(5)"))  # in which it is asked twice for a sign of life
        database.ping()


def test_a_backend_that_never_answers_is_given_up_though_the_server_lives(private_postgres):
    with opened(private_postgres.url, connect_seconds=2, statement_seconds=1) as database:

        def freeze_and_ask():
            with database.reading() as session:
                pid = session.scalar(text("SELECT pg_backend_pid()"))
                os.kill(pid, signal.SIGSTOP)
                session.execute(text("SELECT 1"))

        assert code_of(freeze_and_ask) == "database_unavailable"
        database.ping()


def test_connections_that_are_cut_fail_what_was_under_way_and_nothing_after(url):
    with opened(url) as database:
        with pytest.raises(Unavailable) as caught, database.transaction() as session:
            session.add(UserRow(name="ann", role="user"))
            session.flush()
            _cut_others(url)
        assert caught.value.code == "database_unavailable"
        write(database)


def test_a_statement_that_takes_too_long_is_stopped(url):
    with opened(url, statement_seconds=0.1) as database:

        def sleep():
            with database.reading() as session:
                session.execute(text("SELECT pg_sleep(10)"))

        assert code_of(sleep) == "database_slow"
        database.ping()


def test_a_transaction_that_is_left_open_is_ended(url):
    with opened(url, statement_seconds=0.1) as database:
        waited = threading.Event()

        def forget():
            with database.transaction() as session:
                session.execute(text("SELECT 1"))
                waited.wait(timeout=0.5)
                session.execute(text("SELECT 1"))

        assert code_of(forget) == "database_slow"
        database.ping()


def test_a_row_that_another_holds_makes_it_busy(url):
    with opened(url, busy_seconds=0.1) as database:
        write(database)
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM users FOR UPDATE")

            def change():
                with database.transaction() as session:
                    session.execute(text("UPDATE users SET role = 'admin'"))

            assert code_of(change) == "database_busy"
            other.rollback()
        change()


def test_a_pool_that_is_in_use_makes_it_busy(url):
    with opened(url, busy_seconds=0.1, pool_size=2) as database:
        with database.reading() as one, database.reading() as two:
            for session in (one, two):
                session.execute(text("SELECT 1"))
            assert code_of(database.ping) == "database_busy"
        database.ping()


def test_a_database_that_was_made_read_only_says_so(url, postgres_server):
    name = url.rpartition("/")[2]
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with opened(url) as database:
        assert code_of(write, database) == "database_read_only"
        assert code_of(write_by_hand, database.writer(), 1) == "database_read_only"
        database.ping()
        postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        _cut_others(url)
        write(database)


def test_too_many_connections_say_so():
    server = PrivatePostgres(options={"max_connections": "5", "superuser_reserved_connections": "0"}).start()
    try:
        taken = [psycopg.connect(server.url) for _ in range(5)]
        with opened(server.url) as database:
            assert code_of(database.ping) == "database_crowded"
            for connection in taken:
                connection.close()
            database.ping()
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("part", "wrong", "code"),
    [
        ("s3cret", "other", "database_refused"),
        ("app:", "nobody:", "database_refused"),
        ("/test_", "/none_", "database_refused"),
        ("@127.0.0.1:", "@127.0.0.1:1", "database_unavailable"),
        ("@127.0.0.1:", "@host.invalid:", "database_unavailable"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_so(url, caplog, part, wrong, code):
    # A port of more than five digits is none, so the fourth keeps its first four.
    address = url.replace(part, wrong)
    if wrong.endswith(":1"):
        head, _, name = address.rpartition("/")
        address = f"{head[:-1]}/{name}"
    with opened(address) as database:
        assert code_of(database.ping) == code
    assert "s3cret" not in caplog.text
    assert "other" not in caplog.text


def test_an_account_that_may_not_change_tables_is_told_so(url, postgres_server):
    postgres_server.execute("CREATE ROLE looker LOGIN PASSWORD 's3cret'")
    with opened(url.replace("app:", "looker:")) as database:
        assert code_of(write, database) == "database_refused"


def test_moments_are_told_in_utc_whatever_the_zone_of_the_server(url):
    with opened(f"{url}?options=-c%20TimeZone%3DAsia/Tokyo") as database:
        write(database)
        with database.reading() as session:
            assert session.scalar(text("SHOW TimeZone")) == "Asia/Tokyo"
            moment = session.scalars(select(UserRow.created_at)).one()
        assert moment.isoformat().endswith("+00:00")


@pytest.mark.parametrize("name", ["nul \0 in it", "x" * 201])
def test_a_text_that_it_cannot_keep_is_the_fault_of_the_text(url, name):
    with opened(url) as database:
        with pytest.raises(InvalidInput) as caught:
            write(database, name)
        assert caught.value.code == "value_unstorable"
        assert name not in str(caught.value)
        with pytest.raises(InvalidInput), database.reading() as session:
            session.scalar(select(UserRow.id).where(UserRow.name == "\0"))


def test_under_load_every_write_is_kept_or_refused(private_postgres):
    url = private_postgres.create_database()
    with opened(url, pool_size=4) as database:
        upgrade(database.engine)
        kept, refused, other = [], [], []
        stopping = threading.Event()

        def go_on(who):
            for number in range(100_000):
                if stopping.is_set():
                    return
                name = f"{who}-{number}"
                try:
                    write(database, name)
                    kept.append(name)
                except Unavailable:
                    refused.append(name)
                except Exception as error:  # what would be answered with 500
                    other.append(error)

        threads = [threading.Thread(target=go_on, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            _until(lambda: len(kept), more=100)
            private_postgres.kill()
            _until(lambda: len(refused), more=20)
            private_postgres.start()
        _until(lambda: len(kept), more=100)
        stopping.set()
        for thread in threads:
            thread.join()
        with database.reading() as session:
            there = set(session.scalars(select(UserRow.name)))
            assert session.scalar(select(func.count()).select_from(UserRow)) == len(there)
    assert other == []
    assert set(kept) <= there


def _until(count, *, more):
    target = count() + more
    pause = threading.Event()
    while count() < target:
        pause.wait(0.01)


def _cut_others(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
