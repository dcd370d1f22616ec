"""Uploads of every make become the same table, or an error that says what to do."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Progress
from rowcast.datasets.reading.importing import import_table
from rowcast.datasets.schema import FeatureSchema
from rowcast.datasets.table import scan
from rowcast.errors import InvalidInput, RowcastError, TooLarge

LIMITS = {"max_columns": 50, "max_cell_bytes": 1000}
HASH = "0" * 64


class Room:
    """A storage folder with what an import needs around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = LocalStorage(folder)
        self.progress: list[Progress] = []

    def upload(
        self, data: bytes, kinds: dict[str, str] | None = None, limits: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        self.storage.put("uploads/task", data)
        return self.run(kinds, limits)

    def run(self, kinds: dict[str, str] | None = None, limits: dict[str, Any] | None = None) -> dict[str, Any]:
        return import_table(
            self.storage,
            self.progress.append,
            source_key="uploads/task",
            content_hash=HASH,
            filename="table.csv",
            kinds=kinds or {},
            limits=limits or LIMITS,
        )

    def refused(self, data: bytes, **options: Any) -> RowcastError:
        with pytest.raises(RowcastError) as refusal:
            self.upload(data, **options)
        assert not list(self.storage.list(f"datasets/{HASH}"))
        return refusal.value

    def raw(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "datasets" / HASH / "table.parquet")

    def typed(self, result: dict[str, Any]) -> pl.DataFrame:
        path = self.folder / "datasets" / HASH / "table.parquet"
        return scan(path, FeatureSchema.model_validate(result["schema"])).collect()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "storage")


def kinds(result: dict[str, Any]) -> dict[str, str]:
    return {feature["name"]: feature["kind"] for feature in result["schema"]["features"]}


def codes(result: dict[str, Any], column: str | None = None) -> set[str]:
    return {w["code"] for w in result["profile"]["warnings"] if column is None or w["column"] == column}


def test_a_plain_table_is_stored_as_written_with_its_source(room: Room) -> None:
    data = b"name,price\nAnna, $1.50\nBerta,\n"
    result = room.upload(data)
    assert result["row_count"] == 2
    assert result["size_bytes"] == len(data)
    assert room.raw().rows() == [("Anna", " $1.50"), ("Berta", "")]
    assert room.storage.read(f"datasets/{HASH}/source") == data
    assert not room.storage.exists("uploads/task")
    assert [p.fraction for p in room.progress] == sorted(p.fraction for p in room.progress)
    assert room.progress[-1].fraction == 1.0


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
def test_encodings(room: Room, encoding: str) -> None:
    text = "Straße;Preis\nMünchen;3,50\nKöln;1.234,00\nÑandú;2,00\n"
    result = room.upload(text.encode(encoding))
    assert room.raw().rows() == [("München", "3,50"), ("Köln", "1.234,00"), ("Ñandú", "2,00")]
    assert room.typed(result)["Preis"].to_list() == [3.5, 1234.0, 2.0]


def test_cyrillic_windows_encoding(room: Room) -> None:
    text = "город;сумма\n" + "Москва;3\nСанкт-Петербург;4\nНовосибирск;5\nЕкатеринбург;6\n" * 5
    room.upload(text.encode("cp1251"))
    assert room.raw()["город"].to_list()[:2] == ["Москва", "Санкт-Петербург"]


def test_an_accent_far_beyond_the_head_is_found(room: Room) -> None:
    text = "a,b\n" + "x,1\n" * 1_100_000 + "é,2\n"
    room.upload(text.encode("latin-1"))
    assert room.raw()["a"][-1] == "é"


