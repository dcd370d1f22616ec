"""A server on PostgreSQL: the main job, and a database that is killed and started again under load: every call is
answered as it should be or told to come back, and what was answered is on record."""

from __future__ import annotations

import csv
import threading
import time

import httpx2
import psycopg
import pytest

CALLERS = 6
ROUNDS = 3


@pytest.fixture
def database_url(private_postgres):
    return private_postgres.create_database()


@pytest.fixture
def server(server_class, tmp_path, database_url):
    running = server_class(tmp_path / "data", database_url=database_url, database_pool_size="6").start()
    yield running
    running.stop()


@pytest.fixture
def rows(server, example, tmp_path):
    """Rows for a model that serves."""
    table = tmp_path / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(400), strict=False)))
    with server.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(
            dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True
        )
        names = client.models.schema("loans").names
    with table.open(newline="") as file:
        return [{name: row[name] for name in names} for row in csv.DictReader(file)]


class Load:
    """Threads that call the server until told to stop; what was answered, by status."""

    def __init__(self, server, rows):
        self.receipts: list[str] = []
        self.refused: list[httpx2.Response] = []
        self.wrong: list[str] = []
        self._stopping = threading.Event()
        self._calls = [("POST", "models/loans/predict", {"rows": rows[:3]})] * 3
        self._calls += [("GET", name, None) for name in ("me", "tasks", "datasets/loans", "models/loans/versions")]
        self._calls += [("PUT", "models/loans/aliases/other", {"version": 1}), ("GET", "predictions?limit=5", None)]
        self._calls += [("PATCH", "datasets/loans/dictionary", {"Term": "months"})]
        self._threads = [threading.Thread(target=self._call, args=(server, number)) for number in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self, server, number):
        with httpx2.Client(headers={"Authorization": f"Bearer {server.key}"}, timeout=60) as http:
            while not self._stopping.is_set():
                method, path, body = self._calls[number % len(self._calls)]
                number += 1
                self._note(path, http.request(method, f"{server.url}/api/v1/{path}", json=body))

    def _note(self, path, answer):
        if answer.status_code == 503 and answer.headers.get("Retry-After"):
            self.refused.append(answer)
            time.sleep(0.02)
        elif answer.status_code >= 400:
            self.wrong.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        elif path.endswith("predict"):
            self.receipts.append(answer.json()["receipt"])


def wait_until(condition, why):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def test_a_database_that_dies_under_load_costs_no_answer_and_no_receipt(server, rows, private_postgres, database_url):
    with server.client() as client:
        task = client.train(dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2)
    load = Load(server, rows)
    for _ in range(ROUNDS):
        done, refused = len(load.receipts), len(load.refused)
        wait_until(lambda done=done: len(load.receipts) > done + 20 or load.wrong, "nothing is answered")
        private_postgres.kill()
        wait_until(lambda refused=refused: len(load.refused) > refused + 20 or load.wrong, "nothing is refused")
        assert httpx2.get(f"{server.url}/api/v1/health/ready").status_code == 503
        private_postgres.start()
    done = len(load.receipts)
    wait_until(lambda: len(load.receipts) > done + 20 or load.wrong, "nothing is answered any more")
    load.stop()

    assert load.wrong == []
    assert {answer.json()["code"] for answer in load.refused} == {"database_unavailable"}
    with psycopg.connect(database_url) as connection:
        recorded = {row[0] for row in connection.execute("SELECT id FROM receipts")}
    assert set(load.receipts) <= recorded
    with server.client() as client:
        assert client.predictions.replay(load.receipts[-1]).matches
        assert client.wait(task, timeout=60).state == "succeeded"
        assert [version.number for version in client.models.versions("loans")] == [2, 1]
    assert "Traceback" not in server.log.read_text()
    assert "s3cret" not in server.log.read_text()


def test_a_database_that_was_made_read_only_says_so_until_it_is_not(server, rows, private_postgres, database_url):
    name = database_url.rpartition("/")[2]
    with httpx2.Client(headers={"Authorization": f"Bearer {server.key}"}, timeout=60) as http:

        def predict():
            return http.post(f"{server.url}/api/v1/models/loans/predict", json={"rows": rows[:1]})

        def restart_as(read_only):
            private_postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {read_only}")
            private_postgres.stop()
            private_postgres.start()

        restart_as("on")
        answer = predict()
        assert (answer.status_code, answer.json()["code"]) == (503, "database_read_only")
        assert http.get(f"{server.url}/api/v1/datasets/loans").status_code == 200
        restart_as("off")
        assert predict().status_code == 200


def test_no_address_with_a_nul_character_is_our_fault(server):
    with httpx2.Client(headers={"Authorization": f"Bearer {server.key}"}, timeout=60) as http:
        paths = http.get(f"{server.url}/api/v1/openapi.json").json()["paths"]
        for path, operations in paths.items():
            address = path
            while "{" in address:
                address = f"{address[: address.index('{')]}a%00b{address[address.index('}') + 1 :]}"
            for method in operations:
                query = {p["name"]: "a\0b" for p in operations[method].get("parameters", []) if p["in"] == "query"}
                answer = http.request(method.upper(), f"{server.url}{address}", params=query, json={})
                assert answer.status_code < 500, (method, path, answer.text[:200])
