"""rowcast.v1 over a real server: the whole life of a model, what is refused and how, deadlines, streams, and TLS."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2 as details
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from rowcast.client.grpc import GrpcClient
from rowcast.entrypoints.grpc.server import MOST_CALLS
from rowcast.errors import InvalidInput, NotFound, TimedOut, Unauthenticated, Unavailable
from rowcast.settings import Settings
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.common_pb2 import Cell, FileChunk, Row
from rowcast.v1.predictions_pb2 import Predictions, Replay, WhatIf
from rowcast.v1.tasks_pb2 import Task

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory, server_class):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = server_class(tmp_path_factory.mktemp("grpc") / "data", grpc_port=str(port)).start()
    yield server, f"127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(served):
    server, target = served
    with GrpcClient(target, server.key) as client:
        yield client


@pytest.fixture(scope="module")
def model(client):
    """A model of a small table, and a row for it."""
    rows = "".join(f"{age},{'red' if age % 3 else 'blue'},{'yes' if age > 40 else 'no'}\n" for age in range(20, 80))
    table = f"age,colour,paid\n{rows}".encode()
    parts = [v1.AddTableRequest(details=v1.AddTableDetails(filename="people.csv", wait=60))]
    parts += [v1.AddTableRequest(content=table[start : start + 100]) for start in range(0, len(table), 100)]
    added = client.call("AddTable", iter(parts), v1.AddTableResponse)
    assert added.version.dataset == "people"
    assert added.version.row_count == 60
    client.wait(
        client.train(
            dataset="people", target="paid", preset="fast", algorithms=["linear"], optional=["*"], promote=True
        )
    )
    return "people"


def test_the_whole_cycle_as_in_the_example(served):
    server, target = served
    environment = {**os.environ, "ROWCAST_API_KEY": server.key}
    program = [sys.executable, str(ROOT / "examples" / "grpc_cycle.py"), target]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = [line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert said == ["health", "classes", "train", "list", "get", "predict", "metrics", "retrain", "delete"]
    assert "gone, and so True" in done.stdout


def test_the_example_without_a_key_says_what_to_do():
    environment = {name: value for name, value in os.environ.items() if name != "ROWCAST_API_KEY"}
    program = [sys.executable, str(ROOT / "examples" / "grpc_cycle.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Set ROWCAST_API_KEY")
    assert "Traceback" not in done.stderr


def test_the_page_says_what_works(served, example):
    server, target = served
    page = (ROOT / "docs" / "how-to" / "use-grpc.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0]
    for said, meant in {"127.0.0.1:8001": target, "rc_...": server.key, "loans.csv": str(example)}.items():
        program = program.replace(said, meant)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1].isalnum()


def test_rows_and_columns_are_answered_alike_and_as_over_rest(served, client, model):
    rows = [{"age": 30, "colour": "red"}, {"age": None, "colour": "blue"}, {"age": 70.5}]
    by_row = client.predict(model, rows, reasons=2)
    columns = v1.PredictRequest(model=model, reasons=2)
    columns.columns["age"].numbers.values.extend([30, float("nan"), 70.5])
    columns.columns["colour"].texts.values.extend(["red", "blue", ""])
    columns.columns["colour"].missing.append(2)
    by_column = client.call("Predict", columns, Predictions)
    assert [*by_row.predictions] == [*by_column.predictions]
    with served[0].client() as rest:
        expected = rest.predict(model, rows, explain=2)
    for mine, theirs in zip(by_row.predictions, expected.predictions, strict=True):
        assert mine.value.text == theirs.value
        assert mine.probability == theirs.probability
        assert dict(mine.probabilities) == theirs.probabilities
        assert [one.feature for one in mine.explanation.reasons] == [one.feature for one in theirs.explanation.reasons]
    replayed = client.call("ReplayPrediction", v1.ReplayPredictionRequest(receipt_id=by_column.receipt), Replay)
    assert replayed.matches


def test_a_bad_row_is_named_by_its_field_and_skipped_when_wanted(client, model):
    rows = [{"age": 30}, {"age": "a great age", "colour": "red"}]
    with pytest.raises(InvalidInput) as refused:
        client.predict(model, rows)
    assert refused.value.code == "rows_invalid"
    assert [(one.row, one.field) for one in refused.value.problems] == [(2, "age")]
    skipped = client.predict(model, rows, skip_bad_rows=True)
    assert [one.HasField("value") for one in skipped.predictions] == [True, False]
    assert [(one.row, one.field) for one in skipped.errors] == [(2, "age")]


def test_errors_are_rich_and_name_no_value(served, model):
    server, target = served
    request = v1.PredictRequest(model=model, rows=[Row(cells={"age": Cell(text="a great age")})])
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            "/rowcast.v1.Rowcast/Predict", v1.PredictRequest.SerializeToString, Predictions.FromString
        )
        with pytest.raises(grpc.RpcError) as refused:
            call(request, metadata=[("x-api-key", server.key)])
    error = refused.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(error.trailing_metadata())["rowcast-error-code"] == "rows_invalid"
    info, bad = details.ErrorInfo(), details.BadRequest()
    packed = rpc_status.from_call(error).details
    assert packed[0].Unpack(info)
    assert packed[1].Unpack(bad)
    assert (info.reason, info.domain) == ("rows_invalid", "rowcast")
    assert bad.field_violations[0].field == "rows[0].age"
    assert "a great age" not in str(packed) + error.details()


def test_what_is_not_of_the_form_says_where(client):
    with pytest.raises(InvalidInput) as refused:
        client.train(dataset="people", target="paid", folds=1)
    assert refused.value.code == "request_invalid"
    assert [one.field for one in refused.value.problems] == ["folds"]
    with pytest.raises(NotFound) as missing:
        client.model("nothing")
    assert missing.value.code == "model_not_found"


def test_what_is_no_message_of_the_method_is_refused(served):
    server, target = served
    with grpc.insecure_channel(target, [("grpc.max_send_message_length", -1)]) as channel:
        predict = channel.unary_unary("/rowcast.v1.Rowcast/Predict")
        many = channel.stream_unary("/rowcast.v1.Rowcast/Predict")
        key = [("x-api-key", server.key)]
        for call, sent, code in (
            (predict, b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT),
            (many, iter(()), grpc.StatusCode.INVALID_ARGUMENT),
            (predict, bytes(Settings().max_body_bytes + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call(sent, metadata=key, timeout=30)
            assert refused.value.code() is code


def test_a_key_is_needed(served):
    with GrpcClient(served[1], "rc_00000000_" + "x" * 43) as stranger, pytest.raises(Unauthenticated):
        stranger.models()


def test_what_if_and_the_queue(client, model):
    asked = v1.AskWhatIfRequest(reference=model)
    asked.row.cells["age"].number = 30
    asked.variations.add().cells["age"].number = 70
    answer = client.call("AskWhatIf", asked, WhatIf)
    assert list(answer.variations[0].changed) == ["age"]
    assert answer.variations[0].difference > 0
    queued = v1.SubmitPredictionRequest(wait=30, idempotency_key="once")
    queued.prediction.model = model
    queued.prediction.rows.add().cells["age"].number = 30
    task = client.call("SubmitPrediction", queued, Task)
    assert task.state == "succeeded"
    assert task.result["predictions"][0]["value"] == answer.base.value.text
    assert client.call("SubmitPrediction", queued, Task).id == task.id


def test_many_calls_on_one_stream(client, model):
    calls = [v1.PredictRequest(model=model, rows=[Row(cells={"age": Cell(number=age)})]) for age in (30, 70)]
    answers = list(client.stream("PredictStream", iter(calls), Predictions))
    assert [one.predictions[0].value.text for one in answers] == ["no", "yes"]


def test_the_report_is_a_page(client, model):
    asked = v1.GetTableReportRequest(name=model, version="latest", target="paid", idempotency_key="a report")
    page = client.call("GetTableReport", asked, v1.GetTableReportResponse)
    assert page.html.startswith("<!doctype html>")
    assert "What goes with <bdi>paid</bdi>" in page.html
    asked = v1.GetTableReportRequest(name=model, version="latest", target="colour", wait=0)
    assert client.call("GetTableReport", asked, v1.GetTableReportResponse).task.kind == "profile"


def test_files_come_back_as_they_went(client, model):
    asked = v1.DownloadTableRequest(name=model, version="latest")
    content = b"".join(part.content for part in client.stream("DownloadTable", asked, FileChunk))
    assert content.startswith(b"age,colour,paid\n20,red,no\n")
    parts = [v1.PredictFileRequest(details=v1.PredictFileDetails(reference=model, filename="a.csv", wait=60))]
    parts.append(v1.PredictFileRequest(content=content))
    task = client.call("PredictFile", iter(parts), Task)
    assert task.state == "succeeded"
    wanted = v1.DownloadTaskFileRequest(task_id=task.id, which="predictions")
    lines = b"".join(part.content for part in client.stream("DownloadTaskFile", wanted, FileChunk)).splitlines()
    assert len(lines) == 61


def test_an_upload_that_breaks_off_leaves_nothing(client):
    def broken():
        yield v1.AddTableRequest(details=v1.AddTableDetails(filename="broken.csv"))
        raise RuntimeError("the program that sends has failed")

    with pytest.raises(Exception):  # noqa: B017  (whatever the library makes of it)
        client.call("AddTable", broken(), v1.AddTableResponse)
    with pytest.raises(NotFound):
        client.call("GetDataset", v1.GetDatasetRequest(name="broken"), Empty)
    with pytest.raises(InvalidInput):
        client.call("AddTable", iter([v1.AddTableRequest(content=b"a,b\n")]), v1.AddTableResponse)


def test_a_stream_that_is_cancelled_ends_and_a_deadline_is_kept(client, model):
    task = client.train(dataset="people", target="paid", preset="best")
    changes = client.watch(task)
    assert next(changes).id == task.id
    changes.close()
    with pytest.raises(TimedOut):
        list(client.stream("WatchTask", v1.WatchTaskRequest(task_id=task.id), Task, timeout=0.2))
    with pytest.raises(TimedOut):
        client.predict(model, {"age": 30}, timeout=1e-6)
    client.call("CancelTask", v1.CancelTaskRequest(task_id=task.id), Task)
    assert [one.state for one in client.watch(task)][-1] == "cancelled"


def test_a_stream_of_a_task_ends_with_the_key_that_follows_it(served, client, model):
    server, target = served
    task = client.train(dataset="people", target="paid", preset="best")
    with server.client() as owner, GrpcClient(target, (made := owner.keys.make("follows")).key) as follower:
        changes = follower.watch(task)
        assert next(changes).id == task.id
        owner.keys.revoke(made.id)
        with pytest.raises(Unauthenticated, match="revoked"):
            list(changes)
    client.call("CancelTask", v1.CancelTaskRequest(task_id=task.id), Task)


def test_more_watchers_than_threads_are_told_to_come_again_and_predictions_go_on(client, model):
    task = client.train(dataset="people", target="paid", preset="best")
    watchers = [client.watch(task) for _ in range(80)]
    codes = []

    def first(changes):
        with contextlib.suppress(StopIteration):
            try:
                next(changes)
            except Exception as error:
                codes.append((error.code, error.details.get("retry_after")))

    threads = [threading.Thread(target=first, args=(one,)) for one in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) == {("too_many_calls", 2)}
    assert client.predict(model, {"age": 30}).predictions
    for one in watchers:
        one.close()
    client.call("CancelTask", v1.CancelTaskRequest(task_id=task.id), Task)


def _receipts(client):
    page = client.call("ListPredictions", v1.ListPredictionsRequest(), v1.ListPredictionsResponse)
    return {one.id for one in page.items}


def _waiting(call):
    """A call that was let in: the server sees deadlines pass when its clients do, or a moment later."""
    while True:
        made = call()
        try:
            made.result(timeout=0.5)
        except grpc.FutureTimeoutError:
            return made
        except grpc.RpcError as refused:
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_no_call_waits_beyond_its_deadline_and_a_crowd_is_told_to_come_again(served, client, model):
    """While another has the database for itself, so that nothing can be put on record."""
    server, target = served
    asked = v1.PredictRequest(model=model, rows=[Row(cells={"age": Cell(number=30)})])
    before, key = _receipts(client), [("x-api-key", server.key)]
    database = contextlib.closing(sqlite3.connect(server.data_dir / "rowcast.db"))
    with grpc.insecure_channel(target) as channel, database as other:
        predict = channel.unary_unary(
            "/rowcast.v1.Rowcast/Predict", v1.PredictRequest.SerializeToString, Predictions.FromString
        )
        other.execute("BEGIN IMMEDIATE")
        crowd = [predict.future(asked, metadata=key, timeout=2) for _ in range(MOST_CALLS + 40)]
        refused = [one for one in crowd if one.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
        others = [one for one in crowd if one not in refused]
        late = _waiting(lambda: predict.future(asked, metadata=key, timeout=30))
        other.rollback()
        receipt = late.result().receipt
    assert 0 < len(refused) <= 40
    assert {one.code() for one in others} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    retry = details.RetryInfo()
    assert any(part.Unpack(retry) for part in rpc_status.from_call(refused[0]).details)
    assert retry.retry_delay.seconds == 2
    assert dict(refused[0].trailing_metadata())["grpc-retry-pushback-ms"] == "2000"
    assert _receipts(client) - before == {receipt}, "who was not answered is on record"


def test_health_and_reflection_list_the_service(served):
    with grpc.insecure_channel(served[1]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="rowcast.v1.Rowcast"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def _listening(port):
    """How many sockets listen at a port."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    entries = [line.split() for table in tables for line in table]
    return sum(entry[1].endswith(f":{port:04X}") and entry[3] == "0A" for entry in entries)


