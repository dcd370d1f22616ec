"""The figures for Prometheus, of real servers and workers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from services.processes import free_port
from starlette.testclient import TestClient

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import UserRow
from rowcast.client.grpc import GrpcClient
from rowcast.entrypoints.rest.app import create_app
from rowcast.errors import NotFound, Unauthenticated

TOKEN = "0123456789abcdef"


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(url, key=TOKEN):
    answer = httpx2.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


def answered(found, operation, status):
    return found.get(("rowcast_requests_total", ("operation", operation), ("status", str(status))), 0)


@pytest.fixture(scope="module")
def app(assembled):
    return TestClient(create_app(assembled), raise_server_exceptions=False)


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.USER, 403), (Role.ANALYST, 403), (Role.ADMIN, 200)])
def test_who_may_read(assembled, app, role, status):
    headers = {}
    if role is not None:
        with assembled.database.transaction() as session:
            user = UserRow(name=f"reader {role}", role=role.value)
            session.add(user)
            session.flush()
            headers = {"Authorization": f"Bearer {create_key(session, user.id)}"}
    assert app.get("/metrics", headers=headers).status_code == status


def test_no_token_is_no_way_in(app):
    for header in ({"Authorization": "Bearer "}, {"Authorization": "Bearer"}, {"X-API-Key": ""}):
        assert app.get("/metrics", headers=header).status_code == 401


def test_addresses_and_methods_that_are_none_go_by_one_name(server_class, tmp_path):
    server = server_class(tmp_path / "data", metrics_token=TOKEN).start()
    try:
        for number in range(5):
            httpx2.get(f"{server.url}/api/v1/nothing{number}")
            httpx2.request(f"METHOD{number}", f"{server.url}/api/v1/me")
            httpx2.get(f"{server.url}/api/v1/models/name{number}")
        found = read(server.url)
        operations = {dict(labels)["operation"] for name, *labels in found if name == "rowcast_requests_total"}
        assert not any("0" in operation for operation in operations)
        assert answered(found, "other", 404) == 5
        assert answered(found, "GET /api/v1/models/{name}", 401) == 5
    finally:
        server.stop()


def test_calls_over_grpc_are_counted_by_method_and_status(server):
    address = re.findall(r"gRPC is at (\S+)", server.log.read_text())[-1]
    before = read(server.url, server.key)
    with GrpcClient(address, server.key) as known, GrpcClient(address, "rc_nobody") as stranger:
        known.models()
        with pytest.raises(NotFound):
            known.predict("nothing", {})
        for call in (stranger.models, lambda: stranger.predict("nothing", {})):
            with pytest.raises(Unauthenticated):
                call()

    ends = {"ListModels": ("OK", "UNAUTHENTICATED"), "Predict": ("NOT_FOUND", "UNAUTHENTICATED")}
    calls = [(f"rowcast.v1.Rowcast/{method}", status) for method in ends for status in ends[method]]

    def counted():
        now = read(server.url, server.key)
        return [answered(now, *call) - answered(before, *call) for call in calls]

    wait_for(lambda: counted() == [1, 1, 1, 1])  # a call is counted when it has ended: its caller was told before


def test_processes_of_one_server_show_the_same_and_count_on_when_one_dies(server_class, tmp_path):
    server = server_class(tmp_path / "data", metrics_token=TOKEN, processes="2").start()
    live = "GET /api/v1/health/live"
    try:
        before = counted = 0
        for _ in range(40):  # each on a connection of its own, so both processes answer
            assert httpx2.get(f"{server.url}/api/v1/health/live", timeout=60).status_code == 200
            found = answered(read(server.url), live, 200)
            assert found >= before
            before = found
        counted = settled(server.url, live, 40)

        os.kill(further(server.process.pid), signal.SIGKILL)
        for _ in range(20):
            assert answered(read(server.url), live, 200) >= counted
            time.sleep(0.05)
    finally:
        server.stop()


def further(pid):
    """The process that serves beside that one."""
    started = {
        int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()
    }
    return next(child for child in started if b"further" in Path(f"/proc/{child}/cmdline").read_bytes())


def settled(url, operation, expected):
    """All of it, once the processes have told each other."""
    for _ in range(100):
        if (found := answered(read(url), operation, 200)) >= expected:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{found} of {expected} were counted")


def test_a_database_that_hangs_is_shown_as_down(server_class, private_postgres, tmp_path):
    url = private_postgres.create_database()
    server = server_class(
        tmp_path / "data", metrics_token=TOKEN, database_url=url, database_connect_seconds="2"
    ).start()
    try:
        assert read(server.url)["rowcast_up", ("part", "database")] == 1
        private_postgres.freeze()
        try:
            found = read(server.url)
            assert found["rowcast_up", ("part", "database")] == 0
            assert found["rowcast_up", ("part", "storage")] == 1
            refused = httpx2.get(f"{server.url}/api/v1/models", headers={"X-API-Key": server.key}, timeout=60)
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        finally:
            private_postgres.thaw()
        wait_for(lambda: read(server.url)["rowcast_up", ("part", "database")] == 1)
        assert httpx2.get(f"{server.url}/api/v1/models", headers={"X-API-Key": server.key}).status_code == 200
    finally:
        server.stop()


def wait_for(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("in vain")


def test_a_worker_shows_what_it_did(postgres_url, rabbit_server, server_class, tmp_path, example):
    port, broker_url = free_port(), rabbit_server.create_vhost()
    shared = {"database_url": postgres_url, "broker_url": broker_url, "storage_url": (tmp_path / "storage").as_uri()}
    environment = {f"ROWCAST_{name.upper()}": value for name, value in shared.items()}
    environment |= {"ROWCAST_METRICS_PORT": str(port), "ROWCAST_DATA_DIR": str(tmp_path / "worker")}
    with (tmp_path / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "rowcast", "worker"]
        worker = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    server = server_class(tmp_path / "data", **shared).start()
    try:
        with server.client() as client:
            client.datasets.add(example, name="loans")
        key = ("rowcast_task_attempts_total", ("kind", "import"), ("outcome", "succeeded"))

        def seen():
            there = samples(httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text).get(key, 0)
            return there + read(server.url, server.key).get(key, 0)

        wait_for(lambda: listens(port))
        wait_for(lambda: seen() == 1)  # the server works too: one of them has done it
    finally:
        server.stop()
        worker.terminate()
        worker.wait(timeout=60)
        rabbit_server.drop_vhost(broker_url)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_that_is_taken_says_so(server_class, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = server_class(tmp_path / "data", metrics_port=str(taken.getsockname()[1]))
        with pytest.raises(AssertionError, match="ROWCAST_METRICS_PORT"):
            server.start()
