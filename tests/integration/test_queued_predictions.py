"""Predictions through the queue over HTTP: waiting, keys, shares, and servers that are killed."""

from __future__ import annotations

import sqlite3
import threading
import time

import httpx2
import pytest

from rowcast.errors import Conflict, InvalidInput, NotFound

TASKS = "/api/v1/tasks"


def trained(server, example, folder):
    """A server with a model of loans that serves, and a row for it."""
    table = folder / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(600), strict=False)))
    with server.client() as client:
        client.datasets.add(table, name="loans")
        client.train_and_wait(
            dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=True
        )
        return {feature.name: feature.example for feature in client.models.schema("loans").features}


@pytest.fixture(scope="module")
def own(server_class, example, tmp_path_factory):
    """A server of this module's own with a row to ask it about."""
    folder = tmp_path_factory.mktemp("queued")
    running = server_class(folder / "data").start()
    yield running, trained(running, example, folder)
    running.stop()


@pytest.fixture
def row(own):
    return own[1]


@pytest.fixture
def http(own):
    server, _ = own
    with httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=60) as http:
        yield http


@pytest.fixture
def client(own):
    with own[0].client() as client:
        yield client


def asked(row, **options):
    return {"kind": "predict", "model": "loans", "rows": [row], **options}


def test_a_task_is_accepted_and_its_result_stays(http, client, row):
    answer = http.post(TASKS, json=asked(row))
    task = answer.json()

    assert (answer.status_code, task["state"], task["kind"], task["subject"]) == (202, "queued", "predict", "loans")
    assert answer.headers["Location"] == f"{TASKS}/{task['id']}"
    done = http.get(answer.headers["Location"], headers={"Prefer": "wait=20"})
    assert (done.status_code, done.headers["Preference-Applied"], done.json()["state"]) == (200, "wait=20", "succeeded")
    at_once = client.predict("loans", row).model_dump(exclude={"receipt"})
    assert client.tasks.predictions(client.tasks.get(task["id"])).model_dump(exclude={"receipt"}) == at_once
    assert client.predictions.get(task["id"]).rows == [row]
    assert client.predictions.replay(task["id"]).matches


def test_who_waits_is_answered_with_the_end_of_the_task(http, row):
    answer = http.post(TASKS, json=asked(row), headers={"Prefer": "respond-async, wait=20"})

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    assert answer.json()["result"]["receipt"] == answer.json()["id"]


def test_a_task_that_fails_is_no_error_of_who_waits(http, row):
    answer = http.post(TASKS, json=asked({**row, "NoEmp": "many"}), headers={"Prefer": "wait=20"})

    assert (answer.status_code, answer.json()["state"]) == (200, "failed")
    assert answer.json()["error"]["problems"][0]["field"] == "NoEmp"


def test_many_who_wait_are_all_answered(http, row):
    answers = []

    def call(number):
        answer = http.post(TASKS, json=asked({**row, "NoEmp": number}), headers={"Prefer": "wait=30"})
        answers.append((number, answer.json()))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(number for number, task in answers if task["state"] == "succeeded") == list(range(40))
    assert len({task["id"] for _, task in answers}) == 40


def test_events_follow_a_task_to_its_end(client, row):
    task = client.tasks.submit_predictions("loans", row)

    assert [seen.state for seen in client.tasks.events(task)][-1] == "succeeded"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 422, "json_invalid"),
        (b'{"kind": "train", "model": "loans"}', 422, "task_kind_unknown"),
        (b'{"kind": "predict", "model": "nobody", "rows": []}', 404, "model_not_found"),
        (b'{"kind": "predict", "model": "loans@x/y", "rows": []}', 422, "alias_invalid"),
    ],
)
def test_what_cannot_be_a_task_is_refused_at_once(http, body, status, code):
    answer = http.post(TASKS, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("path", [TASKS, "/api/v1/trainings"])
def test_two_different_keys_in_one_call_are_refused(http, row, path):
    for keys in ("ab", "aba"):
        answer = http.post(path, json=asked(row), headers=[("Idempotency-Key", key) for key in keys])
        assert answer.status_code == 400
        assert "two different Idempotency-Key" in answer.json()["detail"]


def test_the_same_key_twice_is_one_key(http, row):
    twice = [("Idempotency-Key", "twice over"), ("Idempotency-Key", "twice over")]
    assert http.post(TASKS, json=asked(row), headers=twice).status_code == 202


def test_the_same_call_again_is_the_same_task(http, row):
    key = {"Idempotency-Key": "the first"}
    first = http.post(TASKS, json=asked(row), headers={**key, "Prefer": "wait=20"})
    again = http.post(TASKS, json=asked(row), headers=key)

    assert "Idempotency-Replayed" not in first.headers
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.json() == first.json()
    other = http.post(TASKS, json=asked(row, on_error="skip"), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 201, "ümlaut"])
def test_what_is_no_key_is_refused(http, row, key):
    answer = http.post(TASKS, json=asked(row), headers={"Idempotency-Key": key.encode()})

    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "idempotency-key")


def test_the_same_call_made_at_once_many_times_is_one_task(http, row):
    found = []

    def call():
        answer = http.post(TASKS, json=asked(row), headers={"Idempotency-Key": "at once", "Prefer": "wait=20"})
        found.append((answer.json()["id"], answer.headers.get("Idempotency-Replayed")))

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({task_id for task_id, _ in found}) == 1
    assert [replayed for _, replayed in found].count(None) == 1