def test_several_processes_answer_at_one_port(tmp_path, server_class):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = server_class(tmp_path / "data", grpc_port=str(port), processes="2").start()
    try:
        deadline = time.monotonic() + 60
        while _listening(port) < 2 and time.monotonic() < deadline:  # the further one comes a moment later
            time.sleep(0.1)
        assert _listening(port) == 2
        for _ in range(8):  # each a connection of its own
            with GrpcClient(f"127.0.0.1:{port}", server.key) as one:
                assert one.models() == []
    finally:
        server.stop()


def _certificates(folder):
    """An authority, and what it signed for a server and for a client, as PEM files."""
    authority_key, authority = _signed("Test authority", None, None, authority=True)
    for name in ("server", "client"):
        key, certificate = _signed(name, authority_key, authority)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(secret)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))


def _signed(name, signer, issuer, *, authority=False):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key if signer is None else signer, hashes.SHA256())
    )
    return key, certificate


def _health_by_public_authorities(target, key, folder):
    """What a program is told that names no authority, on a machine where ours is one of those that all trust."""
    program = f"""
from pathlib import Path
from rowcast.client.grpc import GrpcClient
own = tuple((Path({str(folder)!r}) / name).read_bytes() for name in ("client.pem", "client.key"))
with GrpcClient({target!r}, {key!r}, tls=True, own=own) as client:
    print(client.health().status)
"""
    environment = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "authority.pem")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() or done.stderr


def test_tls_and_mutual_tls(tmp_path, server_class):
    _certificates(tmp_path)
    pem = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = server_class(
        tmp_path / "data",
        grpc_port=str(port),
        grpc_certificate=str(tmp_path / "server.pem"),
        grpc_key=str(tmp_path / "server.key"),
        grpc_client_ca=str(tmp_path / "authority.pem"),
    ).start()
    target = f"127.0.0.1:{port}"
    try:
        own = pem["client.pem"], pem["client.key"]
        with GrpcClient(target, server.key, authority=pem["authority.pem"], own=own) as known:
            assert known.health().status == "ok"
        with GrpcClient(target, server.key, authority=pem["authority.pem"]) as unknown, pytest.raises(Unavailable):
            unknown.health()
        with GrpcClient(target, server.key) as plain, pytest.raises(Unavailable):
            plain.health()
        assert _health_by_public_authorities(target, server.key, tmp_path) == "ok"
    finally:
        server.stop()
