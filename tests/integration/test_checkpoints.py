"""SQLite's log while many commit: it stays short, and what was committed is there."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from rowcast.adapters.database.checkpoints import COMMITS, LOG_PAGES, LOG_PAGES_AT_MOST
from rowcast.adapters.database.engine import SqlDatabase, open_database

PAGE_BYTES = 4096 + 24
CONTENT = b"x" * 60_000
"""Some fifteen pages of the log."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqlDatabase]:
    opened = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}", alone=False)
    with opened.transaction() as session:
        session.execute(text("CREATE TABLE kept (content BLOB)"))
    yield opened
    opened.dispose()


def write(database: SqlDatabase, commits: int) -> None:
    writer = database.writer()
    for _ in range(commits):
        with writer.transaction() as cursor:
            cursor.execute("INSERT INTO kept VALUES (?)", (CONTENT,))
    writer.close()


def log_pages(folder: Path) -> float:
    return (folder / "rowcast.db-wal").stat().st_size / PAGE_BYTES


def test_the_log_begins_anew_while_two_write_all_the_time(database: SqlDatabase, tmp_path: Path) -> None:
    writers = [threading.Thread(target=write, args=(database, 3 * COMMITS)) for _ in range(2)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert log_pages(tmp_path) < LOG_PAGES_AT_MOST
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM kept")).scalar_one() == 6 * COMMITS
    database.dispose()
    assert not any(thread.name == "checkpoints" for thread in threading.enumerate())
    with sqlite3.connect(tmp_path / "rowcast.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_whoever_reads_goes_on_seeing_what_was_there(database: SqlDatabase, tmp_path: Path) -> None:
    with database.reading() as session:
        count = text("SELECT count(*) FROM kept")
        assert session.execute(count).scalar_one() == 0
        write(database, 2 * COMMITS)
        assert session.execute(count).scalar_one() == 0
    assert log_pages(tmp_path) > LOG_PAGES  # it could not begin anew
    write(database, COMMITS)
    with database.reading() as session:
        assert session.execute(count).scalar_one() == 3 * COMMITS
