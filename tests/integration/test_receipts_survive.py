"""kill -9 under load: every prediction that was answered has its receipt, and is answered again to the bit."""

from __future__ import annotations

import csv
import random
import sqlite3
import threading
import time

import httpx2
import pytest

ROUNDS = 5
CALLERS = 8


@pytest.fixture
def rows(fresh_server, example, tmp_path):
    """Rows for a model that serves."""
    table = tmp_path / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(600), strict=False)))
    with fresh_server.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(
            dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True
        )
        names = client.models.schema("loans").names
    with table.open(newline="") as file:
        return [{name: row[name] for name in names} for row in csv.DictReader(file)]


class Load:
    """Threads that predict until the server is gone, and remember what they were answered."""

    def __init__(self, server, rows):
        self.answered: list[tuple[str, list]] = []
        self.refusals: list[str] = []
        self._server = server
        self._rows = rows
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def under_way(self):
        """Return when every caller is under way, so that the kill comes in the midst of it."""
        deadline = time.monotonic() + 30
        while len(self.answered) < 2 * CALLERS and not self.refusals:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.01)

    def end(self):
        for thread in self._threads:
            thread.join()

    def _call(self, number):
        chosen = random.Random(number)
        with httpx2.Client(headers={"Authorization": f"Bearer {self._server.key}"}) as http:
            try:
                while True:
                    body = {"rows": chosen.choices(self._rows, k=chosen.choice([1, 1, 1, 50]))}
                    answer = http.post(f"{self._server.url}/api/v1/models/loans/predict", json=body)
                    if answer.status_code != 200:
                        self.refusals.append(answer.text)
                        return
                    self.answered.append((answer.json()["receipt"], answer.json()["predictions"]))
            except httpx2.TransportError:
                return


def recorded(server):
    database = sqlite3.connect(server.data_dir / "rowcast.db")
    ids = {row[0] for row in database.execute("SELECT id FROM receipts")}
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    return ids


def test_no_answer_is_without_its_receipt_however_often_the_server_is_killed(fresh_server, rows):
    answered = 0
    for _ in range(ROUNDS):
        load = Load(fresh_server, rows)
        load.under_way()
        time.sleep(random.uniform(0, 1.5))
        fresh_server.kill()
        load.end()
        fresh_server.start()
        assert load.refusals == []
        answered += len(load.answered)
        assert {receipt for receipt, _ in load.answered} <= recorded(fresh_server)
        with fresh_server.client() as client:
            for receipt, predictions in load.answered[-40:]:  # those nearest to the kill
                repeated = client.predictions.replay(receipt)
                assert repeated.matches
                assert repeated.answer.model_dump(exclude_none=True)["predictions"] == predictions
    assert answered <= len(recorded(fresh_server)) <= answered + ROUNDS * CALLERS
