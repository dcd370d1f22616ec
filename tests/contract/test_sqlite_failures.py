"""What an SQLite file that is locked, damaged, read-only or full says to whoever runs Rowcast."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading

import pytest
from sqlalchemy import create_engine, event, func, select, text

from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import SqlDatabase, open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import InvalidInput, Unavailable


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rowcast.db"
    database = open_database(f"sqlite:///{path}")
    upgrade(database.engine)
    database.dispose()
    return path


@pytest.fixture
def quick(path):
    database = open_database(f"sqlite:///{path}", busy_seconds=0.2)
    yield database
    database.dispose()


def write(database):
    with database.transaction() as session:
        session.add(UserRow(name="ann", role="user"))


def code_of(call, *arguments):
    with pytest.raises(Unavailable) as caught:
        call(*arguments)
    return caught.value.code


def test_every_commit_is_on_disk_and_readers_do_not_wait(quick):
    with quick.reading() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_another_process_that_writes_makes_it_busy(path, quick):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert code_of(write, quick) == "database_busy"
    quick.ping()
    other.execute("ROLLBACK")
    write(quick)
    other.close()


def test_another_thread_that_writes_makes_it_busy(quick):
    with quick.transaction():
        codes = []
        thread = threading.Thread(target=lambda: codes.append(code_of(write, quick)))
        thread.start()
        thread.join()

    assert codes == ["database_busy"]
    write(quick)


def test_a_transaction_inside_another_is_refused_at_once(quick):
    with pytest.raises(RuntimeError), quick.transaction(), quick.transaction():
        pass
    write(quick)


def test_a_damaged_file_is_said_so(tmp_path):
    (tmp_path / "rowcast.db").write_bytes(b"no database at all, " * 500)
    database = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}")

    assert code_of(database.ping) == "database_damaged"
    assert code_of(upgrade, database.engine) == "database_damaged"
    database.dispose()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    (tmp_path / "rowcast.db").mkdir()
    database = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}")

    assert code_of(database.ping) == "database_unavailable"
    database.dispose()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")

    assert code_of(open_database, f"sqlite:///{tmp_path / 'file' / 'rowcast.db'}") == "database_unavailable"


def test_a_read_only_file_is_said_so(path):
    def connect():
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    database = SqlDatabase(create_engine("sqlite:///unused", creator=connect))

    assert code_of(write, database) == "database_read_only"
    database.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "no address"])
def test_an_address_that_is_no_use_is_refused(url):
    with pytest.raises(InvalidInput):
        open_database(url)


def fill(database):
    with pytest.raises(Unavailable) as caught:
        for number in range(1000):
            with database.transaction() as session:
                session.add_all(UserRow(name=f"{number}-{n}-{'x' * 100}", role="user") for n in range(100))
    return caught.value.code


def check_sound(database):
    with database.reading() as session:
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert session.scalar(select(func.count()).select_from(UserRow)) % 100 == 0


def test_a_file_that_may_not_grow_is_full_and_what_was_there_stays(path):
    database = open_database(f"sqlite:///{path}")
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 100"))

    assert fill(database) == "database_full"
    check_sound(database)
    database.dispose()


@pytest.mark.skipif(os.geteuid() != 0 and "CI" not in os.environ, reason="only root can mount a small disk")
def test_a_full_disk_is_said_so_and_what_was_there_stays(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        database = open_database(f"sqlite:///{tmp_path}/rowcast.db")
        upgrade(database.engine)
        assert fill(database) == "database_full"
        check_sound(database)
        database.dispose()

        storage = LocalStorage(tmp_path / "storage")
        for call in (lambda: storage.put("large", b"x" * 2_000_000), storage.ping):
            with pytest.raises(Unavailable) as caught:
                (tmp_path / "rest").write_bytes(b"")
                _take_all_space(tmp_path / "rest")
                call()
            assert caught.value.code == "storage_full"
        assert list(storage.list("")) == []
        assert list((tmp_path / "storage" / ".tmp").iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def _take_all_space(path):
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1000)
    except OSError:
        pass
