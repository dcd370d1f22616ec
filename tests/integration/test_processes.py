"""Several server processes on one port: who answers, who takes over, and that all switch models together."""

from __future__ import annotations

import csv
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rowcast.accounts.keys import create_key, new_key
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.entrypoints.rest.serving import bind
from rowcast.errors import Conflict
from rowcast.tables import now

PROCESSES = 3
CALLERS = 8


@pytest.fixture(scope="module")
def server(server_class, tmp_path_factory):
    running = server_class(tmp_path_factory.mktemp("processes") / "data", processes=str(PROCESSES)).start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def row(server, example, tmp_path_factory):
    """A row for a model that serves, which has two versions."""
    table = tmp_path_factory.mktemp("table") / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(400), strict=False)))
    with server.client() as client:
        client.datasets.add(table, name="loans")
        for promote in (True, False):
            client.train_and_wait(
                dataset="loans", target="MIS_Status", preset="fast", algorithms=["linear"], folds=2, promote=promote
            )
        names = client.models.schema("loans").names
    with table.open(newline="") as file:
        return {name: value for name, value in next(csv.DictReader(file)).items() if name in names}


def processes(server):
    """The first process and its further ones, all of them: the first one answers before these are there."""

    def found():
        started = Path(f"/proc/{server.process.pid}/task").glob("*/children")
        children = {int(pid) for path in started for pid in path.read_text().split()}
        return {server.process.pid} | {pid for pid in children if b"further" in command_of(pid)}

    def complete():
        pids = found()
        return pids if len(pids) == int(server.settings["processes"]) else None

    return until(complete, "some processes are not there")


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def alive(pid):
    return bool(command_of(pid))


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (met := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return met


class Caller:
    """One connection that is kept, to whichever process the system gave it."""

    def __init__(self, server):
        self.key = server.key
        self.address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        self.http = http.client.HTTPConnection(*self.address, timeout=60)

    def __enter__(self):
        self.http.connect()
        return self

    def __exit__(self, *_):
        self.http.close()

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        self.http.request(method, f"/api/v1{path}", body and json.dumps(body), headers)
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def predict(self, row):
        return self.call("POST", "/models/loans/predict", {"rows": [row]})

    def served_by(self, pids):
        """The process at the other end."""
        ends = self.http.sock.getpeername(), self.http.sock.getsockname()
        [inode] = until(lambda: established(*ends), "the connection is not listed")
        [pid] = [pid for pid in pids if f"socket:[{inode}]" in opened_by(pid)]
        return pid


def established(local, remote):
    """The sockets of a connection; while others open and close, the list may show a line twice or leave it out."""
    ends = [f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}" for host, port in (local, remote)]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[9] for line in lines if line[1:4] == [*ends, "01"]}


def opened_by(pid):
    """What the process has open, as far as it holds still."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


@contextmanager
def one_to_each(server):
    """A connection to each process, by its number."""
    pids = processes(server)
    with ExitStack() as stack:
        found = {}
        while found.keys() != pids:
            caller = stack.enter_context(Caller(server))
            assert caller.call("GET", "/health/live")[0] == 200
            found.setdefault(caller.served_by(pids), caller)
        yield found


def test_all_processes_answer_on_one_port(server, row):
    with one_to_each(server) as callers:
        assert len(callers) == PROCESSES
        receipts = {caller.predict(row)[1]["receipt"] for caller in callers.values()}
        for caller in callers.values():
            assert {item["id"] for item in caller.call("GET", "/predictions?limit=20")[1]["items"]} >= receipts


def test_a_port_that_others_share_is_taken_all_the_same():
    [first, second] = bind("127.0.0.1", 0, processes=2)
    with first, second, pytest.raises(Conflict, match="Stop what has the port"):
        bind("127.0.0.1", first.getsockname()[1], processes=2)


def test_a_task_goes_from_any_process_to_the_worker_and_its_news_to_all(server, row):
    training = {"dataset": "loans", "target": "MIS_Status", "model": "other", "preset": "fast", "folds": 2}
    with one_to_each(server) as callers:
        for caller in callers.values():
            status, task = caller.call("POST", "/trainings", training | {"algorithms": ["linear"]})
            assert status == 202
            with ThreadPoolExecutor() as waiting:
                ends = list(waiting.map(followed, callers.values(), [task["id"]] * PROCESSES))
            assert ends == ["succeeded"] * PROCESSES


def followed(caller, task_id):
    """The state that server-sent events end with, on a connection to the same process."""
    headers = {"Authorization": f"Bearer {caller.key}"}
    caller.http.request("GET", f"/api/v1/tasks/{task_id}/events", headers=headers)
    lines = caller.http.getresponse().read().decode().splitlines()
    return json.loads([line for line in lines if line.startswith("data: ")][-1][6:])["state"]


@dataclass(frozen=True)
class Answer:
    began: float
    ended: float
    version: int


def test_nobody_sees_the_old_version_after_the_new(server, row):
    answers, over = [], threading.Event()

    def ask():
        while not over.is_set():
            with Caller(server) as caller:
                for _ in range(20):
                    began = time.monotonic()
                    status, body = caller.predict(row)
                    assert status == 200, body
                    answers.append(Answer(began, time.monotonic(), body["version"]))

    asking = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for thread in asking:
        thread.start()
    until(lambda: len(answers) > 2 * CALLERS, "nobody answers")
    moves = []
    for number in range(30):
        began, version = time.monotonic(), 2 - number % 2
        with Caller(server) as caller:
            assert caller.call("POST", "/models/loans/promote", {"version": version})[0] == 200
        moves.append(Answer(began, time.monotonic(), version))
        time.sleep(random.uniform(0, 0.05))
    over.set()
    for thread in asking:
        thread.join()

    for move, following in zip(moves, [*moves[1:], Answer(float("inf"), float("inf"), 0)], strict=True):
        during = [answer for answer in answers if answer.began >= move.began and answer.ended <= following.began]
        seen_at = min([move.ended, *(answer.ended for answer in during if answer.version == move.version)])
        late = [answer for answer in during if answer.began > seen_at and answer.version != move.version]
        assert late == [], f"version {move.version} had been seen, or its promotion been answered"


def test_a_revoked_key_is_refused_by_all_processes(server, row):
    key = new_key()
    database = open_database(f"sqlite:///{server.data_dir / 'rowcast.db'}")
    with database.transaction() as session:
        create_key(session, session.scalars(select(UserRow.id)).one(), key)
    with one_to_each(server) as callers:
        for caller in callers.values():
            caller.key = key
            assert caller.predict(row)[0] == 200
        with database.transaction() as session:
            session.execute(update(ApiKeyRow).where(ApiKeyRow.prefix == key[3:11]).values(revoked_at=now()))
        until(lambda: {caller.predict(row)[0] for caller in callers.values()} == {401}, "a process still takes the key")
    database.dispose()


class Load:
    """Callers that predict until told to stop, over connections that they open anew when one breaks."""

    def __init__(self, server, row):
        self.receipts, self.broken, self.refused = [], 0, []
        self._server, self._row, self._over = server, row, threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def more(self, count=200):
        wanted = len(self.receipts) + count
        until(lambda: len(self.receipts) >= wanted, "the calls do not go on")

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self):
        while not self._over.is_set():
            try:
                with Caller(self._server) as caller:
                    for _ in range(10):
                        status, body = caller.predict(self._row)
                        if status != 200:
                            self.refused.append(body)
                        else:
                            self.receipts.append(body["receipt"])
            except (OSError, http.client.HTTPException):
                self.broken += 1


def recorded(server):
    with sqlite3.connect(server.data_dir / "rowcast.db") as connection:
        return {row[0] for row in connection.execute("SELECT id FROM receipts")}


def test_a_killed_process_loses_no_receipt_and_is_replaced(server, row):
    load = Load(server, row)
    killed = []
    for _ in range(3):
        load.more()
        victim = random.choice(sorted(processes(server) - {server.process.pid}))
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
        load.more()
        until(lambda: victim not in processes(server), "no other process came")  # noqa: B023
    load.more()
    load.end()

    assert load.refused == []
    assert load.broken <= 3 * CALLERS
    assert set(load.receipts) <= recorded(server)
    with one_to_each(server) as callers:
        assert len(callers.keys() - set(killed)) == PROCESSES


def test_the_end_of_the_first_process_ends_all_and_the_folder_serves_on(server_class, tmp_path):
    running = server_class(tmp_path / "data", processes="3").start()
    started = processes(running)
    running.kill()
    until(lambda: not any(map(alive, started)), "a process lives on")

    running.start()
    with one_to_each(running) as callers:
        assert len(callers) == PROCESSES
    assert running.stop() == 0


def test_a_stop_ends_all(server_class, tmp_path):
    running = server_class(tmp_path / "data", processes="2").start()
    started = processes(running)
    with one_to_each(running) as callers:
        assert running.stop() == 0
        address = next(iter(callers.values())).address
    assert not any(map(alive, started))
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address):
        pass
