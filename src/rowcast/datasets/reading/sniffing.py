"""What an uploaded file is: Parquet or delimited text, in which encoding, with which delimiter and header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

from rowcast.datasets.values import read_number
from rowcast.errors import InvalidInput, RowcastError, TooLarge

HEAD_BYTES = 4 * 2**20
"""How much of a file is looked at to find out what it is; its header must fit in."""

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_RECORDS = 200
_ARCHIVE = "This is {what}, not a table. Unpack it first and upload the CSV or Parquet file inside."
_OFFICE = "This is {what}. Open it, save the sheet as CSV (UTF-8) and upload that."
_EXPORT = "This is {what}. Export the table as CSV or Parquet and upload that."
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", _ARCHIVE),
    (b"PK\x05\x06", "an empty zip archive", _ARCHIVE),
    (b"\x1f\x8b", "a gzip archive", _ARCHIVE),
    (b"BZh", "a bzip2 archive", _ARCHIVE),
    (b"\xfd7zXZ\x00", "an xz archive", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _ARCHIVE),
    (b"Rar!\x1a\x07", "a RAR archive", _ARCHIVE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file", _OFFICE),
    (b"%PDF", "a PDF document", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"ARROW1", "an Arrow (Feather) file", _EXPORT),
    (b"FEA1", "a Feather file", _EXPORT),
    (b"ORC", "an ORC file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"$FL2", "an SPSS file", _EXPORT),
    (b"<stata_dta>", "a Stata file", _EXPORT),
    (b"\x80\x04\x95", "a Python pickle", _EXPORT),
    (b"\x80\x05\x95", "a Python pickle", _EXPORT),
    (b"\x93NUMPY", "a NumPy file", _EXPORT),
    (b"\x89PNG\r\n\x1a\n", "a picture", _EXPORT),
    (b"\xff\xd8\xff", "a picture", _EXPORT),
    (b"GIF8", "a picture", _EXPORT),
    (b"\x7fELF", "a program", _EXPORT),
)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip
_OTHER_ENCODINGS = ["cp1251", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256", "shift_jis", "euc_jp", "gb18030", "big5",
                    "euc_kr", "cp1252", "cp1250"]  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """How delimited text is written."""

    delimiter: str
    header: tuple[str, ...]


_BLANK = re.compile(rb"(\xef\xbb\xbf|\xff\xfe(\0\0)?|(\0\0)?\xfe\xff)?[\s\0]*")
"""What an empty file may still hold: the mark of an encoding, white space, and the zeros of wide characters."""


def file_format(head: bytes) -> Literal["parquet", "text"]:
    """The format of a file by its first bytes; InvalidInput with what to do instead for anything but a table."""
    if _BLANK.fullmatch(head):
        raise InvalidInput("dataset_empty", "The file is empty. Upload a table with a header and at least one row.")
    if head.startswith(b"PAR1"):
        return "parquet"
    for magic, what, advice in _MAGIC:
        if head.startswith(magic):
            raise not_a_table(*_inside_zip(head, what, advice))
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise not_a_table("a web page or XML document", _EXPORT)
    if re.match(rb'(\{\s*"|\[\s*[\[{])', start):
        raise not_a_table("JSON", _EXPORT)
    return "text"


def _inside_zip(head: bytes, what: str, advice: str) -> tuple[str, str]:
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return "an Excel workbook", _OFFICE
        if b"opendocument" in head:
            return "an OpenDocument file", _OFFICE
    return what, advice


def not_a_table(what: str, advice: str) -> InvalidInput:
    return InvalidInput("dataset_not_a_table", advice.format(what=what))


def binary_junk() -> InvalidInput:
    return InvalidInput(
        "dataset_not_a_table",
        "This is a binary file, not a table in text or Parquet. Export the table as CSV or Parquet and upload that.",
    )


def wide_encoding(head: bytes) -> str | None:
    """The encoding when a byte-order mark or zero bytes give it away, else None (UTF-8 or one byte a character)."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    sample = head[: 64 * 1024]
    if b"\0" not in sample:
        return None
    even, odd = sample[::2], sample[1::2]
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    raise binary_junk()


def refuse_junk(head: bytes) -> None:
    """InvalidInput when the text holds control characters as only binary data does."""
    sample = head[: 64 * 1024]
    control = len(sample) - len(sample.translate(None, delete=bytes(set(range(32)) - {9, 10, 12, 13, 26})))
    if b"\0" in sample or control > 0.01 * len(sample):
        raise binary_junk()


def refuse_endless_line(head: bytes, encoding: str | None) -> None:
    """TooLarge when the file goes on beyond its head without a line break: no header is that long."""
    text = as_text(head, encoding)
    if len(head) >= HEAD_BYTES and "\n" not in text and "\r" not in text:
        raise line_too_long(0, HEAD_BYTES)


