"""Traces of a real server, as a collector gets them; and the ids in its log."""

from __future__ import annotations

import json

import grpc
import httpx2
import pytest
from services.collector import Collector

from rowcast.errors import InvalidInput
from rowcast.v1 import rowcast_pb2

SECRET = "a value of a row"


@pytest.fixture(scope="module")
def collector():
    opened = Collector()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def traced(server_class, tmp_path_factory, collector):
    running = server_class(
        tmp_path_factory.mktemp("traced") / "data", traces_url=collector.url, log_format="json", tracking_url="none"
    ).start()
    with running.client() as client:
        rows = "".join(f"{number % 7},{'yes' if number % 3 else 'no'}\n" for number in range(300))
        table = running.data_dir.parent / "small.csv"
        table.write_text(f"a,b\n{rows}")
        client.datasets.add(table)
        client.train_and_wait(dataset="small", target="b", algorithms=["baseline"])
    yield running
    running.stop()


def log_of(server):
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def ask(server, path, body, trace, **headers):
    sent = {"Authorization": f"Bearer {server.key}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01", **headers}
    return httpx2.post(f"{server.url}/api/v1{path}", json=body, headers=sent, timeout=60)


def test_a_prediction_and_its_record_belong_to_the_caller_s_trace(traced, collector):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert ask(traced, "/models/small/predict", {"rows": [{"a": 3}]}, trace).status_code == 200
    journal = collector.wait_for(lambda span: span.trace == trace and span.name == "journal")
    call = collector.wait_for(lambda span: span.id == journal.parent)
    assert call.name == "POST /api/v1/models/{reference}/predict"
    assert call.parent == "00f067aa0ba902b7"
    assert call.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    ("path", "body", "task"),
    [
        ("/tasks", {"kind": "predict", "model": "small", "rows": [{"a": 1}]}, "task predict"),
        ("/trainings", {"dataset": "small", "target": "b", "algorithms": ["baseline"]}, "task train"),
    ],
)
def test_a_worker_goes_on_with_the_trace_that_submitted(traced, collector, path, body, task):
    trace = task.encode().hex().ljust(32, "0")
    assert ask(traced, path, body, trace).status_code == 202
    done = collector.wait_for(lambda span: span.trace == trace and span.name == task)
    call = collector.wait_for(lambda span: span.trace == trace and span.parent == "00f067aa0ba902b7")
    assert done.parent == call.id
    if task == "task train":
        written = collector.wait_for(lambda span: span.parent == done.id and span.name == "UPDATE")
        assert "UPDATE tasks" in written.attributes["db.query.text"]


def test_calls_over_grpc_are_traced(traced, collector):
    trace = "a" * 32
    address = next(line["message"] for line in log_of(traced) if "gRPC is at" in line["message"]).rpartition(" ")[2]
    metadata = [("authorization", f"Bearer {traced.key}"), ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]
    with grpc.insecure_channel(address) as channel:
        method = rowcast_pb2.DESCRIPTOR.services_by_name["Rowcast"].methods_by_name["GetModelClasses"]
        channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")(b"", metadata=metadata, timeout=30)
    call = collector.wait_for(lambda span: span.trace == trace and span.parent == "00f067aa0ba902b7")
    assert call.name == f"{method.containing_service.full_name}/{method.name}"


def test_what_fails_says_so_and_no_value_is_told(traced, collector):
    trace = "b" * 32
    assert ask(traced, "/models/small/predict", {"rows": [{"a": SECRET}]}, trace).status_code == 422
    call = collector.wait_for(lambda span: span.trace == trace and span.parent == "00f067aa0ba902b7")
    assert not call.failed  # the caller's fault
    assert SECRET not in str(collector.spans)
    assert SECRET not in traced.log.read_text()


def test_the_log_is_json_and_names_the_task(traced):
    with traced.client() as client:
        task = client.tasks.submit("small", json.dumps({"rows": [{"a": SECRET}]}).encode())
        with pytest.raises(InvalidInput):
            client.tasks.wait(task)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in log_of(traced))
    assert any(line.get("task_id") == task.id for line in log_of(traced))


def test_a_collector_that_is_away_costs_no_call(server_class, tmp_path):
    running = server_class(tmp_path / "data", traces_url="http://127.0.0.1:9/v1/traces").start()
    try:
        with running.client() as client:
            assert client.me().role == "admin"
    finally:
        assert running.stop() == 0
