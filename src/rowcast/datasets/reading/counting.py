"""How many rows a file may have, found without reading its cells: never fewer than it has."""

from __future__ import annotations

from pathlib import Path

from rowcast.datasets.reading import sniffing
from rowcast.datasets.reading.textfile import head_of

_BLOCK_BYTES = 2**20


def most_rows(path: Path) -> int:
    """The rows of a Parquet file by its own figures; of a text its lines but for the header, of which a row that has
    line breaks within quotes is several. 0 for what cannot be read, which no reader will find a row in either.

    Raises:
        InvalidInput: it is no table.
    """
    if sniffing.file_format(head_of(path)) == "parquet":
        return _of_parquet(path)
    return max(0, _lines(path) - 1)


def _of_parquet(path: Path) -> int:
    import polars as pl

    from rowcast.datasets.table import row_count

    try:
        return row_count(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return 0


def _lines(path: Path) -> int:
    """Lines end with a line feed, a carriage return, or both; the last need not end."""
    ends, last = 0, 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            split = last == ord("\r") and block[0] == ord("\n")
            ends += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n") - split
            last = block[-1]
    return ends + (last not in b"\r\n\0")
