"""Calls under an idempotency key: one that is made again is answered from the record, and not written and paid again.

A key is claimed in the transaction that writes the receipt, before anything is paid. Of two calls at the same moment,
on whatever servers, the second waits for the first there, and then finds its receipt; a call that was refused, or whose
server died before its commit, leaves its key free.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from sqlalchemy import Dialect, Table
from sqlalchemy.engine.interfaces import DBAPICursor

from rowcast.credits.statements import Run, on_cursor
from rowcast.errors import Conflict, RowcastError
from rowcast.monitoring.allowing import Limited, Once
from rowcast.monitoring.insertion import Insertion
from rowcast.monitoring.recording import Entry
from rowcast.monitoring.tables import PredictionKeyRow

IF_FREE = "ON CONFLICT (key) DO NOTHING RETURNING receipt_id"

FREE = """
DELETE FROM prediction_keys WHERE key IN (SELECT new.key FROM {claims})
"""
"""Takes $1 keys."""

_COLUMNS = ", ".join(f"receipts.{name}" for name in Entry._fields)
FIRST = f"""
SELECT prediction_keys.key, prediction_keys.asked, {_COLUMNS}
FROM prediction_keys JOIN receipts ON receipts.id = prediction_keys.receipt_id
WHERE prediction_keys.key IN (SELECT new.key FROM {{claims}})
"""  # noqa: S608  (names of our own columns)
"""Takes the same. Gives the receipts that were written under these keys, with the hash of what was asked."""

Answer = Entry | RowcastError | None
"""What becomes of a request: the entry of the first call under its key, why it is refused, or None: it is on record."""


def once_of(key: str, entry: Entry, body: bytes) -> Once:
    """A call as it is kept: nobody meets the key of another, and neither that nor what was asked can be read or tried
    out in the database. What was asked is the request as it was sent, of whichever version where that was called by an
    alias, which may have moved when it is asked again."""
    asked = hmac.new(key.encode(), f"{entry.model}\n{entry.alias or entry.number}\n".encode(), hashlib.sha256)
    asked.update(body)
    return Once(hashlib.sha256(f"{entry.principal_id} {key}".encode()).hexdigest(), asked.hexdigest())


class Claims:
    """Claims keys by the cursor of a ``Writer``."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._insert = Insertion(cast(Table, PredictionKeyRow.__table__), dialect, IF_FREE)

    def __call__(self, cursor: DBAPICursor, requests: Sequence[Entry | Limited]) -> Repeats:
        """Which of the requests are new, in a transaction that goes on to write those."""
        keys = {one.id: one.once for one in requests if isinstance(one, Limited) and one.once is not None}
        # In one order for all transactions, so that no two wait for each other.
        free = self._insert(cursor, sorted((once.key, receipt_id, once.asked) for receipt_id, once in keys.items()))
        return Repeats(on_cursor(cursor, self._dialect), requests, keys, keys.keys() - {one for (one,) in free})


class Repeats:
    """The requests of a transaction, with the keys of those that have one by the ids of their receipts; ``new`` are all
    but the ``repeated``, which an earlier request, of this or of another transaction, has made."""

    def __init__(
        self, run: Run, requests: Sequence[Entry | Limited], keys: Mapping[str, Once], repeated: Collection[str]
    ) -> None:
        self._run = run
        self._requests = requests
        self._keys = keys
        self._repeated = repeated
        self.new = [one for one in requests if one.id not in repeated] if repeated else requests

    def answers(self, outcomes: Sequence[RowcastError | None]) -> Sequence[Answer]:
        """The answer to every request, given the outcomes of the ``new``, which are on record by now if they can be."""
        if not self._keys:
            return outcomes
        told: dict[str, Answer] = dict(zip((one.id for one in self.new), outcomes, strict=True))
        unkept = {
            one.id: error for one, error in zip(self.new, outcomes, strict=True) if error and one.id in self._keys
        }
        refused = {self._keys[one].key: error for one, error in unkept.items()}
        if unkept:
            self._run(FREE, self._claims(unkept))
        if self._repeated:
            told |= self._found(refused)
        return [told[one.id] for one in self._requests]

    def _found(self, refused: Mapping[str, RowcastError]) -> dict[str, Answer]:
        """The answers to repeated requests: what the first was told, or its entry if it asked for the same."""
        found = self._run(FIRST, self._claims(self._repeated))
        first = {key: (asked, Entry(*columns)) for key, asked, *columns in found}
        return {
            one: refused.get(self._keys[one].key) or _first(self._keys[one], first.get(self._keys[one].key))
            for one in self._repeated
        }

    def _claims(self, ids: Iterable[str]) -> list[dict[str, str]]:
        return [{"key": self._keys[one].key} for one in ids]


def _first(once: Once, first: tuple[str, Entry] | None) -> Entry | Conflict:
    if first is None:
        message = "The call under this Idempotency-Key is no longer on record. Use a new key."
        return Conflict("idempotency_key_reused", message)
    asked, entry = first
    if asked != once.asked:
        message = "This Idempotency-Key was used for another request. Use a new key for each thing that is to be done."
        return Conflict("idempotency_key_reused", message)
    return entry
