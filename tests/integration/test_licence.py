"""A licensed installation from end to end: what it may do, what was used, and what no longer verifies."""

import csv
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import Conflict, Forbidden, InvalidInput
from rowcast.licences.licence import issue, new_private_key, public_half
from rowcast.licences.statement import read

SUPPLIER = new_private_key()
DAY = timedelta(days=1)


@pytest.fixture
def licensed(tmp_path, server_class, example):
    """Starts a server under a licence; the same data folder each time."""
    running = []
    (tmp_path / "supplier.pub").write_bytes(public_half(SUPPLIER))

    def licensed(**terms):
        for server in running:
            server.stop()
        given = {"seats": 3, "expires_at": datetime.now(UTC) + 300 * DAY} | terms
        (tmp_path / "licence").write_text(issue(SUPPLIER, "Harbour Bank", **given))
        files = {"licence": str(tmp_path / "licence"), "licence_key": str(tmp_path / "supplier.pub")}
        running.append(server_class(tmp_path / "data", **files).start())
        return running[-1]

    yield licensed
    for server in running:
        server.stop()


@pytest.fixture
def row(example):
    with example.open(newline="") as file:
        return next(csv.DictReader(file))


def trained(client, example):
    client.datasets.add(example, name="loans")
    client.train_and_wait(dataset="loans", target="MIS_Status", preset="fast", algorithms=["lightgbm"], folds=2)


def predict(client, row):
    known = {feature.name for feature in client.models.schema("loans").features}
    return client.predict("loans", [{name: cell for name, cell in row.items() if name in known}])


def test_usage_is_stated_and_tampering_shows(licensed, example, row, tmp_path):
    server = licensed()
    with server.client() as client:
        trained(client, example)
        for _ in range(3):
            predict(client, row)
        status = client.licence.status()
        assert (status.customer, status.state, status.seats, status.seats_taken) == ("Harbour Bank", "valid", 3, 1)
        task = client.tasks.submit_predictions("loans", [features(client, row)], wait=20)
        assert client.tasks.wait(task).state == "succeeded"
        first = client.licence.usage()
        stated = read(first, status.public_key.encode())
        assert (stated.number, stated.receipts, stated.rows, stated.seats) == (1, 4, 4, 1)
        predict(client, row)
        second = client.licence.usage()
        assert read(second, status.public_key.encode(), after=first).receipts == 5
        assert client.licence.check(first) == []
    server.stop()
    with sqlite3.connect(tmp_path / "data" / "rowcast.db") as database:
        database.execute("UPDATE receipts SET row_count = 0 WHERE id = (SELECT min(id) FROM receipts)")
    server.start()
    with server.client() as client:
        assert len(client.licence.check()) == 1
        with pytest.raises(Conflict) as refused:
            client.licence.usage()
        assert refused.value.code == "usage_broken"


def features(client, row):
    known = {feature.name for feature in client.models.schema("loans").features}
    return {name: cell for name, cell in row.items() if name in known}


def test_a_licence_ends_after_its_grace(licensed, example, row):
    with licensed(expires_at=datetime.now(UTC) - DAY).client() as client:
        trained(client, example)
        predict(client, row)
        assert client.licence.status().state == "grace"
    with licensed(expires_at=datetime.now(UTC) - 20 * DAY).client() as client:
        for refused in (
            lambda: client.predict("loans", [{}]),
            lambda: client.train_and_wait(dataset="loans", target="MIS_Status"),
            lambda: client.tasks.submit_predictions("loans", [{}]),
            lambda: client.files.submit("loans", example),
        ):
            with pytest.raises(Forbidden) as ended:
                refused()
            assert ended.value.code == "licence_ended"
        assert len(client.predictions.list()) == 1
        assert client.models.get("loans").name == "loans"
        assert client.predictions.replay(client.predictions.list()[0].id).matches


def test_other_models_and_more_seats_are_refused(licensed, example):
    with licensed(models=["cars"], seats=1).client() as client:
        client.datasets.add(example, name="loans")
        with pytest.raises(Forbidden) as refused:
            client.train_and_wait(dataset="loans", target="MIS_Status")
        assert refused.value.code == "licence_model"
        with pytest.raises(Forbidden) as full:
            client.users.add("anne")
        assert full.value.code == "licence_seats"


def test_more_accounts_than_seats_are_warned_of(licensed, capsys):
    with licensed(seats=2).client() as client:
        client.users.add("anne")
    server = licensed(seats=1)

    def rowcast(*arguments):
        assert (
            run(
                Servers(*[lambda *_: 0] * len(Servers.__annotations__)),
                ["--url", server.url, "--api-key", server.key, *arguments],
            )
            == 0
        )
        return capsys.readouterr()

    warning = "The licence has 1 seat, and 2 accounts are not blocked: block 1, or get more."
    assert warning in " ".join(rowcast("licence", "show").out.split())
    assert warning in rowcast("users", "list").err
    finding = next(one for one in json.loads(rowcast("doctor", "--json").out) if one["name"] == "licence")
    assert finding["state"] == "note"
    assert finding["message"] == "valid, of Harbour Bank; 2 of 1 seats are taken"
    assert finding["advice"] == warning


def test_a_licence_of_somebody_else_stops_the_start(licensed, tmp_path, server_class):
    licensed().stop()
    (tmp_path / "licence").write_text(issue(new_private_key(), "X", seats=1, expires_at=datetime.now(UTC) + DAY))
    server = server_class(
        tmp_path / "data", licence=str(tmp_path / "licence"), licence_key=str(tmp_path / "supplier.pub")
    )
    with pytest.raises(AssertionError, match="not signed with this key"):
        server.start()


def test_without_a_licence_nothing_is_counted(client):
    status = client.licence.status()
    assert (status.state, status.customer) == ("free", None)
    with pytest.raises(Conflict) as refused:
        client.licence.usage()
    assert refused.value.code == "licence_none"
    with pytest.raises((Conflict, InvalidInput)):
        client.licence.check("x")
