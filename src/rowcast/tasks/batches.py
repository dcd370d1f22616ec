"""Batches: tasks that are claimed and ended many at a time, each statement for all of them.

The rules are those of ``claims``: one conditional update takes a task, gives a token and a lease, and later changes
carry the token. Here a token is a batch's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from sqlalchemy import update

from rowcast.monitoring.recording import Entry, Recording, Writer
from rowcast.tables import Database, now
from rowcast.tasks.statements import statements_for, stored
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import TaskState


class Claimed(NamedTuple):
    """A task in a worker's hands: the request in ``body`` is to the model that ``subject`` names."""

    id: str
    owner_id: str
    subject: str
    attempt: int
    body: bytes


class Batch(NamedTuple):
    """Tasks that were claimed together; ``token`` proves that they still are."""

    token: str
    tasks: list[Claimed]


class Outcome(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How a task ended, or that it is queued again, with documents as the text of their JSON; ``untried`` is 1 when
    this attempt is not to count."""

    id: str
    state: str
    untried: int
    result: str | None = None
    error: str | None = None
    progress: str | None = None
    due_at: datetime | str | None = None


class Batches:
    """Claims on a connection of their own. For one thread, and another that renews leases."""

    def __init__(self, database: Database, writer: Writer, *, worker: str, lease_seconds: float) -> None:
        self._database = database
        self._writer = writer
        self._sql = statements_for(writer.dialect)
        self._recording = Recording(database, writer.dialect)
        self._worker = worker
        self._lease = timedelta(seconds=lease_seconds)
        self._changing = threading.Lock()

    def close(self) -> None:
        """Let the connection go."""
        self._writer.close()

    def claim(self, ids: Sequence[str]) -> Batch:
        """Take those of the tasks that are queued and due.

        Raises:
            Unavailable: the database does not answer.
        """
        moment, token = now(), f"{self._worker[:40]}/{uuid4().hex[:16]}"
        parameters = (_json(ids), token, self.stored(moment), self.stored(moment + self._lease))
        with self._writer.transaction() as cursor:
            cursor.execute(self._sql.claim, parameters)
            return Batch(token, [Claimed(*row) for row in cursor.fetchall()])

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the tasks that there are.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._writer.transaction() as cursor:
            cursor.execute(self._sql.known, (_json(ids),))
            return {row[0] for row in cursor.fetchall()}

    def settle(self, token: str, outcomes: Sequence[Outcome], entries: Sequence[Entry]) -> None:
        """Put on record how tasks ended, with the receipts of those that ended well. A task that its owner cancelled
        ends so, and one that is no longer held stays as it is: neither has a receipt.

        Raises:
            Unavailable: nothing is on record; the database does not answer.
        """
        receipts = self._recording.completed(entries)
        moment = self.stored(now())
        with self._changing, self._writer.transaction() as cursor:
            cursor.execute(self._sql.settle, (msgspec.json.encode(outcomes).decode(), token, moment))
            settled = {row[0] for row in cursor.fetchall()}
            self._recording.write(cursor, [entry for entry in receipts if entry.id in settled])
            others = [outcome.id for outcome in outcomes if outcome.id not in settled]
            if others:
                cursor.execute(self._sql.stop, (_json(others), token, moment))
                cursor.fetchall()

    def renew(self, token: str) -> None:
        """Keep what is left of a batch for another lease.

        Raises:
            Unavailable: the database does not answer.
        """
        held = update(TaskRow).where(in_state(TaskState.RUNNING), TaskRow.leased_by == token)
        with self._changing, self._database.transaction() as session:
            session.execute(held.values(leased_until=now() + self._lease).execution_options(synchronize_session=False))

    def stored(self, moment: datetime) -> Any:
        """A moment as this database writes it."""
        return stored(moment, self._writer.dialect)


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
