from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import polars as pl
import pytest
from commandline import Run
from standin import Standin

from rowcast.entrypoints.cli.reading import reading
from rowcast.entrypoints.cli.writing import columns_of, sentence
from rowcast.errors import InvalidInput
from rowcast.scoring.views import Interval, Prediction

ROWS = [{"amount": "900", "grade": "A"}, {"amount": "", "grade": "Ünlü"}]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_is_a_sentence(rowcast: Run, trained: str) -> None:
    ran = rowcast("predict", trained, '{"amount": 125, "grade": null}')
    assert ran.out == "status: paid. The probability of lost is 12.5 %, about 1 in 8.\n"
    assert "loans version 1 (champion)" in ran.err


def test_one_row_with_its_reasons_as_a_person_would_give_them(rowcast: Run, trained: str) -> None:
    ran = rowcast("predict", trained, '{"amount": 125, "grade": "A"}', "--explain")
    lines = ran.out.splitlines()
    assert lines[0] == "status: paid. The probability of lost is 12.5 %, about 1 in 8."
    assert lines[1] == (
        "Checked on cases with a known outcome that the model had not learned from: of the 400 with the most similar "
        "probability (11.0 % to 14.0 %) 48 turned out lost, 12.0 %. That fits: of all such cases it may be anything "
        "from 10 % to 14 %."
    )
    assert lines[2] == "What moves the probability of lost, strongest first:"
    assert re.fullmatch(r"\+ █{12} +\+0\.75 +amount is 125, which moves the probability of lost\. *", lines[3])
    assert re.fullmatch(r"- █{4} +-0\.25 +grade is A, which moves the probability of lost\. *", lines[4])
    assert lines[5].startswith("The longer the bar, the more it matters: + raises, - lowers.")
    short = rowcast("predict", trained, '{"amount": 125, "grade": "A"}', "--explain", "--reasons", "1").out
    assert "All other features together lower it (-0.25)." in short
    assert "What moves" not in rowcast("predict", trained, '{"amount": 125}').out
    machine = rowcast("predict", trained, '{"amount": 125}', "--explain", "--json").json
    assert machine["predictions"][0]["explanation"]["reason_codes"] == ["AMOUNT"]


