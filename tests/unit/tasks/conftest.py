"""A database, a storage and some callers."""

from __future__ import annotations

import pytest

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.adapters.storage.local import LocalStorage
from rowcast.tasks.submission import submit


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path / "storage")


@pytest.fixture
def join(database):
    """Makes a user of a name and role and gives them as a caller."""

    def join(name, role=Role.ANALYST):
        with database.transaction() as session:
            user = UserRow(name=name, role=role.value)
            session.add(user)
            session.flush()
            return Principal(user.id, name, role)

    return join


@pytest.fixture
def ann(join):
    return join("ann")


@pytest.fixture
def add_task(database, ann):
    """Puts a task on record and gives its id."""

    def add_task(kind="test", lane="data", owner=ann, **payload):
        with database.transaction() as session:
            return submit(session, owner, kind=kind, lane=lane, subject="table", payload=payload).id

    return add_task