def cr_ends_lines(head: bytes, encoding: str | None) -> bool:
    """Whether lines end with a lone carriage return, as old Macs wrote them."""
    text = as_text(head, encoding)
    return "\r" in text and "\n" not in text


def as_text(head: bytes, encoding: str | None = None) -> str:
    """The head as text; without an encoding as UTF-8, or as Latin-1, which tells ASCII apart just as well."""
    if encoding is not None:
        return codecs.getincrementaldecoder(encoding)("replace").decode(head)
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return head.decode("latin-1")


def narrow_encoding(sample: bytes) -> str:
    """The likeliest encoding of text that is not UTF-8, from a sample with some of its non-ASCII bytes.

    Accented letters of western languages stand alone among ASCII letters: that is Windows-1252 (or Latin-1 where
    Windows-1252 has no such byte). Only when they come in runs is another script looked for.
    """
    high = re.findall(rb"[\x80-\xff]+", sample)
    in_runs = sum(len(run) for run in high if len(run) > 1)
    western = "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", sample) else "cp1252"
    if in_runs < 0.5 * sum(map(len, high)):
        return western
    import charset_normalizer  # of use for few files, and slow to load

    best = charset_normalizer.from_bytes(sample, cp_isolation=_OTHER_ENCODINGS).best()
    return best.encoding if best is not None else western


def sniff_dialect(text: str, max_columns: int, *, is_whole_file: bool) -> Dialect:
    """Delimiter and header from the beginning of the text; InvalidInput when there is no header over rows."""
    scored = [(_agreement(text, delimiter, is_whole_file), delimiter) for delimiter in DELIMITERS]
    agreement, delimiter = max(scored, key=lambda pair: pair[0])
    if agreement == (0.0, 0):
        delimiter = next((mark for mark in DELIMITERS if mark not in text), ",")
    records = _records(text, delimiter)
    header = next(records, None)
    if header is None:
        raise InvalidInput(
            "dataset_open_quote", "The header cannot be read: a quote in it is never closed. Close or remove it."
        )
    refuse_wide(len(header), max_columns)
    _refuse_data_as_header(header, next(records, []))
    return Dialect(delimiter, tuple(header))


def no_rows() -> InvalidInput:
    return InvalidInput("dataset_no_rows", "The file has a header but no rows. Upload a table with at least one row.")


def refuse_wide(columns: int, max_columns: int) -> None:
    if columns > max_columns:
        raise TooLarge(
            "dataset_too_many_columns",
            f"The table has {columns:,} columns; at most {max_columns:,} are allowed. Leave out what is not needed, "
            "or raise ROWCAST_MAX_COLUMNS.",
        )


def refuse_long(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise TooLarge(
            "dataset_too_many_rows",
            f"The table has more than {max_rows:,} rows, which is all that is allowed. Split it, or raise "
            "ROWCAST_MAX_TABLE_ROWS.",
        )


def line_too_long(row: int, max_bytes: int) -> RowcastError:
    where = f"Row {row:,}" if row else "The header"
    return TooLarge(
        "dataset_line_too_long",
        f"{where} is longer than {max_bytes:,} bytes: a line break is missing, or a quote is opened there and never "
        "closed. Correct that row and upload the file again.",
    )


def _agreement(text: str, delimiter: str, is_whole_file: bool) -> tuple[float, int]:
    """How well the delimiter explains the text: share of rows as wide as the header (or a near miss), and the width."""
    widths = [len(record) for record in islice(_records(text, delimiter), _SAMPLE_RECORDS)]
    if not is_whole_file and 1 < len(widths) < _SAMPLE_RECORDS:
        widths.pop()  # the head may end within a record
    if not widths or widths[0] < 2:
        return 0.0, 0
    same = sum(width == widths[0] for width in widths) / len(widths)
    return (same, widths[0]) if same > 0.5 or len(widths) < 3 else (same / 100, widths[0])


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """The text's records but for blank lines; reading stops quietly at what the csv module cannot read."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            if record and any(cell.strip() for cell in record):
                yield record
    except csv.Error:
        return


def _refuse_data_as_header(header: Sequence[str], first_row: Sequence[str]) -> None:
    """InvalidInput when the first row holds numbers over numbers; years or 0, 1, 2 ... may be names of columns."""
    numbers = [number for cell in header if (number := read_number(cell)) is not None]
    if len(header) < 2 or len(numbers) * 2 < len(header):
        return
    years = all(number.is_integer() and 1500 <= number <= 2200 for number in numbers)
    counted = all(later - earlier == 1 for earlier, later in pairwise(numbers))
    over_numbers = sum(read_number(cell) is not None for cell in first_row) >= len(numbers)
    if over_numbers and not years and not counted:
        raise InvalidInput(
            "dataset_no_header",
            "The first row looks like data, not like names of columns. Put a row with the names of the columns first.",
        )
