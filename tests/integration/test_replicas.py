"""``rowcast api`` and ``rowcast worker`` as replicas on a PostgreSQL and a RabbitMQ that they share: real processes,
killed and stopped in the midst of things."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import pytest
from services.processes import free_port

from rowcast.client import Client

KEY = "rc_test-key-of-the-administrator"


class Replica:
    """One of the processes, with its log."""

    def __init__(self, role, folder, number, **settings):
        self.log = folder / f"{role}-{number}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        settings |= {"data_dir": str(folder / "data"), "api_key": KEY, "port": str(free_port())}
        self.url = f"http://127.0.0.1:{settings['port']}"
        environment |= {f"ROWCAST_{name.upper()}": value for name, value in settings.items()}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "rowcast", role]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def says(self, words, seconds=60):
        """Wait for these words in the log; what they matched."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(words, self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"no '{words}' in:\n{self.log.read_text()}"
            time.sleep(0.05)
        return found

    def get(self, path):
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx2.get(f"{self.url}/api/v1{path}", headers=headers, timeout=60)

    def client(self):
        self.says("Rowcast is at")
        return Client(self.url, KEY)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def connected(replica):
    return socket.create_connection(("127.0.0.1", int(replica.url.rpartition(":")[2])), timeout=60)


def prediction(row):
    """A call under an idempotency key, as it goes over the wire."""
    body = json.dumps({"rows": [row]}).encode()
    head = (
        f"POST /api/v1/models/loans/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Idempotency-Key: once\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


@pytest.fixture
def start(tmp_path):
    """Starts replicas that share a folder; they are stopped in the end, and have to be able to."""
    started = []

    def start(role, **settings):
        started.append(Replica(role, tmp_path, len(started), **settings))
        return started[-1]

    yield start
    codes = [replica.stop() for replica in started]
    assert all(code in (0, -signal.SIGKILL) for code in codes), codes


@pytest.fixture
def table(example, tmp_path):
    path = tmp_path / "loans.csv"
    with example.open() as file:
        path.write_text("".join(line for line, _ in zip(file, range(400), strict=False)))
    return path


TRAINING = {"dataset": "loans", "target": "MIS_Status", "preset": "fast", "folds": 2}


@pytest.mark.parametrize("role", ["api", "worker"])
@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, "set ROWCAST_DATABASE_URL (postgresql://...) and ROWCAST_BROKER_URL (amqp://...)."),
        ({"broker_url": "amqp://app:s3cret@127.0.0.1/"}, "set ROWCAST_DATABASE_URL (postgresql://...). To run"),
        ({"database_url": "postgresql://app:s3cret@127.0.0.1/x"}, "set ROWCAST_BROKER_URL (amqp://...). To run"),
    ],
)
def test_services_that_are_not_shared_are_refused(role, settings, needed, tmp_path):
    replica = Replica(role, tmp_path, 0, **settings)
    assert replica.process.wait(60) == 4
    said = " ".join(replica.log.read_text().split())
    assert needed in said
    assert "rowcast up" in said
    assert "s3cret" not in said


def test_replicas_do_the_main_job_together(start, table, postgres_url, rabbit_url):
    services = {"database_url": postgres_url, "broker_url": rabbit_url}
    workers = [start("worker", **services) for _ in range(2)]
    apis = [start("api", **services), start("api", processes="2", **services)]
    for worker in workers:
        worker.says("takes tasks")
    with apis[0].client() as first, apis[1].client() as second:
        first.datasets.add(table, name="loans")
        tasks = [client.train(**TRAINING, model=name, algorithms=["linear"]) for client, name in
                 [(first, "one"), (second, "two"), (first, "three")]]  # fmt: skip
        for client, task in zip((second, first, second), tasks, strict=True):
            assert client.wait(task, timeout=120).state == "succeeded"
        row = {feature.name: feature.example for feature in first.models.schema("one").features}
        receipts = [client.predict("one", [row]).receipt for client in (first, second)]
        assert {item.id for item in second.predictions.list()} >= set(receipts)
        assert first.predictions.replay(receipts[1]).matches
    for replica in apis:
        assert replica.get("/health/ready").json()["parts"] == {"database": "ok", "storage": "ok", "broker": "ok"}


def test_a_worker_that_is_killed_or_stopped_leaves_its_task_to_another(start, table, postgres_url, rabbit_url):
    services = {"database_url": postgres_url, "broker_url": rabbit_url, "lease_seconds": "2", "drain_seconds": "0"}
    first, api = start("worker", **services), start("api", **services)
    with api.client() as client:
        client.datasets.add(table, name="loans")
        for end, attempts in ((Replica.kill, 2), (Replica.stop, 1)):  # what is handed back was no attempt
            task = client.train(**TRAINING | {"preset": "balanced", "folds": 5}, algorithms=["lightgbm"])
            until(lambda task=task: client.tasks.get(task).state == "running", "nobody takes the task")
            end(first)
            assert not client.tasks.get(task).state.final
            second = start("worker", **services)
            ended = client.wait(task, timeout=240)
            assert (ended.state, ended.attempts) == ("succeeded", attempts)
            first = second
        assert len(list(client.models.versions("loans"))) == 2