@pytest.mark.parametrize(("delimiter"), [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(room: Room, delimiter: str, line_end: str) -> None:
    rows = [["a", "b", "c"], ["1", "", "x y"], ["2", "5", "z"]]
    room.upload(line_end.join(delimiter.join(row) for row in rows).encode())
    assert room.raw().columns == rows[0]
    assert [list(row) for row in room.raw().rows()] == rows[1:]


def test_quotes_hold_delimiters_line_breaks_and_quotes(room: Room) -> None:
    room.upload(b'a,b\r\n"x,\r\ny","say ""hi"""\r\nz,2\r\n')
    assert room.raw().rows() == [("x,\r\ny", 'say "hi"'), ("z", "2")]


def test_a_quote_within_a_cell_is_a_plain_sign(room: Room) -> None:
    room.upload(b'pipe,n\n5" wide,1\n"7"" wide, red",2\n6" wide,3\n')
    assert room.raw().rows() == [('5" wide', "1"), ('7" wide, red', "2"), ('6" wide', "3")]


def test_blank_lines_are_no_rows(room: Room) -> None:
    result = room.upload(b"a,b\n\n1,2\n\n3,4\n\n\n")
    assert result["row_count"] == 2


def test_a_single_column_keeps_blank_rows_as_missing(room: Room) -> None:
    assert room.upload(b"a\n1\n\n3\n")["row_count"] == 3


def test_headers_are_cleaned_and_told(room: Room) -> None:
    result = room.upload(b"a, a ,,b\n1,2,3,4\n5,6,7,8\n")
    assert room.raw().columns == ["a", "a_2", "column_3", "b"]
    assert codes(result, "a_2") == {"duplicate_header"}
    assert codes(result, "column_3") == {"empty_header"}


def test_hostile_names_are_only_names(room: Room) -> None:
    names = ["^.*$", "../../etc/passwd", "'; DROP TABLE x; --", "<script>", "=cmd()", "{0}", "\U0001f600", "%s"]
    result = room.upload((",".join(names) + "\n" + ",".join("12345678") + "\n").encode())
    assert [f["name"] for f in result["schema"]["features"]] == names
    assert room.typed(result).columns == names


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "dataset_empty"),
        (b"  \n \n", "dataset_empty"),
        (b"a,b\n", "dataset_no_rows"),
        (b"a,b", "dataset_no_rows"),
        (b"a,b\n\n\n", "dataset_no_rows"),
        (b"%PDF-1.7 ...", "dataset_not_a_table"),
        (bytes(range(256)) * 20, "dataset_not_a_table"),
        (b"a,b\n1,\x00\n", "dataset_not_a_table"),
        (b'[{"a": 1}]', "dataset_not_a_table"),
        (b"<!DOCTYPE html><html></html>", "dataset_not_a_table"),
        (b"5.1,3.5,1.4\n4.9,3.0,1.4\n4.7,3.2,1.3\n", "dataset_no_header"),
        (b"PAR1 and then nothing", "dataset_unreadable"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "dataset_open_quote"),
    ],
)
def test_what_is_no_table_is_refused(room: Room, data: bytes, code: str) -> None:
    assert room.refused(data).code == code


def test_archives_and_workbooks_are_refused_with_advice(room: Room) -> None:
    assert "Unpack" in room.refused(gzip.compress(b"a,b\n1,2\n")).message
    assert "Unpack" in room.refused(zipped({"bomb.csv": b"0" * 10_000_000})).message
    assert "CSV" in room.refused(zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""})).message


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("bad", [b"3\n", b"3,4,5,6\n"])
def test_ragged_rows_are_named_by_number_and_counts(room: Room, bad: bytes) -> None:
    error = room.refused(b"a,b,c\n1,2,3\n" + bad + b"7,8,9\n")
    assert error.code == "dataset_ragged"
    assert error.problems[0].row == 2
    assert f"has {'4 cells' if b',' in bad else '1 cell'}, the header 3" in error.problems[0].message


def test_short_and_long_rows_do_not_make_up_for_each_other(room: Room) -> None:
    error = room.refused(b"a,b,c\n1,2\n1,2,3,4\n" + b"1,2,3\n" * 5)
    assert [problem.row for problem in error.problems] == [1, 2]


def test_empty_cells_beyond_the_header_are_cut_with_a_warning(room: Room) -> None:
    result = room.upload(b"a,b\n1,2,,\n3,4\n")
    assert room.raw().rows() == [("1", "2"), ("3", "4")]
    assert "ragged_rows" in codes(result)


def test_row_names_without_a_header_are_explained(room: Room) -> None:
    assert "first column a name" in room.refused(b"a,b\n1,2,3\n2,3,4\n3,4,5\n").message


def test_long_cells_and_lines_are_refused(room: Room) -> None:
    error = room.refused(b"a,b\n1,2\n3," + b"x" * 1001 + b"\n")
    assert (error.code, error.problems[0].row, error.problems[0].field) == ("dataset_cell_too_long", 2, "b")
    assert room.refused(b"a,b\n1,2\n3," + b"x" * 200_000 + b"\n").code == "dataset_line_too_long"
    assert room.refused(b"x" * 5_000_000).code == "dataset_line_too_long"
    assert room.refused(b'a,b\n1,"' + b"x\n" * 200_000).code == "dataset_line_too_long"


