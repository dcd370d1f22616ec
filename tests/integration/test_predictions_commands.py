"""``client.predictions`` and ``rowcast predictions`` on a real server."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime, timedelta

import pytest

from rowcast.client import AsyncClient
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import InvalidInput, NotFound


@pytest.fixture(scope="module")
def loans(client, example, tmp_path_factory):
    """A model that serves, and rows for it."""
    table = tmp_path_factory.mktemp("loans") / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(600), strict=False)))
    client.datasets.add(table, name="receipt_loans")
    client.train_and_wait(
        dataset="receipt_loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True
    )
    names = client.models.schema("receipt_loans").names
    with table.open(newline="") as file:
        return [{name: row[name] for name in names} for row, _ in zip(csv.DictReader(file), range(5), strict=False)]


@pytest.fixture
def rowcast(server, monkeypatch, capfd):
    monkeypatch.setenv("ROWCAST_URL", server.url)
    monkeypatch.setenv("ROWCAST_API_KEY", server.key)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments):
        capfd.readouterr()
        code = run(Servers(*[lambda *_: 0] * len(Servers.__annotations__)), [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_the_client_finds_shows_exports_and_replays(client, loans, tmp_path):
    start = datetime.now(UTC)
    one, five = client.predict("receipt_loans", loans[0]), client.predict("receipt_loans@1", loans)
    assert one.receipt and five.receipt

    newest = client.predictions.list(model="receipt_loans", since=start)
    assert [(item.id, item.row_count, item.alias) for item in newest] == [
        (five.receipt, 5, None), (one.receipt, 1, "champion")
    ]  # fmt: skip
    assert client.predictions.list(model="receipt_loans", version=2) == []
    assert client.predictions.list(until=start - timedelta(days=1)) == []
    assert client.predictions.list(mine=True, limit=1) == newest[:1]
    assert client.predictions.get(one.receipt).answer == one
    assert client.predictions.replay(five.receipt).matches

    with (client.predictions.export(tmp_path / "all.csv", model="receipt_loans", since=start)).open() as file:
        assert [row["receipt"] for row in csv.DictReader(file)] == [one.receipt, *[five.receipt] * 5]
    lines = client.predictions.export(tmp_path / "all.jsonl", since=start).read_text().splitlines()
    assert [json.loads(line)["inputs"] for line in lines] == [loans[0], *loans]
    with pytest.raises(InvalidInput):
        client.predictions.export(tmp_path / "all.txt")
    with pytest.raises(NotFound):
        client.predictions.get("0" * 32)


def test_each_chunk_of_a_long_call_has_a_receipt_of_its_own(client, loans):
    answers = list(client.predict_each("receipt_loans", loans, chunk_rows=2))
    assert len({answer.receipt for answer in answers}) == 3
    assert client.predict("receipt_loans", loans, chunk_rows=2).receipt is None


def test_what_was_answered_before_a_bad_row_is_kept(rowcast, loans, tmp_path):
    path, out = tmp_path / "long.csv", tmp_path / "out.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, loans[0])
        writer.writeheader()
        writer.writerows([loans[0]] * 10_004 + [loans[0] | {"GrAppv": "many"}])

    code, _, err = rowcast("predict", "receipt_loans", path, "--output", out)

    assert code == 4
    assert "The first 10,000 rows went through" in err and "Go on with row 10,001" in err
    with out.open(newline="") as file:
        assert len([row for row in csv.DictReader(file) if row["prediction"]]) == 10_000


def test_the_async_client_does_the_same(server, loans):
    async def calls():
        async with AsyncClient(server.url, server.key) as client:
            answers = await asyncio.gather(*(client.predict("receipt_loans", row) for row in loans))
            replays = await asyncio.gather(*(client.predictions.replay(answer.receipt) for answer in answers))
            return [replay.matches for replay in replays]

    assert asyncio.run(calls()) == [True] * 5


def test_the_reasons_that_were_given_are_given_again(client, loans, server):
    import httpx2

    headers = {"X-API-Key": server.key}
    body = {"rows": loans[:2], "explain": 3}
    reply = httpx2.post(f"{server.url}/api/v1/models/receipt_loans/predict", json=body, headers=headers).json()
    assert len(reply["predictions"][0]["explanation"]["reasons"]) == 3
    receipt = client.predictions.get(reply["receipt"])
    assert receipt.options == {"explain": 3}
    assert client.predictions.replay(receipt.id).matches


def test_the_commands(rowcast, client, loans, tmp_path):
    receipt = client.predict("receipt_loans", loans[0]).receipt
    code, out, _ = rowcast("predictions", "list", "--model", "receipt_loans@1", "--limit", 3)
    assert code == 0 and receipt in out and "receipt_loans@1" in out
    code, out, _ = rowcast("predictions", "show", receipt)
    assert code == 0 and "RENO" in out and "receipt_loans version 1 (champion)" in out
    code, out, _ = rowcast("predictions", "replay", receipt)
    assert (code, out) == (0, "receipt_loans version 1 answers the same again, to the bit.\n")
    code, out, _ = rowcast("predictions", "replay", receipt, "--json")
    assert json.loads(out)["matches"] is True
    code, out, _ = rowcast("predictions", "export", tmp_path / "x.csv", "--model", "receipt_loans")
    assert code == 0 and receipt in (tmp_path / "x.csv").read_text()
    assert rowcast("predictions", "show", "0" * 32)[0] == 3
    assert rowcast("predictions", "list", "--since", "2999-01-01")[1] == "No predictions.\n"
