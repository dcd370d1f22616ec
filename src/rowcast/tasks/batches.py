"""Batches: tasks that are claimed and ended many at a time, each statement for all of them.

The rules are those of ``claims``: one conditional update takes a task, gives a token and a lease, and later changes
carry the token. Here a token is a batch's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from sqlalchemy import update
from sqlalchemy.engine.interfaces import DBAPICursor

from rowcast.credits.ledger import Ended, settle
from rowcast.credits.statements import Run, on_cursor
from rowcast.monitoring.recording import Entry, Recording
from rowcast.tables import Database, now
from rowcast.tasks.ports import Claimant
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
    rate: int
    """What a row costs, in thousandths of a credit."""
    traceparent: str | None = None


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

    def __init__(
        self, database: Database, writer: Claimant, *, worker: str, lease_seconds: float, usage_key: bytes = b""
    ) -> None:
        self._database = database
        self._writer = writer
        self._sql = statements_for(writer.dialect)
        self._recording = Recording(writer.dialect, usage_key)
        self._worker = worker
        self._lease = timedelta(seconds=lease_seconds)
        self._changing = threading.Lock()

    def close(self) -> None:
        """Let the connection go."""
        self._writer.close()

    def claim(self, ids: Sequence[str]) -> Batch:
        """Take those of the tasks that are queued and due, in the order given.

        Raises:
            Unavailable: the database does not answer.
        """
        moment, token = now(), f"{self._worker[:40]}/{uuid4().hex[:16]}"
        parameters = (_json(ids), token, self.stored(moment), self.stored(moment + self._lease))
        found = {row[0]: Claimed(*row) for row in self._writer.alone(self._sql.claim, parameters)}
        return Batch(token, [found[id_] for id_ in dict.fromkeys(ids) if id_ in found])

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the tasks that there are.

        Raises:
            Unavailable: the database does not answer.
        """
        return {row[0] for row in self._writer.alone(self._sql.known, (_json(ids),))}

    def settle(self, token: str, outcomes: Sequence[Outcome], entries: Sequence[Entry]) -> None:
        """Put on record how tasks ended, with the receipts of those that ended well. A task that its owner cancelled
        ends so, and one that is no longer held stays as it is: neither has a receipt, and neither is paid.

        Raises:
            Unavailable: nothing is on record; the database does not answer.
        """
        moment = self.stored(now())
        with self._changing, self._writer.transaction() as cursor:
            cursor.execute(self._sql.settle, (msgspec.json.encode(outcomes).decode(), token, moment))
            settled = {task_id: (owner, held) for task_id, owner, held in cursor.fetchall()}
            others = [outcome.id for outcome in outcomes if outcome.id not in settled]
            stopped = self._stopped(cursor, others, token, moment) if others else []
            paid = _paid(on_cursor(cursor, self._writer.dialect), outcomes, settled, stopped, entries)
            self._recording.write(cursor, paid)

    def _stopped(self, cursor: DBAPICursor, ids: Sequence[str], token: str, moment: Any) -> list[Ended]:
        cursor.execute(self._sql.stop, (_json(ids), token, moment))
        return [Ended(owner, task_id, held) for task_id, owner, held in cursor.fetchall()]

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


def _paid(
    run: Run,
    outcomes: Sequence[Outcome],
    settled: Mapping[str, tuple[str, int]],
    stopped: Sequence[Ended],
    receipts: Sequence[Entry],
) -> list[Entry]:
    """The receipts of tasks that were settled, paid from what was set aside for them; what was for others is let go."""
    written = [entry for entry in receipts if entry.id in settled]
    prices = {entry.id: entry.price for entry in written}
    again = {outcome.id for outcome in outcomes if outcome.state == TaskState.QUEUED}
    over = [
        Ended(owner, id_, held, prices.get(id_, 0))
        for id_, (owner, held) in settled.items()
        if held and id_ not in again
    ]
    over += [task for task in stopped if task.held]
    if not over:
        return written
    transfers = settle(run, over)
    return [entry._replace(transfer_id=transfers[entry.principal_id]) if entry.price else entry for entry in written]


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
