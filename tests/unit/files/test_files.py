"""Files of every kind on their way through the job: how they are read, written, resumed and refused."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys

import polars as pl
import pytest

from rowcast.datasets.reading import columnar
from rowcast.errors import Conflict, InvalidInput, RowcastError, TooLarge, Unavailable
from rowcast.scoring.files import source
from rowcast.scoring.files.objects import parts_key
from rowcast.scoring.files.parts import Parts

HEADER = ["id", "term", "income", "since", "state", "town", "owns home"]
ADDED = ["prediction", "probability_default"]


def table(content: bytes, **style) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode()), **style))


@pytest.fixture
def answers(shop, make_rows, write):
    """The answers to 300 plain rows."""
    rows = make_rows(300, seed=4)
    shop.score(write(rows), task_id="plain")
    found = [row[-2:] for row in table(shop.predictions("plain"))[1:]]
    assert len(set(map(tuple, found))) > 50
    return rows, found


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(source, "PART_BYTES", 2000)


@pytest.mark.usefixtures("small_parts")
class TestText:
    def test_rows_stay_as_they_were_written(self, shop, answers, write):
        rows, found = answers
        content = write(rows, quoting=csv.QUOTE_ALL)
        shop.score(content)
        lines = shop.predictions().decode().splitlines()
        assert lines[0] == ",".join([*HEADER, *ADDED])
        written = [
            ",".join([line, *answer]) for line, answer in zip(content.decode().splitlines()[1:], found, strict=True)
        ]
        assert lines[1:] == written

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_the_delimiter_stays(self, shop, answers, write, delimiter):
        rows, found = answers
        shop.score(write(rows, delimiter=delimiter))
        read = table(shop.predictions(), delimiter=delimiter)
        assert [row[-2:] for row in read[1:]] == found
        assert read[0] == HEADER + ADDED

    def test_line_breaks_in_quotes_end_no_row(self, shop, answers, write):
        rows, found = answers
        broken = [[f'{row[0]}\nsecond, line\r\n"third"', *row[1:]] for row in rows]
        shop.score(write(broken))
        read = table(shop.predictions())
        assert [row[:-2] for row in read[1:]] == broken
        assert [row[-2:] for row in read[1:]] == found

    @pytest.mark.parametrize(
        ("encoding", "mark"), [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]
    )
    def test_marked_encodings(self, shop, answers, write, encoding, mark):
        rows, found = answers
        shop.score(mark + write(rows).decode().encode(encoding))
        read = table(shop.predictions().removeprefix(b"\xef\xbb\xbf"))
        assert [row[-2:] for row in read[1:]] == found
        assert read[0] == HEADER + ADDED

    def test_one_byte_a_character_found_late(self, shop, answers, write):
        rows, found = answers
        western = [[row[0], *row[1:4], row[4].replace("Ω", "O").replace("東京", ""), *row[5:]] for row in rows]
        western[250][0] = "Zürich"
        shop.score(write(western).decode().encode("cp1252"))
        read = table(shop.predictions())
        assert read[251][0] == "Zürich"
        assert sum(row[-2:] == answer for row, answer in zip(read[1:], found, strict=True)) > 150

    @pytest.mark.parametrize("ends", ["\r\n", "\r"])
    def test_other_line_ends(self, shop, make_rows, write, ends):
        content = write([row for row in make_rows(400, seed=4) if "".join(row).isascii()])
        shop.score(content, task_id="plain")
        shop.score(content.replace(b"\n", ends.encode()))
        assert shop.predictions() == shop.predictions("plain")

    def test_blank_lines_are_no_rows(self, shop, answers, write):
        rows, found = answers
        lines = write(rows).decode().split("\n")
        outcome = shop.score(("\n\n" + "\n\r\n\n".join(lines[:-1])).encode())
        assert outcome["row_count"] == 300
        assert [row[-2:] for row in table(shop.predictions())[1:]] == found

    def test_odd_line_ends_and_marks_stay_where_they_are(self, shop, answers, write):
        rows, found = answers
        marked = [["\ufeff" + row[0], *row[1:-1], row[-1]] for row in rows]
        content = write(marked).decode().replace("\n", "\r\n")
        shop.score(content.encode())
        lines = shop.predictions().decode().split("\n")[1:-1]
        expected = zip(content.split("\r\n")[1:-1], found, strict=True)
        assert lines == [",".join([line, *answer]) for line, answer in expected]

    def test_the_last_line_may_have_no_end(self, shop, answers, write):
        rows, found = answers
        shop.score(write(rows)[:-1])
        assert [row[-2:] for row in table(shop.predictions())[1:]] == found

    def test_stray_quotes_are_read_with_care(self, shop, answers, write):
        rows, found = answers
        content = write(rows).decode().split("\n")
        content[200] = content[200].replace(",", ' 5" wide,', 1)
        shop.score("\n".join(content).encode())
        read = table(shop.predictions())
        assert read[200][0] == rows[199][0] + ' 5" wide'
        assert [row[-2:] for row in read[1:]] == found

    def test_rows_of_another_width_are_listed_and_the_others_answered(self, shop, answers, write):
        rows, found = answers
        ragged = {5: rows[5][:-2], 200: [*rows[200], "more"], 201: [*rows[201], "", ""], 299: ["only one"]}
        content = write([ragged.get(place, row) for place, row in enumerate(rows)])
        outcome = shop.score(b"\n" + content)
        assert (outcome["row_count"], outcome["skipped"], outcome["errors"]) == (300, 3, 3)
        assert [(line["row"], line["field"], line["code"]) for line in shop.errors()] == [
            ("6", "", "ragged_row"), ("201", "", "ragged_row"), ("300", "", "ragged_row"),
        ]  # fmt: skip
        assert shop.errors()[0]["message"] == "Row 6 (line 8) has 5 cells, the header 7."
        read = table(shop.predictions())
        bad = {5, 200, 299}
        assert [row[-2:] for row in read[1:]] == [["", ""] if n in bad else answer for n, answer in enumerate(found)]
        assert [len(row) for row in read] == [9] * 301, "cut, or filled up with empty cells"
        assert read[6][:5] == rows[5][:5] and read[201][:7] == rows[200]

    def test_a_file_whose_rows_are_all_of_another_width_is_refused(self, shop, answers, write):
        rows, _ = answers
        with pytest.raises(InvalidInput, match="one cell more than the header") as caught:
            shop.score(write([["7", *row] for row in rows]))
        assert (caught.value.code, caught.value.problems[0].row) == ("dataset_ragged", 1)
        with pytest.raises(InvalidInput, match="has 6 cells, the header 7"):
            shop.score(write([row[1:] for row in rows]))

    def test_a_cell_that_is_too_long_is_refused(self, shop, answers, write):
        rows, _ = answers
        with pytest.raises(InvalidInput) as caught:
            shop.score(write([*rows[:200], ["x" * 6000, *rows[200][1:]]]))
        assert (caught.value.code, caught.value.problems[0].row) == ("dataset_cell_too_long", 201)

    def test_a_line_without_end_is_refused(self, shop, answers, write):
        rows, _ = answers
        with pytest.raises(TooLarge) as caught:
            shop.score(write(rows) + b"x" * 600_000)
        assert caught.value.code == "dataset_line_too_long"

    def test_rows_are_numbered_through_all_parts(self, shop, make_rows, write):
        rows = make_rows(300, seed=4)
        for place in (0, 17, 122, 299):
            rows[place][1] = "not a number"
        outcome = shop.score(write(rows))
        assert [(line["row"], line["field"], line["code"]) for line in shop.errors()] == [
            (str(place + 1), "term", "field_unreadable") for place in (0, 17, 122, 299)
        ]
        assert (outcome["skipped"], outcome["errors"]) == (4, 4)
        assert "not a number" not in str(shop.errors())
        read = table(shop.predictions())
        assert [number for number, row in enumerate(read) if row[-1] == ""] == [1, 18, 123, 300]


def test_a_decimal_comma_is_read_as_the_model_learned_it(shop, make_rows, write):
    """The model's table has points: "3,14" is no number there, in a file no less than in a call."""
    rows = make_rows(20)
    rows[3][2] = "3,14"
    shop.score(write(rows, delimiter=";"))
    assert [(line["row"], line["code"]) for line in shop.errors()] == [("4", "field_unreadable")]


