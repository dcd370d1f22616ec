"""The journal: prediction calls that happen at the same time are put on record in one transaction.

So nothing is answered that is not on disk, and the cost of a commit is shared by those who wait for it: see
``grouping``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rowcast.grouping import MAX_WAITING, MAX_WAITING_BYTES, Grouping, Wording
from rowcast.monitoring.recording import Entry, Recording, Writer
from rowcast.tables import Database

WORDING = Wording(
    full=("journal_full", "The database does not keep up with recording predictions. Try again in a moment."),
    fault=(
        "receipt_not_written",
        "The prediction could not be recorded, so it is not answered; see the server's log.",
    ),
)


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
        self._writer = writer
        self._recording = Recording(database, writer.dialect)
        self._grouping: Grouping[Entry, None] = Grouping(
            "journal",
            self._write,
            WORDING,
            size=lambda entry: entry.size,
            max_waiting=max_waiting,
            max_waiting_bytes=max_waiting_bytes,
        )
        self.commits = 0
        self.written = 0
        self.largest_batch = 0

    def start(self) -> None:
        """Begin to write. To be called once."""
        self._grouping.start()

    def close(self) -> None:
        """Take nothing more, write what waits, and return when that is done."""
        self._grouping.close()
        self._writer.close()

    async def record(self, entry: Entry) -> None:
        """Return once the entry is on disk; for event loops.

        Raises:
            Unavailable: it is not, and nothing of it is: the database is busy, full or away, or too many wait.
        """
        await self._grouping.ask(entry)

    def record_now(self, entry: Entry) -> None:
        """The same for threads: see ``record``."""
        self._grouping.ask_now(entry)

    def _write(self, take: Callable[[], Sequence[Entry]]) -> list[None]:
        with self._writer.transaction() as cursor:
            entries = take()
            self._recording.write(cursor, self._recording.completed(entries))
        self.commits += 1
        self.written += len(entries)
        self.largest_batch = max(self.largest_batch, len(entries))
        return [None] * len(entries)
