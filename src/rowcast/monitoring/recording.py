"""Putting receipts on record, in a transaction of whoever calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, cast

from sqlalchemy import Dialect, Table
from sqlalchemy.engine.interfaces import DBAPICursor

from rowcast.monitoring.insertion import Insertion
from rowcast.monitoring.tables import ReceiptRow
from rowcast.monitoring.usage import UsageChain


class Entry(NamedTuple):
    """A receipt to be written: the columns of ``ReceiptRow`` in their order."""

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
    transfer_id: str | None
    inputs_hash: str
    inputs_kept: str
    outputs: bytes
    request: bytes | None
    reply: bytes

    @property
    def size(self) -> int:
        return len(self.outputs) + len(self.request or b"") + len(self.reply)


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


class Recording:
    """Receipts by the driver's own cursor. For one thread. With ``usage_key`` they are chained: see ``usage``."""

    def __init__(self, dialect: Dialect, usage_key: bytes = b"") -> None:
        self._chain = UsageChain(dialect, usage_key) if usage_key else None
        self._insert = Insertion(cast(Table, ReceiptRow.__table__), dialect)

    def write(self, cursor: DBAPICursor, entries: Sequence[Entry]) -> None:
        """Insert the entries."""
        self._insert(cursor, entries)
        if self._chain is not None:
            self._chain.extend(cursor, entries)
