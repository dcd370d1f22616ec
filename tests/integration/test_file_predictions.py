"""Predictions for whole files on a real server: through every door, and through crashes."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import httpx2
import polars as pl
import pytest

from rowcast.client import Client
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import Cancelled, Conflict, InvalidInput, NotFound

REPEATS = 100


def train(client: Client, table: Path, name: str) -> None:
    client.datasets.add(table, name=name)
    client.train_and_wait(
        dataset=name, target="MIS_Status", preset="fast", algorithms=["lightgbm"], folds=2, optional=["*"], promote=True
    )


@pytest.fixture(scope="module")
def table(example, tmp_path_factory) -> Path:
    """600 loans."""
    path = tmp_path_factory.mktemp("table") / "loans.csv"
    with example.open() as file:
        path.write_text("".join(line for line, _ in zip(file, range(601), strict=False)))
    return path


@pytest.fixture(scope="module")
def large(example, tmp_path_factory) -> Path:
    """Half a million loans: 90 MB, a dozen parts."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    header, rows = example.read_text().split("\n", 1)
    with path.open("w") as file:
        file.write(header + "\n")
        for _ in range(REPEATS):
            file.write(rows)
    return path


@pytest.fixture(scope="module")
def loans(client, table) -> str:
    train(client, table, "file_loans")
    return "file_loans"


