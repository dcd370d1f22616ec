"""The journal: prediction calls that happen at the same time are put on record in one transaction.

A caller hands its entry over and waits. One thread takes whatever waits, writes all of it, commits once, and then lets
all of them go on. So nothing is answered that is not on disk, and the cost of a commit is shared by those who wait
for it: the busier the server, the more share one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import Dialect, Table, select
from sqlalchemy.engine.interfaces import DBAPICursor

from rowcast.errors import Internal, RowcastError, Unavailable
from rowcast.models.tables import ModelVersionRow
from rowcast.monitoring.insertion import Insertion
from rowcast.monitoring.tables import ReceiptRow
from rowcast.tables import Database

MAX_WAITING = 4096
MAX_WAITING_BYTES = 256 * 2**20
"""What may wait when the database stalls; whoever comes then is told to come back."""

FULL = ("journal_full", "The database does not keep up with recording predictions. Try again in a moment.")
CLOSED = ("server_stopping", "The server is stopping. Try again in a moment.")
FAULT = ("receipt_not_written", "The prediction could not be recorded, so it is not answered; see the server's log.")

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A receipt to be written: the columns of ``ReceiptRow`` in their order. The journal fills in
    ``dataset_version_id``: what a version was trained on is known to the database, not on the hot path."""

    id: str
    principal_id: str
    model: str
    number: int
    alias: str | None
    model_version_id: str
    bundle_hash: str
    dataset_version_id: str | None
    policy_version: int | None
    row_count: int
    skipped: int
    price: int
    inputs_hash: str
    inputs_kept: str
    options: str | None
    outputs: bytes
    inputs: bytes | None
    reply: bytes

    @property
    def size(self) -> int:
        return len(self.outputs) + len(self.inputs or b"") + len(self.reply)


class Writer(Protocol):
    """A connection that is held for whoever writes all the time."""

    @property
    def dialect(self) -> Dialect:
        """What its statements are written in."""
        ...

    def transaction(self) -> AbstractContextManager[DBAPICursor]:
        """One unit of work: committed to disk at the end, rolled back on an exception."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class _Waiting(NamedTuple):
    entry: Entry
    future: asyncio.Future[None] | Future[None]
    loop: asyncio.AbstractEventLoop | None


class Journal:
    """Takes entries from event loops and from threads. ``start`` it, ``close`` it."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._database = database
        self._writer = writer
        self._insert = Insertion(cast(Table, ReceiptRow.__table__), writer.dialect)
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._closed = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._trained_on: dict[str, str | None] = {}
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.commits = 0
        self.written = 0
        self.largest_batch = 0

    def start(self) -> None:
        """Begin to write. To be called once."""
        self._thread.start()

    def close(self) -> None:
        """Take nothing more, write what waits, and return when that is done."""
        with self._lock:
            self._closed = True
        self._wake.put(None)
        self._thread.join()
        self._writer.close()

    async def record(self, entry: Entry) -> None:
        """Return once the entry is on disk; for event loops.

        Raises:
            Unavailable: it is not, and nothing of it is: the database is busy, full or away, or too many wait.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._hand_over(_Waiting(entry, future, loop)):
            # Not at once but at the end of this turn of the loop: calls that came with this one go with it.
            loop.call_soon(self._wake.put, None)
        await future

    def record_now(self, entry: Entry) -> None:
        """The same for threads: see ``record``."""
        future: Future[None] = Future()
        self._hand_over(_Waiting(entry, future, None))
        self._wake.put(None)
        future.result()

    def _hand_over(self, waiting: _Waiting) -> bool:
        """Let the entry wait for the writer; whether it is the first that does."""
        size = waiting.entry.size
        with self._lock:
            if self._closed:
                raise Unavailable(*CLOSED)
            idle = not self._waiting
            too_many = len(self._waiting) >= self._max_waiting
            if too_many or (not idle and self._waiting_bytes + size > self._max_waiting_bytes):
                raise Unavailable(*FULL)
            self._waiting.append(waiting)
            self._waiting_bytes += size
        return idle

    def _run(self) -> None:
        while True:
            with suppress(Empty):  # a loop that ended before its turn did has not said that something waits
                self._wake.get(timeout=1)
            with self._lock:
                batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
                closed = self._closed
            if batch:
                self._settle(batch)
            if closed:
                return

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Write the batch and tell whoever waits for it how that went."""
        try:
            self._write([waiting.entry for waiting in batch])
        except RowcastError as error:
            _tell(batch, error)
        except Exception as error:  # noqa: BLE001  (without this thread nobody would be answered any more)
            # The type only: the text of a database's exception has the values of its statement.
            log.error("journal: %s while writing %d receipts", type(error).__name__, len(batch))
            if len(batch) == 1:
                _tell(batch, Internal(*FAULT))
                return
            for waiting in batch:  # one that cannot be written must not take the others with it
                self._settle([waiting])
        else:
            _tell(batch, None)

    def _write(self, entries: Sequence[Entry]) -> None:
        completed = self._completed(entries)
        with self._writer.transaction() as cursor:
            self._insert(cursor, completed)
        self.commits += 1
        self.written += len(entries)
        self.largest_batch = max(self.largest_batch, len(entries))

    def _completed(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries with what their versions were trained on."""
        unknown = {entry.model_version_id for entry in entries} - self._trained_on.keys()
        if unknown:
            self._look_up(unknown)
        return [entry._replace(dataset_version_id=self._trained_on[entry.model_version_id]) for entry in entries]

    def _look_up(self, version_ids: set[str]) -> None:
        row = ModelVersionRow
        with self._database.reading() as session:
            found = session.execute(select(row.id, row.dataset_version_id).where(row.id.in_(version_ids))).all()
        self._trained_on |= {**dict.fromkeys(version_ids), **dict(found)}


def _tell(batch: Sequence[_Waiting], error: RowcastError | None) -> None:
    """Let all who wait go on, with one call into each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Any]] = {}
    for _, future, loop in batch:
        if loop is None:
            _resolve([future], error)
        else:
            loops.setdefault(loop, []).append(future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _resolve(futures: Sequence[Any], error: RowcastError | None) -> None:
    for future in futures:
        if future.done():  # the caller went away meanwhile
            continue
        if error is None:
            future.set_result(None)
        else:
            # An exception of each caller's own: one that is raised in many places gathers all their tracebacks.
            future.set_exception(type(error)(error.code, error.message))
