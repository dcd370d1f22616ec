"""The bytes of delimited text before they are parsed: what a parser would choke on is found here, in bounded memory."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rowcast.datasets.reading.sniffing import binary_junk, line_too_long

_BLOCK_BYTES = 2**20  # blocks that stay in the processor's cache
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int64]

OnRecords = Callable[[Ends, Mask], None]
"""Told of records in their order: the place right after each in the file, and which of them are blank."""


@dataclass
class Survey:
    """What the bytes of a file show. A record is a row as written, line breaks within quotes included."""

    records: int = 0
    blank_records: int = 0
    delimiters: int = 0
    longest_record: int = 0
    stray_quotes: int = 0
    open_quote: bool = False
    size: int = 0
    not_utf8_at: int | None = None

    def is_regular(self, width: int) -> bool:
        """Whether quotes are in their places and the delimiters are as many as rows of that width have."""
        rows = self.records - self.blank_records
        return not self.stray_quotes and not self.open_quote and self.delimiters == rows * (width - 1)


class _Surveyor:
    """Walks through a file block by block, with what one block must know of the one before."""

    def __init__(self, delimiter: str, max_record_bytes: int, on_records: OnRecords) -> None:
        self.found = Survey()
        self._on_records = on_records
        self._delimiter = ord(delimiter)
        self._max_record_bytes = max_record_bytes
        self._record_start = 0
        self._last_byte = _NEWLINE
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def walk(self, block: bytes) -> None:
        if b"\0" in block:
            raise binary_junk()
        self._check_utf8(block)
        codes = np.frombuffer(block, np.uint8)
        if self.found.open_quote or b'"' in block:
            outside = self._outside_quotes(codes)
            self.found.delimiters += int(np.count_nonzero((codes == self._delimiter) & outside))
            self._end_records(codes, np.flatnonzero((codes == _NEWLINE) & outside))
        else:
            self.found.delimiters += int(np.count_nonzero(codes == self._delimiter))
            self._end_records(codes, np.flatnonzero(codes == _NEWLINE))
        self._last_byte = block[-1]
        self.found.size += len(block)

    def finish(self) -> Survey:
        if self.found.size > self._record_start:  # the last line has no line end
            self.found.records += 1
            self.found.longest_record = max(self.found.longest_record, self.found.size - self._record_start)
            self._on_records(np.array([self.found.size]), np.array([False]))
        return self.found

    def _check_utf8(self, block: bytes) -> None:
        if self.found.not_utf8_at is not None:
            return
        if block.isascii() and not self._decoder.getstate()[0]:
            return
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError as error:
            self.found.not_utf8_at = self.found.size + max(error.start, 0)

    def _outside_quotes(self, codes: Bytes) -> Mask:
        """Which bytes are outside quotes; also counts the quotes that open where no cell begins."""
        quotes = codes == _QUOTE
        inside = np.logical_xor.accumulate(quotes)
        if self.found.open_quote:
            inside = ~inside
        opening = np.flatnonzero(quotes & inside)
        before = np.where(opening > 0, codes[opening - 1], self._last_byte)
        proper = (before == self._delimiter) | (before == _NEWLINE) | (before == _QUOTE)
        at_start = self.found.size + opening <= 3  # after a byte-order mark
        self.found.stray_quotes += int(np.count_nonzero(~proper & ~at_start))
        self.found.open_quote = bool(inside[-1])
        return ~inside

    def _end_records(self, codes: Bytes, ends: npt.NDArray[np.intp]) -> None:
        found = self.found
        lengths = np.diff(ends + found.size, prepend=self._record_start - 1)
        if lengths.size:
            self._refuse_long(found.records + int(lengths.argmax()), int(lengths.max()))
            found.longest_record = max(found.longest_record, int(lengths.max()))
            before = np.where(ends > 0, codes[ends - 1], self._last_byte)
            blank = (lengths == 1) | ((lengths == 2) & (before == _RETURN))
            found.blank_records += int(np.count_nonzero(blank))
            found.records += lengths.size
            self._record_start = found.size + int(ends[-1]) + 1
            self._on_records(ends + found.size + 1, blank)
        self._refuse_long(found.records, found.size + codes.size - self._record_start)

    def _refuse_long(self, row: int, length: int) -> None:
        if length > self._max_record_bytes:
            raise line_too_long(row, self._max_record_bytes)


def survey(
    path: Path, delimiter: str, max_record_bytes: int, on_records: OnRecords = lambda ends, blank: None
) -> Survey:
    """Look at every byte of a text file. ``on_records`` is called as it goes.

    Raises TooLarge ``dataset_line_too_long`` as soon as a record exceeds ``max_record_bytes``, and InvalidInput
    ``dataset_not_a_table`` for zero bytes.
    """
    surveyor = _Surveyor(delimiter, max_record_bytes, on_records)
    for block in _blocks(path):
        surveyor.walk(block)
    return surveyor.finish()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