def test_a_training_and_an_upload_have_keys_too(http, own, tmp_path, example):
    server, _ = own
    body = {"dataset": "loans", "target": "MIS_Status", "preset": "fast", "algorithms": ["baseline"], "model": "twice"}
    key = {"Idempotency-Key": "training"}
    first = http.post("/api/v1/trainings", json=body, headers=key)
    again = http.post("/api/v1/trainings", json=body, headers={**key, "Prefer": "wait=60"})
    other = http.post("/api/v1/trainings", json={**body, "model": "else"}, headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert again.json()["id"] == first.json()["id"]
    assert (again.json()["state"], again.headers["Idempotency-Replayed"]) == ("succeeded", "true")
    table = (server.data_dir.parent / "loans.csv").read_bytes()
    params, csv = {"name": "again", "filename": "a.csv"}, {"Content-Type": "text/csv", "Idempotency-Key": "upload"}
    answers = [http.post("/api/v1/datasets", params=params, content=table, headers=csv) for _ in range(2)]
    assert [answer.json()["number"] for answer in answers] == [1, 1]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    with sqlite3.connect(server.data_dir / "rowcast.db") as database:
        counted = database.execute("SELECT count(*) FROM tasks WHERE subject = 'again'").fetchone()
    assert counted == (1,)


def test_a_task_that_has_ended_cannot_be_cancelled_any_more(http, row):
    task = http.post(TASKS, json=asked(row), headers={"Prefer": "wait=20"}).json()

    assert http.post(f"{TASKS}/{task['id']}/cancel").json()["state"] == "succeeded"


def test_the_client_waits_and_raises_what_went_wrong(client, row):
    task = client.tasks.submit_predictions("loans", [row, row], idempotency_key="client")
    assert client.tasks.submit_predictions("loans", [row, row], idempotency_key="client").id == task.id
    done = client.tasks.wait(task)
    assert len(client.tasks.predictions(done).predictions) == 2
    with pytest.raises(Conflict):
        client.tasks.submit_predictions("loans", [row], idempotency_key="client")
    with pytest.raises(InvalidInput) as refusal:
        client.tasks.wait(client.tasks.submit_predictions("loans", {**row, "NoEmp": "many"}))
    assert refusal.value.problems[0].field == "NoEmp"
    with pytest.raises(NotFound):
        client.tasks.submit_predictions("nobody", row)
    assert len(list(client.predict_each("loans", [row] * 5, chunk_rows=2, queue=True))) == 3


def test_who_has_their_share_in_the_queue_is_told_when_to_come_back(server_class, own, tmp_path, example):
    running = server_class(tmp_path / "data", max_queued_tasks="3").start()
    try:
        row = trained(running, example, tmp_path)
        headers = {"Authorization": f"Bearer {running.key}"}
        with sqlite3.connect(running.data_dir / "rowcast.db") as database:
            owner = database.execute("SELECT id FROM users").fetchone()[0]
            far = "2999-01-01 00:00:00.000000"
            database.executemany(
                "INSERT INTO tasks (id, kind, lane, state, owner_id, subject, payload, attempts, cancel_requested, "
                "created_at, due_at, body) VALUES (?, 'predict', 'predict', 'queued', ?, 'loans', '{}', 0, 0, ?, ?, ?)",
                [(f"{n:032}", owner, far, far, b"{}") for n in range(3)],
            )
        refused = httpx2.post(f"{running.url}{TASKS}", json=asked(row), headers=headers)
        training = httpx2.post(
            f"{running.url}/api/v1/trainings", json={"dataset": "loans", "target": "MIS_Status"}, headers=headers
        )
    finally:
        running.stop()

    for answer in (refused, training):
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_queued")
        assert int(answer.headers["Retry-After"]) > 0


def test_nothing_accepted_is_lost_or_done_twice_however_often_the_server_is_killed(fresh_server, example, tmp_path):
    row = trained(fresh_server, example, tmp_path)
    accepted = []

    def call(number):
        with httpx2.Client(headers={"Authorization": f"Bearer {fresh_server.key}"}, timeout=30) as http:
            try:
                while True:
                    answer = http.post(f"{fresh_server.url}{TASKS}", json=asked({**row, "NoEmp": number}))
                    if answer.status_code != 202:
                        return
                    accepted.append(answer.json()["id"])
            except httpx2.TransportError:
                return

    for _ in range(3):
        threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
        before = len(accepted)
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while len(accepted) < before + 60:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.01)
        fresh_server.kill()
        for thread in threads:
            thread.join()
        fresh_server.start()

    with fresh_server.client() as client:
        for task_id in accepted:
            client.tasks.wait(task_id)
    with sqlite3.connect(fresh_server.data_dir / "rowcast.db") as database:
        states = dict(database.execute("SELECT id, state FROM tasks WHERE kind = 'predict'"))
        receipts = [found for (found,) in database.execute("SELECT id FROM receipts")]
    assert len(accepted) == len(set(accepted)) >= 180
    assert {states[task_id] for task_id in accepted} == {"succeeded"}
    assert sorted(receipts) == sorted(task_id for task_id, state in states.items() if state == "succeeded")
