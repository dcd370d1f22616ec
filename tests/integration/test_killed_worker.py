"""kill -9 of a worker in the middle of a job: the task runs again elsewhere and ends once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from rowcast.accounts.keys import first_administrator
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Unavailable
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow

WORKER = Path(__file__).with_name("task_worker_process.py")


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def task_id(database):
    with database.transaction() as session:
        first_administrator(session)
        user = session.query(UserRow).one()
        owner = Principal(user.id, user.name, Role.ADMIN)
        return submit(session, owner, kind="test", lane="data", subject="bread", payload={}).id


@pytest.fixture
def start(tmp_path, database_url):
    started = []

    def start():
        command = [sys.executable, str(WORKER), str(tmp_path), database_url]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.stdin.close()
        process.wait(timeout=30)


def times_begun(folder):
    begun = folder / "begun"
    return len(begun.read_text().splitlines()) if begun.exists() else 0


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def put_to_sleep(process, database_url):
    """Stop the process at a moment at which it holds no lock of the database, which would keep out everybody."""
    impatient = open_database(database_url, busy_seconds=0.5)
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            with impatient.transaction() as session:
                session.execute(text("UPDATE tasks SET id = id"))
        except Unavailable:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        else:
            break
    impatient.dispose()


def row(database, task_id):
    with database.reading() as session:
        return session.get_one(TaskRow, task_id)


def test_a_killed_worker_loses_no_task_and_ends_none_twice(database, task_id, start, tmp_path):
    first = start()
    wait_until(lambda: times_begun(tmp_path) == 1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert row(database, task_id).state == "running"

    start()
    wait_until(lambda: times_begun(tmp_path) == 2)
    (tmp_path / "gate").touch()
    wait_until(lambda: row(database, task_id).state == "succeeded")

    stored = row(database, task_id)
    assert (stored.attempts, stored.result) == (2, {"made": "bread"})


def test_a_worker_that_only_slept_too_long_changes_nothing_when_it_wakes(
    database, database_url, task_id, start, tmp_path
):
    sleeper = start()
    wait_until(lambda: times_begun(tmp_path) == 1)
    put_to_sleep(sleeper, database_url)
    start()
    wait_until(lambda: times_begun(tmp_path) == 2)

    (tmp_path / "gate").touch()
    wait_until(lambda: row(database, task_id).state == "succeeded")
    ended = row(database, task_id).finished_at
    sleeper.send_signal(signal.SIGCONT)
    sleeper.stdin.close()
    sleeper.wait(timeout=30)

    stored = row(database, task_id)
    assert (stored.attempts, stored.finished_at, stored.result) == (2, ended, {"made": "bread"})
