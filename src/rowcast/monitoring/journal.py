"""The journal: prediction calls that happen at the same time are put on record in one transaction.

So nothing is answered that is not on disk, and the cost of a commit is shared by those who wait for it: see
``grouping``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rowcast.credits.ledger import Ledger
from rowcast.credits.statements import on_cursor
from rowcast.errors import RowcastError
from rowcast.grouping import MAX_WAITING, MAX_WAITING_BYTES, Grouping, Wording
from rowcast.monitoring.allowing import Limited, allowed
from rowcast.monitoring.charging import charged
from rowcast.monitoring.recording import Entry, Recording, Writer
from rowcast.monitoring.repeats import Answer, Claims

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
        writer: Writer,
        *,
        ledger: Ledger | None = None,
        usage_key: bytes = b"",
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._writer = writer
        self._ledger = ledger or Ledger()
        self._claims = Claims(writer.dialect)
        self._recording = Recording(writer.dialect, usage_key)
        self._grouping: Grouping[Entry | Limited, Entry | None] = Grouping(
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

    @property
    def waiting(self) -> int:
        """Entries that wait to be written."""
        return self._grouping.waiting

    def start(self) -> None:
        """Begin to write. To be called once."""
        self._grouping.start()

    def close(self) -> None:
        """Take nothing more, write what waits, and return when that is done."""
        self._grouping.close()
        self._writer.close()

    async def record(self, entry: Entry | Limited) -> Entry | None:
        """Return once the entry is on disk; for event loops. A call that was made before under the same idempotency
        key is not written: the entry of the first is returned.

        Raises:
            Conflict: the idempotency key was used for something else.
            TooMany: it is not, for it would go beyond the rows of a day.
            PaymentRequired: it is not, for there are no credits for it.
            Unavailable: it is not, and nothing of it is: the database is busy, full or away, or too many wait.
        """
        return await self._grouping.ask(entry)

    def record_all(
        self,
        several: Sequence[Entry | Limited],
        told: Callable[[Sequence[Entry | RowcastError | None]], None],
        over: Callable[[int], bool],
    ) -> None:
        """The same for several: see ``Grouping.ask_all``."""
        self._grouping.ask_all(several, told, over)

    def record_now(self, entry: Entry | Limited) -> Entry | None:
        """The same for threads: see ``record``."""
        return self._grouping.ask_now(entry)

    def _write(self, take: Callable[[], Sequence[Entry | Limited]]) -> Sequence[Answer]:
        with self._writer.transaction() as cursor:
            run = on_cursor(cursor, self._writer.dialect)
            repeats = self._claims(cursor, take())
            outcomes = charged(self._ledger, run, allowed(run, repeats.new))
            entries = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
            self._recording.write(cursor, entries)
            answers = repeats.answers([None if isinstance(outcome, Entry) else outcome for outcome in outcomes])
        self.commits += 1
        self.written += len(entries)
        self.largest_batch = max(self.largest_batch, len(entries))
        return answers