def test_parquet_in_parquet_out(shop, answers, monkeypatch):
    rows, found = answers
    monkeypatch.setattr(source, "PART_CELLS", 350)
    frame = pl.DataFrame(rows, schema=HEADER, orient="row")
    typed = frame.with_columns(pl.col("term").cast(pl.Int64, strict=False))
    outcome = shop.score(parquet(typed, row_group_size=70))
    assert outcome["format"] == "parquet"
    read = pl.read_parquet(io.BytesIO(shop.predictions()))
    assert read.columns == HEADER + ADDED
    assert read.select(HEADER).equals(typed)
    assert [[value, repr(chance)] for value, chance in read.select(ADDED).rows()] == found
    assert read.schema["probability_default"] == pl.Float64


def test_more_rows_than_are_allowed_are_refused_before_any_is_predicted(shop, answers, write):
    rows, _ = answers
    frame = pl.DataFrame(rows, schema=HEADER, orient="row")
    limits = {"max_columns": 50, "max_cell_bytes": 5000, "max_rows": 299}
    for content in (parquet(frame), write(rows)):
        with pytest.raises(TooLarge, match="more than 299 rows") as caught:
            shop.score(content, limits=limits)
        assert caught.value.code == "dataset_too_many_rows"
        assert not list(shop.storage.list(parts_key("t")))
    assert shop.score(write(rows), limits=limits | {"max_rows": 300})["row_count"] == 300


