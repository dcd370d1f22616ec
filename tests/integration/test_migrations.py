"""Migrations: in step with the tables, safe to run from two processes, honest about a newer database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import psycopg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from rowcast.adapters.database.check import check
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import differences, metadata, upgrade
from rowcast.errors import Conflict, InvalidInput

START = """
import sys
from rowcast.accounts.keys import first_administrator
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
sys.stdin.readline()
database = open_database(sys.argv[1])
upgrade(database.engine)
with database.transaction() as session:
    print(first_administrator(session) is not None)
"""


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    yield database
    database.dispose()


def test_migrations_build_exactly_the_tables_in_the_code(database_url):
    assert check(database_url) == []


def test_a_folder_may_have_any_name(tmp_path):
    assert check(f"sqlite:///{tmp_path / 'a % sign' / 'rowcast.db'}") == []


def test_a_difference_would_be_seen(database):
    upgrade(database.engine)
    with database.transaction() as session:
        session.execute(text("ALTER TABLE tasks DROP COLUMN due_at"))

    assert "due_at" in str(differences(database.engine))


def test_an_upgrade_can_be_repeated(database):
    upgrade(database.engine)
    upgrade(database.engine)

    assert set(inspect(database.engine).get_table_names()) == {*metadata().tables, "alembic_version"}


def test_processes_that_start_at_once_upgrade_one_after_the_other(database_url):
    command = [sys.executable, "-c", START, database_url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert sorted(answers) == ["False", "False", "False", "True"]


def test_a_new_file_waits_for_whoever_is_just_writing_it(tmp_path):
    other = sqlite3.connect(tmp_path / "rowcast.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    leaving = threading.Timer(0.3, other.execute, ["COMMIT"])
    leaving.start()
    database = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}")
    database.ping()

    leaving.join()
    other.close()
    database.dispose()


def test_a_database_of_a_newer_version_is_left_alone(database):
    upgrade(database.engine)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Conflict) as caught:
        upgrade(database.engine)
    assert caught.value.code == "database_newer"


def test_an_upgrade_that_fails_changes_nothing(database):
    with database.transaction() as session:
        session.execute(text("CREATE TABLE tasks (in_the_way INTEGER)"))

    with pytest.raises(DBAPIError):
        upgrade(database.engine)
    assert inspect(database.engine).get_table_names() == ["tasks"]


def test_foreign_keys_hold_after_an_upgrade(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}")
    upgrade(database.engine)

    for _ in range(3):
        with database.reading() as session:
            assert session.scalar(text("PRAGMA foreign_keys")) == 1
    database.dispose()


def test_an_upgrade_waits_for_another_longer_than_for_anything_else(postgres_url):
    database = open_database(postgres_url, busy_seconds=0.2, statement_seconds=0.2)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_lock(7240151902)")
        waiting = threading.Thread(target=upgrade, args=(database.engine,))
        waiting.start()
        waiting.join(timeout=1)
        assert waiting.is_alive()
        other.execute("SELECT pg_advisory_unlock(7240151902)")
        waiting.join(timeout=30)
    assert inspect(database.engine).has_table("tasks")
    database.dispose()


def test_a_database_that_cannot_keep_every_text_is_refused(postgres_server):
    postgres_server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    database = open_database(postgres_server.url_of("latin"))
    with pytest.raises(InvalidInput) as caught:
        upgrade(database.engine)
    assert caught.value.code == "database_encoding"
    database.dispose()