def test_what_starts_before_its_services_waits_and_says_so(start, private_postgres, private_rabbit, table):
    services = {"database_url": private_postgres.create_database(), "broker_url": private_rabbit.url}
    private_postgres.stop()
    private_rabbit.stop()
    api, worker = start("api", **services), start("worker", **services)
    api.says("the server waits: The database")
    worker.says("the worker waits: The database")
    assert api.get("/health/live").status_code == 200
    ready = api.get("/health/ready")
    assert (ready.status_code, ready.json()["status"], list(ready.json()["parts"])) == (503, "degraded", ["database"])
    refused = api.get("/models")
    assert (refused.status_code, refused.json()["code"]) == (503, "server_starting")
    assert int(refused.headers["Retry-After"]) > 0

    private_postgres.start()
    worker.says("the worker goes on")
    with api.client() as client:
        ready = api.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["parts"]["database"] == "ok"
        assert "RabbitMQ" in ready.json()["parts"]["broker"]
        private_rabbit.start()
        client.datasets.add(table, name="loans")
        until(lambda: api.get("/health/ready").status_code == 200, "it does not get ready")
        assert client.train_and_wait(**TRAINING, algorithms=["linear"])
    for replica in (api, worker):
        text = replica.log.read_text()
        assert "Traceback" not in text
        assert "s3cret" not in text
        said = [line.partition(" waits: ")[2] for line in text.splitlines() if "waits: The database" in line]
        assert [line for line in set(said) if said.count(line) > 1] == [], "it says the same again and again"


def test_a_server_that_is_stopped_answers_what_it_has_begun(start, table, postgres_url, rabbit_url):
    services = {"database_url": postgres_url, "broker_url": rabbit_url}
    start("worker", **services)
    api = start("api", processes="2", **services)
    with api.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(**TRAINING, algorithms=["linear"], promote=True)
        row = {feature.name: feature.example for feature in client.models.schema("loans").features}
    wrong, answered = [], []

    def call():
        while True:
            with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
                try:
                    answer = http.post(f"{api.url}/api/v1/models/loans/predict", content=json.dumps({"rows": [row]}))
                except httpx2.ConnectError:
                    return
                except httpx2.TransportError as error:
                    wrong.append(error)
                    return
                (answered if answer.status_code == 200 else wrong).append(answer)

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    until(lambda: len(answered) > 100, "nobody answers")
    assert api.stop() == 0
    for caller in callers:
        caller.join()
    # A connection that the system had accepted, and nobody here had, breaks off.
    assert [one for one in wrong if not isinstance(one, httpx2.TransportError)] == []
    assert len(wrong) <= len(callers)


def test_queued_predictions_end_once_whichever_worker_is_killed(start, table, postgres_url, rabbit_url):
    services = {"database_url": postgres_url, "broker_url": rabbit_url, "lease_seconds": "1.5"}
    workers, api = [start("worker", **services) for _ in range(2)], start("api", **services)
    with api.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(**TRAINING, algorithms=["linear"], promote=True)
        row = {feature.name: feature.example for feature in client.models.schema("loans").features}
        over, accepted, answered = threading.Event(), [], []

        def call(number):
            while not over.is_set():
                task = client.tasks.submit_predictions("loans", {**row, "NoEmp": number}, wait=5)
                accepted.append(task.id)
                answered.append(task.state.final)

        callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for caller in callers:
            caller.start()
        for _ in range(3):
            count = len(accepted)
            until(lambda count=count: len(accepted) > count + 40, "nothing is accepted")
            workers.pop(0).kill()
            workers.append(start("worker", **services))
        over.set()
        for caller in callers:
            caller.join()
        tasks = [client.wait(task_id) for task_id in accepted]
        receipts = [receipt.id for receipt in client.predictions.list(limit=None)]
    assert len(set(accepted)) == len(accepted) >= 120
    assert answered.count(True) > len(answered) / 2
    assert sorted(receipts) == sorted(accepted) == sorted(task.result["receipt"] for task in tasks)


def test_who_waited_at_an_api_that_was_killed_is_answered_once_by_another(start, table, postgres_url, rabbit_url):
    services = {"database_url": postgres_url, "broker_url": rabbit_url, "credits": "paid"}
    worker, apis = start("worker", **services), [start("api", **services) for _ in range(2)]
    with apis[0].client() as first, apis[1].client() as second:
        first.datasets.add(table, name="loans")
        first.train_and_wait(**TRAINING, algorithms=["linear"], promote=True)
        row = {feature.name: feature.example for feature in first.models.schema("loans").features}
        first.credits.top_up(first.me().name, 100)
        worker.stop()
        task = first.tasks.submit_predictions("loans", row, idempotency_key="mine")
        before = second.credits.get().balance
        with connected(apis[0]) as connection:
            connection.sendall(prediction(row))
            until(lambda: second.predictions.list(), "it is not on record")  # and nobody has read the answer
            apis[0].kill()
            told = connection.makefile("rb").read()
        with connected(apis[1]) as connection:
            connection.sendall(prediction(row))
            again = connection.makefile("rb").read()
        assert b"idempotency-replayed: true" in again
        assert not told or told.partition(b"\r\n\r\n")[2] == again.partition(b"\r\n\r\n")[2]
        assert len(second.predictions.list()) == 1
        assert second.credits.get().balance == before - 1
        start("worker", **services)
        again = second.tasks.submit_predictions("loans", row, idempotency_key="mine", wait=30)
        assert (again.id, again.state) == (task.id, "succeeded")