def test_a_file_that_claims_very_many_rows_is_read_in_blocks(shop, answers, monkeypatch):
    rows, found = answers
    monkeypatch.setattr(columnar, "_BLOCK_CELLS", 7_000)
    frame = pl.DataFrame(rows * 20, schema=HEADER, orient="row")
    assert shop.score(parquet(frame, row_group_size=6000), output="csv")["row_count"] == 6000
    assert [row[-2:] for row in table(shop.predictions())[1:]] == found * 20


def test_the_other_format_and_some_columns(shop, answers, write):
    rows, found = answers
    shop.score(write(rows), output="parquet", columns=["town", "id"])
    read = pl.read_parquet(io.BytesIO(shop.predictions()))
    assert read.columns == ["town", "id", *ADDED]
    shop.score(write(rows), columns=["id"], task_id="some")
    assert table(shop.predictions("some")) == [
        ["id", *ADDED],
        *([row[0], *answer] for row, answer in zip(rows, found, strict=True)),
    ]
    shop.score(parquet(pl.DataFrame(rows, schema=HEADER, orient="row")), output="csv", task_id="other")
    assert [row[-2:] for row in table(shop.predictions("other"))[1:]] == found


def test_a_column_of_the_file_named_as_an_answer_keeps_its_name(shop, answers, write):
    rows, found = answers
    shop.score(write([[*row, "mine"] for row in rows], ["prediction", *HEADER[1:], "x"]))
    read = table(shop.predictions())
    assert read[0] == ["prediction", *HEADER[1:], "x", "rowcast_prediction", "probability_default"]
    assert [row[-2:] for row in read[1:]] == found


def test_the_models_columns_may_be_missing_and_others_may_be_there(shop, answers, write):
    rows, _ = answers
    outcome = shop.score(write([[row[1], "more"] for row in rows], ["term", "something else"]))
    assert (outcome["row_count"], outcome["skipped"]) == (300, 0)
    with pytest.raises(InvalidInput, match="none of the file's columns"):
        shop.score(write([["1"]], ["something else"]))