def test_too_many_columns_are_refused(room: Room) -> None:
    error = room.refused(b",".join(b"c%d" % n for n in range(51)) + b"\n" + b",".join([b"1"] * 51) + b"\n")
    assert isinstance(error, TooLarge)
    assert error.code == "dataset_too_many_columns"


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_parquet_keeps_its_types(room: Room) -> None:
    frame = pl.DataFrame(
        {
            "n": [1.5, None, float("nan")],
            "i": [1, 22, 333],
            "d": [date(2020, 1, 1), None, date(1970, 1, 2)],
            "b": [True, False, None],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        }
    )
    result = room.upload(parquet(frame))
    assert kinds(result) == {"n": "number", "i": "number", "d": "date", "b": "flag", "c": "category"}
    assert room.typed(result).rows() == [
        (1.5, 1.0, 18262.0, 1.0, "x"), (None, 22.0, None, 0.0, "y"), (None, 333.0, 1.0, None, "x"),
    ]  # fmt: skip


def test_nested_parquet_columns_are_named(room: Room) -> None:
    error = room.refused(parquet(pl.DataFrame({"a": [1], "deep": [[1, 2]]})))
    assert (error.code, error.problems[0].field) == ("dataset_unsupported_type", "deep")


def test_long_cells_of_parquet_are_refused(room: Room) -> None:
    frame = pl.DataFrame({"n": [1, 2, 3], "^t.*": ["a", "x" * 1000, "y" * 1001]})
    error = room.refused(parquet(frame))
    assert (error.code, error.problems[0].row, error.problems[0].field) == ("dataset_cell_too_long", 3, "^t.*")
    assert room.refused(parquet(pl.DataFrame({"t": ["x" * 10**6] * 1000}))).code == "dataset_cell_too_long"


def test_parquet_without_rows_or_torn_is_refused(room: Room) -> None:
    assert room.refused(parquet(pl.DataFrame({"a": []}, schema={"a": pl.Int64}))).code == "dataset_no_rows"
    whole = parquet(pl.DataFrame({"a": list(range(1000))}))
    assert room.refused(whole[: len(whole) // 2]).code == "dataset_unreadable"


def test_kinds_may_be_set(room: Room) -> None:
    result = room.upload(b"a,b\n1,2\n3,4\n", kinds={"a": "category"})
    assert kinds(result) == {"a": "category", "b": "number"}
    assert result["schema"]["features"][0]["categories"] == ["1", "3"]


@pytest.mark.parametrize(
    ("told", "code"),
    [({"z": "number"}, "unknown_column"), ({"a": "colour"}, "unknown_kind"), ({"a": "number"}, "impossible_kind"),
     ({"a": "date"}, "impossible_kind"), ({"a": "flag"}, "impossible_kind")],
)  # fmt: skip
def test_kinds_that_cannot_be_are_refused(room: Room, told: dict[str, str], code: str) -> None:
    error = room.refused(b"a,b\nx,2\nz,4\n", kinds=told)
    assert isinstance(error, InvalidInput)
    assert [problem.code for problem in error.problems] == [code]
    assert error.problems[0].field in told


def test_a_second_run_finds_the_source_where_the_first_put_it(room: Room) -> None:
    first = room.upload(b"a,b\n1,2\n3,4\n")
    room.storage.delete(f"datasets/{HASH}/table.parquet")
    assert room.run() == first
    assert room.run() == first


def test_a_failed_run_leaves_what_was_there_before(room: Room) -> None:
    room.upload(b"a,b\n1,2\n3,4\n")
    with pytest.raises(InvalidInput):
        room.run(kinds={"z": "number"})
    assert len(list(room.storage.list(f"datasets/{HASH}"))) == 3


def test_errors_never_repeat_cells(room: Room) -> None:
    secret = b"hunter2"
    for data in (b"a,b\n" + secret + b"\n", b'a,b\n1,2\n"' + secret + b",4\n5,6\n", b"a,b\n" + secret + b"\x00,1\n"):
        error = room.refused(data)
        assert secret.decode() not in str(error.to_dict())


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\r\n", b"\xff\xfe\n\0", b" \n\n"])
def test_a_file_of_an_encoding_mark_alone_is_empty(room: Room, content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        room.upload(content)
    assert caught.value.code == "dataset_empty"
