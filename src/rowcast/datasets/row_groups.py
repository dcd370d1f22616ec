"""Rows of a stored table that is too large for one machine: the row groups that hold them are read from the storage one
after the other, and of these the columns asked for alone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from rowcast.datasets.ports import Storage

_BATCH = 50_000
"""Rows in memory at once as they were written."""


@dataclass(frozen=True)
class Block:
    """Rows that follow one another, as they were written; ``start`` is the number of the first in the table."""

    start: int
    frame: pl.DataFrame


class RowGroups:
    """The stored table of that key, of which nothing is in memory but the rows at hand."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._file = pq.ParquetFile(_Ranges(storage, key), pre_buffer=True)

    @property
    def row_count(self) -> int:
        return int(self._file.metadata.num_rows)

    def blocks(self, columns: Iterable[str], start: int, end: int) -> Iterator[Block]:
        """The rows from one number to another, in blocks."""
        names, first = list(columns), 0
        for group in range(self._file.num_row_groups):
            size = self._file.metadata.row_group(group).num_rows
            low, high = max(start, first), min(end, first + size)
            if low < high:
                yield from _within(self._file.iter_batches(_BATCH, [group], names), first, low, high)
            first += size


def _within(batches: Iterable[Any], first: int, low: int, high: int) -> Iterator[Block]:
    """Those rows of batches that have numbers from ``low`` to ``high``, the very first being ``first``."""
    for batch in batches:
        start, end = max(low, first), min(high, first + batch.num_rows)
        if start < end:
            yield Block(start, pl.DataFrame(batch).slice(start - first, end - start))
        first += batch.num_rows


class _Ranges(io.RawIOBase):
    """An object of the storage as a file, of which only what is read is fetched."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage = storage
        self._key = key
        self._size = storage.size(key)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._place + size)
        data = self._storage.read_range(self._key, self._place, end) if end > self._place else b""
        self._place += len(data)
        return data