def test_a_file_of_one_column_keeps_its_empty_cells(shop, write):
    outcome = shop.score(b"term\n12\n\n60\n")
    assert outcome["row_count"] == 3
    assert [row[0] for row in table(shop.predictions())] == ["term", "12", "", "60"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "dataset_empty"),
        (b"term,income\n", "dataset_no_rows"),
        (b"PK\x03\x04 zip", "dataset_not_a_table"),
        (b"PAR1 broken", "dataset_unreadable"),
        (b"term,income\n1,2\n" + b"\0" * 1000, "dataset_not_a_table"),
        (b",".join(b"c%d" % number for number in range(60)) + b"\n", "dataset_too_many_columns"),
    ],
)
def test_what_is_no_table_is_refused_as_an_upload_is(shop, content, code):
    with pytest.raises(RowcastError) as caught:
        shop.score(content)
    assert caught.value.code == code


def test_unknown_columns_are_refused_with_what_was_meant(shop, answers, write):
    with pytest.raises(InvalidInput) as caught:
        shop.score(write(answers[0]), columns=["Term"])
    assert (caught.value.code, caught.value.problems[0].field) == ("column_unknown", "Term")
    assert "did you mean 'term'" in caught.value.message


class Interrupted(Exception):
    pass


@pytest.mark.usefixtures("small_parts")
def test_what_was_finished_is_not_done_again(shop, answers, write, monkeypatch):
    rows, _ = answers
    shop.score(write(rows), task_id="whole")
    put, done = Parts.put, []

    def dies_after_three(self, part, *content):
        if len(done) == 3:
            raise Interrupted
        done.append(part.number)
        put(self, part, *content)

    monkeypatch.setattr(Parts, "put", dies_after_three)
    with pytest.raises(Interrupted):
        shop.score(write(rows), threads=1)
    again = []

    def counts(self, part, *content):
        again.append(part.number)
        put(self, part, *content)

    monkeypatch.setattr(Parts, "put", counts)
    progress = []
    outcome = shop.score(write(rows), report=progress.append)
    assert done == [0, 1, 2]
    assert sorted(again) == list(range(3, 3 + len(again)))
    assert len(again) > 3
    assert shop.predictions() == shop.predictions("whole")
    assert outcome["row_count"] == 300
    fractions = [step.fraction for step in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.usefixtures("small_parts")
def test_finished_parts_are_of_the_upload_that_was_sent(shop, answers, write):
    """Parts of the same places in another file are not taken for this one's."""
    rows, found = answers
    content = write(rows)
    shop.score(content)
    with pytest.raises(Conflict) as caught:
        shop.score(content.replace(b"town", b"Town"), content_hash=hashlib.sha256(content).hexdigest())
    assert caught.value.code == "upload_damaged"
    other = content.replace(b"yes", b"no ")
    assert len(other) == len(content)
    shop.score(other)
    shop.score(content, task_id="t")
    assert [row[-2:] for row in table(shop.predictions())[1:]] == found


@pytest.mark.usefixtures("small_parts")
def test_parts_of_a_text_that_proves_irregular_are_forgotten(shop, answers, write):
    rows, found = answers
    content = write(rows).decode().split("\n")
    content[290] = content[290].replace(",", ' 5" wide,', 1)
    shop.score("\n".join(content).encode())
    ways = {key.split("/")[3] for key in shop.storage.list(parts_key("t"))}
    assert ways == {"plain"}
    assert [row[-2:] for row in table(shop.predictions())[1:]] == found


def test_a_full_disk_is_said_so(shop, answers, write, monkeypatch):
    put = type(shop.storage).put

    def full(self, key, data):
        if key.startswith("scored"):
            raise OSError(28, "No space left on device")
        put(self, key, data)

    monkeypatch.setattr(type(shop.storage), "put", full)
    with pytest.raises(Unavailable) as caught:
        shop.score(write(answers[0]))
    assert caught.value.code == "storage_full"


def parquet(frame: pl.DataFrame, **options) -> bytes:
    written = io.BytesIO()
    frame.write_parquet(written, **options)
    return written.getvalue()


def test_the_job_starts_without_what_only_the_server_needs():
    code = "import sys, rowcast.wiring, rowcast.scoring.files.job, rowcast.scoring.files.opening; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"sqlalchemy", "fastapi", "pydantic_settings", "pandas", "sklearn", "lightgbm"}.intersection(loaded)
