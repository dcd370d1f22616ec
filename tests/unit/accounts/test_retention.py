"""What is too old goes: counts of days gone by, and deeds; what is not stays."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from rowcast.accounts.retention import BATCH, delete_old_deeds, delete_old_entries
from rowcast.accounts.tables import AuditRow, RowsUsedRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.tables import now


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


def test_deeds_go_when_they_are_old_and_no_others(database):
    old, new = now() - timedelta(days=31), now() - timedelta(days=29)
    with database.transaction() as session:
        for at in [old] * (BATCH + 5) + [new, new]:
            session.add(AuditRow(at=at, action="key.made", subject="", address="", details={}))
    assert delete_old_deeds(database, days=30, stopping=threading.Event()) == BATCH + 5
    assert delete_old_deeds(database, days=30, stopping=threading.Event()) == 0
    with database.reading() as session:
        assert session.scalars(select(AuditRow.at)).all() == [new, new]


def test_the_rows_of_days_gone_by_are_forgotten(database):
    today = now()
    with database.transaction() as session:
        for days in (0, 29, 31):
            day = f"{today - timedelta(days=days):%Y-%m-%d}"
            session.add(RowsUsedRow(subject_id="a" * 32, day=day, row_count=1))
    assert delete_old_entries(database, days=30, stopping=threading.Event()) == 1
    with database.reading() as session:
        assert len(session.scalars(select(RowsUsedRow)).all()) == 2
