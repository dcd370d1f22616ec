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
Words = npt.NDArray[np.uint64]
"""64 flags in each, the first in its lowest bit: half the time of a byte for each."""

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
            self._end_records(codes, self._outside_quotes(codes))
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

    def _outside_quotes(self, codes: Bytes) -> npt.NDArray[np.intp]:
        """The places of line ends outside quotes; also counts delimiters there, and quotes where no cell begins."""
        found = self.found
        quotes, delimiters = _packed(codes == _QUOTE), _packed(codes == self._delimiter)
        newlines = codes == _NEWLINE
        inside = _inside(quotes, found.open_quote)
        boundaries = quotes | delimiters | _packed(newlines)
        stray = quotes & inside & ~_after(boundaries, self._last_byte in (_QUOTE, _NEWLINE, self._delimiter))
        if found.size <= 3:  # a quote may follow a byte-order mark
            stray[0] &= ~np.uint64(2 ** (4 - found.size) - 1)
        found.stray_quotes += int(np.bitwise_count(stray).sum())
        found.delimiters += int(np.bitwise_count(delimiters & ~inside).sum())
        found.open_quote = bool(inside[-1] >> np.uint64(63))
        ends = np.flatnonzero(newlines)
        is_end: Mask = inside[ends >> 6] >> (ends & 63).astype(np.uint64) & np.uint64(1) == 0
        return ends[is_end]

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


def _packed(mask: Mask) -> Words:
    packed = np.packbits(mask, bitorder="little")
    words = np.zeros(-(-len(packed) // 8), dtype="<u8")
    words.view(np.uint8)[: len(packed)] = packed
    return words


def _inside(quotes: Words, is_open: bool) -> Words:
    """Which bytes are within quotes, the opening ones included and the closing ones not."""
    inside = quotes.copy()
    for shift in (1, 2, 4, 8, 16, 32):  # each bit becomes the parity of all up to it
        inside ^= inside << np.uint64(shift)
    odd = np.concatenate([[is_open], inside[:-1] >> np.uint64(63) == 1])
    inside[np.logical_xor.accumulate(odd)] ^= np.uint64(2**64 - 1)
    return inside


def _after(flags: Words, first: bool) -> Words:
    """The flags one place later."""
    carried = np.concatenate([np.array([first], dtype="<u8"), flags[:-1] >> np.uint64(63)])
    after: Words = (flags << np.uint64(1)) | carried
    return after


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