def test_reasons_are_written_beside_the_rows(rowcast: Run, trained: str, loans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert rowcast("predict", trained, loans, "--explain", "--reasons", "1", "--output", out).code == 0
    written = table(out)
    assert list(written[0])[-4:] == ["prediction", "probability_lost", "reasons", "notes"]
    assert all(row["reasons"].startswith("amount is") for row in written)


def test_a_number_is_said_with_its_interval() -> None:
    found = Prediction(value=1200.0, interval=Interval(level=0.9, low=900.0, high=1500.5))
    said = "prediction: 1,200. In 90 % of such cases the true one lies between 900 and 1,500.5."
    assert sentence(found, None) == said
    assert columns_of(found) == {"prediction": 1200.0, "low": 900.0, "high": 1500.5}


def test_a_slip_of_the_pen_is_refused_where_a_file_may_have_more(rowcast: Run, trained: str, tmp_path: Path) -> None:
    slip = rowcast("predict", trained, '{"amout": 125}')
    assert slip.code == 4 and "row 1, amout: no such field" in slip.err
    assert rowcast("predict", trained, '{"amount": 125, "status": "paid", "id": "7"}').code == 0
    other = tmp_path / "other.csv"
    other.write_text("x,y\n1,2\n")
    refused = rowcast("predict", trained, other)
    assert refused.code == 4 and "It needs amount, grade." in refused.err
    partly = tmp_path / "partly.csv"
    partly.write_text("amount,x\n125,2\n")
    ran = rowcast("predict", trained, partly)
    assert "Not in the file, taken as not known: grade." in ran.err and "Not used by the model: x." in ran.err


def test_a_file_is_a_table_or_the_servers_answer(rowcast: Run, trained: str, loans: Path) -> None:
    ran = rowcast("predict", trained, loans)
    assert ran.code == 0 and "0.9000" in ran.out
    assert "Not used" not in ran.err  # id was left out of the training, status is its target
    answer = rowcast("predict", trained, loans, "--json").json
    assert (answer["version"], answer["alias"], len(answer["predictions"])) == (1, "champion", 4)


def test_predictions_are_written_beside_the_rows(rowcast: Run, trained: str, loans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert rowcast("predict", trained, loans, "--output", out).code == 0
    written = table(out)
    assert list(written[0]) == ["id", "amount", "grade", "status", "prediction", "probability_lost"]
    assert [(row["id"], row["prediction"]) for row in written] == [
        ("1", "paid"),
        ("2", "lost"),
        ("3", "paid"),
        ("4", "lost"),
    ]
    assert rowcast("predict", trained, loans, "--output", "-").out == out.read_text()
    as_json = tmp_path / "out.json"
    rowcast("predict", trained, loans, "--output", as_json)
    assert json.loads(as_json.read_text())[1] == {
        "id": "2", "amount": "900", "grade": "B", "status": "lost", "prediction": "lost", "probability_lost": 0.9
    }  # fmt: skip
    lines = tmp_path / "out.jsonl"
    rowcast("predict", trained, loans, "--output", lines)
    assert len(lines.read_text().splitlines()) == 4


def test_a_column_that_is_called_prediction_stays(rowcast: Run, trained: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("amount,prediction\n900,mine\n")
    out = tmp_path / "out.csv"
    rowcast("predict", trained, path, "--output", out)
    assert out.read_text().splitlines() == [
        "amount,prediction,rowcast_prediction,probability_lost",
        "900,mine,lost,0.9",
    ]


def test_a_bad_row_refuses_all_or_is_skipped(rowcast: Run, trained: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("amount,grade\n" + "1,A\n" * 2 + "x,A\n" + "900,B\n")
    out = tmp_path / "out.csv"
    refused = rowcast("predict", trained, path, "--output", out)
    assert refused.code == 4 and "  row 3, amount: must be a number" in refused.err
    assert "--skip-bad" in refused.err
    assert not out.exists()
    assert rowcast("predict", trained, path, "--output", out, "--skip-bad").code == 0
    written = table(out)
    assert written[2]["error"] == "amount: must be a number" and written[2]["prediction"] == ""
    assert written[3]["prediction"] == "lost" and written[3]["error"] == ""
    answer = rowcast("predict", trained, path, "--skip-bad", "--json").json
    assert answer["predictions"][2] is None and answer["errors"][0]["row"] == 3


def test_a_long_file_streams_through(rowcast: Run, standin: Standin, trained: str, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "out.csv"
    path.write_text("amount\n" + "".join(f"{n % 1000}\n" for n in range(95)))
    assert rowcast("predict", trained, path, "--output", out).code == 0
    written = table(out)
    assert [float(row["probability_lost"]) for row in written] == [(n % 1000) / 1000 for n in range(95)]


def test_rows_come_from_stdin_too(rowcast: Run, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "amount,grade\n900,A\n",
        '[{"amount": 900}]',
        '{"amount": 900}\n',
        ' {"amount": 900}\n{"amount": 900}\n',
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        answer = rowcast("predict", trained, "-", "--json").json
        assert answer["predictions"][0]["value"] == "lost"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("amount,grade\n900,A\n,Ünlü\n".encode(), "utf8.csv"),
        ("amount,grade\n900,A\n,Ünlü\n".encode("utf-8-sig"), "bom.csv"),
        ("amount,grade\n900,A\n,Ünlü\n".encode("latin-1"), "latin.csv"),
        ("amount,grade\n900,A\n,Ünlü\n".encode("utf-16"), "utf16.csv"),
        ("amount;grade\r\n900;A\r\n;Ünlü\r\n".encode(), "semicolon.csv"),
        ("amount\tgrade\n900\tA\n\tÜnlü\n".encode(), "tabs.tsv"),
        ("amount|grade\n900|A\n|Ünlü\n".encode(), "bars.txt"),
        (' amount ,grade\n"900","A"\n"","Ünlü"\n\n'.encode(), "quoted.csv"),
        ("amount,grade,,\n900,A,,\n,Ünlü,,\n".encode(), "padded.csv"),
        ("amount,grade\n900,A,,\n,Ünlü\n".encode(), "wide.csv"),
        (json.dumps(ROWS).encode(), "rows.json"),
        ("\n".join(map(json.dumps, ROWS)).encode(), "rows.jsonl"),
        ("\n".join(map(json.dumps, ROWS)).encode(), "lines.json"),
    ],
)
def test_every_usual_file_gives_the_same_rows(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with reading(str(path)) as found:
        rows = [{key: row[key] for key in ("amount", "grade")} for row in found.rows]
    assert rows == ROWS


def test_an_encoding_of_another_script_is_found_as_an_upload_would(tmp_path: Path) -> None:
    path = tmp_path / "russian.csv"
    path.write_bytes("город,сумма\nМосква,100\nНовосибирск,200\nЕкатеринбург,300\n".encode("cp1251"))
    with reading(str(path)) as found:
        assert next(iter(found.rows)) == {"город": "Москва", "сумма": "100"}


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"amount": [1.5, None], "grade": ["A", "B"]}).write_parquet(path)
    with reading(str(path)) as found:
        assert list(found.rows) == [{"amount": 1.5, "grade": "A"}, {"amount": None, "grade": "B"}]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty.csv"),
        (b"a,b\n", "header.csv"),
        (b"PK\x03\x04rest", "book.csv"),
        (b"PAR1 but not", "broken.parquet"),
        (b"[1, 2]", "numbers.json"),
        (b"{", "broken.json"),
        (b'{"a": 1}\nnonsense\n', "broken.jsonl"),
    ],
)
def test_what_cannot_be_read_is_said_to_be_so(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput), reading(str(path)) as found:
        list(found.rows)


RAGGED = "amount,grade\n1,A\n\n1\n900,B\nx,A\n1,2,3\n900,B,,\n7\n"


def test_rows_of_another_width_are_bad_rows_like_others(rowcast: Run, trained: str, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "out.csv"
    path.write_text(RAGGED)
    refused = rowcast("predict", trained, path)
    assert refused.code == 4 and "--skip-bad" in refused.err
    assert "  row 2: Row 2 (line 4) has 1 cell, the header 2." in refused.err
    assert "  row 5: Row 5 (line 7) has 3 cells, the header 2." in refused.err
    assert "  row 7: Row 7 (line 9) has 1 cell, the header 2." in refused.err
    answer = rowcast("predict", trained, path, "--skip-bad", "--json").json
    assert [found and found["value"] for found in answer["predictions"]] == [
        "paid", None, "lost", None, None, "lost", None,
    ]  # fmt: skip
    assert [(error["row"], error["code"]) for error in answer["errors"]] == [
        (2, "ragged_row"), (4, "field_unreadable"), (5, "ragged_row"), (7, "ragged_row"),
    ]  # fmt: skip
    ran = rowcast("predict", trained, path, "--skip-bad", "--output", out)
    assert "skipped row 5: Row 5 (line 7) has 3 cells" in ran.err and "Without a prediction: 4 rows." in ran.err
    written = table(out)
    assert [row["prediction"] for row in written] == ["paid", "", "lost", "", "", "lost", ""]
    assert written[4]["error"] == "Row 5 (line 7) has 3 cells, the header 2." and written[3]["error"].startswith(
        "amount:"
    )
    path.write_text("amount,grade\n1\n2\n")
    assert "No row has as many cells as the header." in rowcast("predict", trained, path, "--skip-bad").err


def test_predictions_in_words() -> None:
    assert sentence(Prediction(value=1234.5), None) == "prediction: 1,234.5."
    three = Prediction(value="a", probabilities={"b": 0.2, "a": 0.7, "c": 0.1})
    assert sentence(three, None) == "prediction: a, with a probability of 70.0 % (b: 20.0 %, c: 10.0 %)."
    assert "1 in" not in sentence(Prediction(value="x", probability=0.5), None)