@pytest.fixture
def rowcast(server, monkeypatch, capfd):
    monkeypatch.setenv("ROWCAST_URL", server.url)
    monkeypatch.setenv("ROWCAST_API_KEY", server.key)

    def call(*arguments):
        capfd.readouterr()
        code = run(Servers(*[lambda *_: 0] * len(Servers.__annotations__)), [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_the_command_answers_as_predict_does(rowcast, client, loans, table, tmp_path):
    code, out, _ = rowcast("--json", "predict-file", loans, table, "-o", tmp_path / "file.csv")
    assert code == 0
    assert json.loads(out)["row_count"] == 600
    assert rowcast("predict", loans, table, "-o", tmp_path / "calls.csv")[0] == 0
    assert cells(tmp_path / "file.csv") == cells(tmp_path / "calls.csv")


def test_bad_rows_are_listed_beside_the_output(rowcast, loans, table, tmp_path):
    bad, rows = tmp_path / "bad.csv", cells(table)[:4]
    rows[2][rows[0].index("NoEmp")] = "many"
    with bad.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    code, _, err = rowcast("predict-file", loans, bad, "-o", tmp_path / "out.csv")
    assert code == 0
    assert "2 rows predicted" in err
    assert "Without a prediction: 1 row;" in err
    assert [line[:3] for line in cells(tmp_path / "out-errors.csv")[1:]] == [["2", "NoEmp", "field_unreadable"]]
    assert "many" not in (tmp_path / "out-errors.csv").read_text()


def test_a_table_that_is_there_needs_no_upload(rowcast, client, loans, tmp_path):
    out = tmp_path / "out.parquet"
    code, _, _ = rowcast("predict-file", loans, f"{loans}@1", "--dataset", "-o", out, "--column", "LoanNr_ChkDgt")
    assert code == 0
    frame = pl.read_parquet(out)
    assert frame.columns == ["LoanNr_ChkDgt", "prediction", "probability_CHGOFF"]
    assert frame.height == 600


def test_a_file_that_lies_about_its_rows_is_not_answered(server, client, loans, table, tmp_path):
    """What is paid for and counted are the rows that its own figures tell."""
    limited = Client(server.url, client.keys.make("counted", rows_per_day=10_000).key)
    frame = pl.read_csv(table, infer_schema=False).select(client.models.schema(loans).names)
    honest, forged = tmp_path / "honest.parquet", tmp_path / "forged.parquet"
    frame.write_parquet(honest, compression="uncompressed")
    content = honest.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    told = footer.index(b"\x16\xb0\x09\x19")  # 600 rows, zigzag, and then the list of row groups
    lying = footer[: told + 1] + b"\x82\x00" + footer[told + 3 :]
    forged.write_bytes(content[: -8 - length] + lying + content[-8:])
    assert limited.files.predict(loans, honest, tmp_path / "honest.csv").row_count == 600
    with pytest.raises(InvalidInput) as refused:
        limited.files.predict(loans, forged, tmp_path / "forged.csv")
    assert refused.value.code == "file_miscounted"
    assert not (tmp_path / "forged.csv").exists()
    limited.close()


def test_the_receipt_tells_of_the_file_and_cannot_be_replayed(client, loans, table, tmp_path):
    made = client.files.predict(loans, table, tmp_path / "out.csv")
    receipt = client.predictions.get(made.receipt)
    assert (receipt.row_count, receipt.inputs_kept, receipt.rows) == (600, "file", None)
    with pytest.raises(Conflict) as caught:
        client.predictions.replay(made.receipt)
    assert caught.value.code == "receipt_of_file"
    assert [found.id for found in client.predictions.list(model=loans)].count(made.receipt) == 1


def test_only_the_owner_downloads_and_only_what_is_finished(server, client, loans, table):
    done = client.tasks.wait(client.files.submit(loans, table))
    address = f"{server.url}/api/v1/tasks/{done.id}/files/predictions"
    answer = httpx2.get(address, headers={"X-API-Key": server.key})
    assert answer.headers["content-disposition"] == 'attachment; filename="loans-predictions.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(answer.content) == int(answer.headers["content-length"])
    other = next(task for task in client.tasks.list() if task.kind == "train")
    with pytest.raises(NotFound) as caught:
        client.files.download(other, "/dev/null")
    assert caught.value.code == "file_not_found"


def test_what_cannot_be_scored_fails_with_what_to_do(client, loans, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput) as caught:
        client.files.predict(loans, wrong, tmp_path / "out.csv")
    assert caught.value.code == "columns_unknown"
    with pytest.raises(NotFound):
        client.files.submit("no_such_model", wrong)
    assert not (tmp_path / "out.csv").exists()


class TestCrashes:
    @pytest.fixture
    def running(self, fresh_server, table, large):
        """A server with a task in the middle of a large file."""
        with fresh_server.client() as client:
            train(client, table, "loans")
            task = client.files.submit("loans", large)
        return fresh_server, task

    def test_a_killed_server_goes_on_where_it_was(self, running, large, tmp_path):
        server, task = running
        parts = server.data_dir / "storage" / "scored" / task.id / "parts" / "written"
        finished = until(lambda: notes(parts) if len(notes(parts)) > 1 else None)
        server.kill()
        finished = notes(parts)
        server.start()
        seen: dict[str, int] = {}
        with server.client() as client:
            while not (latest := client.tasks.get(task)).state.final:
                seen |= notes(parts)
                time.sleep(0.02)
            assert latest.state == "succeeded"
            assert {name: at for name, at in seen.items() if name in finished} == finished
            client.files.download(task, tmp_path / "resumed.csv")
            made = client.files.predict("loans", large, tmp_path / "whole.csv")
            assert made.row_count == 5000 * REPEATS
            receipts = [receipt for receipt in client.predictions.list() if receipt.id == task.id]
        assert len(receipts) == 1
        assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert not parts.exists()

    def test_a_killed_child_is_started_again(self, running, tmp_path):
        server, task = running
        parts = server.data_dir / "storage" / "scored" / task.id / "parts" / "written"
        until(lambda: notes(parts))
        os.kill(child_of(server.process.pid), signal.SIGKILL)
        with server.client() as client:
            done = client.tasks.wait(task)
            assert done.attempts == 2
            assert client.files.result(done).row_count == 5000 * REPEATS

    def test_a_cancel_leaves_nothing_behind(self, running):
        server, task = running
        storage = server.data_dir / "storage"
        until(lambda: notes(storage / "scored" / task.id / "parts" / "written"))
        with server.client() as client:
            client.tasks.cancel(task)
            with pytest.raises(Cancelled):
                client.tasks.wait(task)
            assert client.predictions.list() == []
        until(lambda: not any((storage / "scored").glob(task.id)) and not any((storage / "uploads").iterdir()))


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def notes(parts: Path) -> dict[str, int]:
    """The notes of finished parts, each with when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in parts.glob("*.json")} if parts.exists() else {}


def until(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


def child_of(pid: int) -> int:
    """The job that the server runs."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            if b"import job" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise AssertionError("the server runs no job")
