"""How many rows a file may have: never fewer than there are."""

import polars as pl
import pytest

from rowcast.datasets.reading import counting
from rowcast.datasets.reading.counting import most_rows
from rowcast.errors import InvalidInput


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", 2),
        (b"a,b\n1,2\n3,4", 2),
        (b"a,b\r\n1,2\r\n3,4\r\n", 2),
        (b"a,b\r1,2\r3,4", 2),
        (b"a,b\n", 0),
        (b"a,b", 0),
        (b'a,b\n"1\n1",2\n', 2),
        ("a,b\n1,2\n3,4\n".encode("utf-16"), 2),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 2**20])
def test_lines_but_for_the_header_are_rows(tmp_path, monkeypatch, content, rows, block):
    monkeypatch.setattr(counting, "_BLOCK_BYTES", block)
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert most_rows(path) == rows


def test_a_parquet_file_says_itself(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": range(1234)}).write_parquet(path)
    assert most_rows(path) == 1234


def test_what_nobody_can_read_has_no_rows(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1" + b"\1" * 100)
    assert most_rows(path) == 0


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"")
    with pytest.raises(InvalidInput):
        most_rows(path)
