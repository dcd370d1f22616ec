"""A file of delimited text on its way to a parser: in UTF-8, with line ends that are known, its dialect found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rowcast.datasets.reading import sniffing
from rowcast.datasets.reading.transcoding import transcode

Say = Callable[[str], None]
"""Told what is going on, for a person."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """Text in an encoding of which ASCII is a part; in UTF-8 unless a survey says otherwise."""

    path: Path
    dialect: sniffing.Dialect


def head_of(path: Path) -> bytes:
    """As much of the file as is looked at to find out what it is."""
    with path.open("rb") as file:
        return file.read(sniffing.HEAD_BYTES)


def open_text(source: Path, folder: Path, max_columns: int, say: Say) -> TextFile:
    """The file, or a copy of it in ``folder`` where characters are wide or lines end as old Macs wrote them.

    Raises:
        InvalidInput: it is no table.
        TooLarge: it has too many columns, or a header without end.
    """
    head = head_of(source)
    encoding = sniffing.wide_encoding(head)
    if encoding is None:
        sniffing.refuse_junk(head)
    sniffing.refuse_endless_line(head, encoding)
    lone_returns = sniffing.cr_ends_lines(head, encoding)
    if encoding in (None, "utf-8") and not lone_returns:
        return _sniffed(source, max_columns)
    say("Rewriting the text as UTF-8")
    return _transcoded(source, encoding or "latin-1", folder, max_columns, cr_ends_lines=lone_returns)


def as_utf8(text: TextFile, not_utf8_at: int, folder: Path, max_columns: int, say: Say) -> TextFile:
    """A copy in UTF-8 of a text that is not, as a survey found at that place."""
    encoding = sniffing.narrow_encoding(_sample(text.path, not_utf8_at))
    say(f"Reading the text as {encoding.upper()}")
    return _transcoded(text.path, encoding, folder, max_columns)


def _transcoded(path: Path, encoding: str, folder: Path, max_columns: int, *, cr_ends_lines: bool = False) -> TextFile:
    target = folder / f"text-{encoding}.csv"
    transcode(path, target, encoding, cr_ends_lines=cr_ends_lines)
    return _sniffed(target, max_columns)


def _sniffed(path: Path, max_columns: int) -> TextFile:
    head = head_of(path)
    is_whole = len(head) < sniffing.HEAD_BYTES
    return TextFile(path, sniffing.sniff_dialect(sniffing.as_text(head), max_columns, is_whole_file=is_whole))


def _sample(path: Path, place: int) -> bytes:
    """Bytes around a place, enough to guess an encoding by."""
    with path.open("rb") as file:
        file.seek(max(0, place - 2**16))
        return file.read(2**18)
