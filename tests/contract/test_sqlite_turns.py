"""Processes that write to the same SQLite file take turns."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from sqlalchemy import text

from rowcast.adapters.database.engine import open_database

HOLDER = """
import sys, time
from rowcast.adapters.database.engine import open_database
with open_database(sys.argv[1], alone=False).transaction():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def url(tmp_path):
    address = f"sqlite:///{tmp_path / 'turns.db'}"
    database = open_database(address)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE kept (number INTEGER)"))
    database.dispose()
    return address


def put(database, number):
    with database.transaction() as session:
        session.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})


def test_writers_in_turn_lose_nothing(url):
    # A locked file is held by an opening of it, so two databases in one process are to each other as two processes.
    databases = [open_database(url, alone=False, busy_seconds=0.001) for _ in range(3)]

    def write(database):
        for number in range(100):
            put(database, number)

    writers = [threading.Thread(target=write, args=(database,)) for database in databases]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    with databases[0].reading() as session:
        assert session.scalar(text("SELECT count(*) FROM kept")) == 300
    for database in databases:
        database.dispose()


def test_a_process_that_is_killed_in_its_turn_holds_up_nobody(url):
    with subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        database = open_database(url, alone=False)
        writer = threading.Thread(target=put, args=(database, 1))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive(), "it is not its turn"
        holder.kill()
    writer.join(30)
    assert not writer.is_alive()
    database.dispose()
