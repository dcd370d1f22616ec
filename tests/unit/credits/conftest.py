"""A ledger on a database of each kind, with users who have credits."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.credits import accounts
from rowcast.credits.ledger import Asked, Ledger
from rowcast.credits.statements import on_cursor, on_session
from rowcast.credits.tables import BalanceRow
from rowcast.identifiers import new_timed_id
from rowcast.tasks.ledger_check import check_ledger


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


class Bank:
    """A ledger, its database, and what tests ask of both."""

    def __init__(self, database):
        self.database = database
        self.ledger = Ledger()
        self.admin = self.join("carla", Role.ADMIN)
        self._writer = database.writer()

    def join(self, name, role=Role.USER, credits=0):
        with self.database.transaction() as session:
            user = UserRow(name=name, role=role.value)
            session.add(user)
            session.flush()
            principal = Principal(user.id, name, role)
        if credits:
            self.top_up(principal, credits)
        return principal

    def top_up(self, principal, amount, once=None, comment=None):
        with self.database.transaction() as session:
            user = session.get_one(UserRow, principal.id)
            return accounts.top_up(session, self.admin, self.ledger, user, amount, comment, once)

    def limit(self, principal, monthly):
        with self.database.transaction() as session:
            user = session.get_one(UserRow, principal.id)
            accounts.set_limit(session, self.admin, self.ledger, user, monthly)

    def charge(self, *amounts, ledger=None):
        """Each given as (user, amount) and perhaps a key, all in one go by a writer's cursor, as the journal does."""
        asked = [Asked(user.id, new_timed_id(), amount, *key) for user, amount, *key in amounts]
        with self._writer.transaction() as cursor:
            return (ledger or self.ledger).charge(on_cursor(cursor, self._writer.dialect), asked)

    def hold(self, *asked):
        with self.database.transaction() as session:
            return self.ledger.hold(on_session(session), asked)

    def balance(self, principal):
        with self.database.reading() as session:
            row = session.scalar(select(BalanceRow).where(BalanceRow.owner_id == principal.id))
        return (row.available, row.held, row.spent) if row else None

    def check(self):
        with self.database.reading() as session:
            return check_ledger(session, receipt_days=365)

    def close(self):
        self._writer.close()


@pytest.fixture
def bank(database):
    bank = Bank(database)
    yield bank
    bank.close()
