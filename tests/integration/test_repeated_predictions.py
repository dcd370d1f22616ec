"""Predictions made again under an idempotency key, at every door of a real server on which they cost credits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import grpc
import httpx2
import pytest
from services.processes import free_port

from rowcast.client import Client
from rowcast.client.grpc import GrpcClient
from rowcast.inference import v2_pb2 as v2
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.data import put_row
from rowcast.v1.predictions_pb2 import Predictions, WhatIf

V2 = "/inference.GRPCInferenceService"


@pytest.fixture(scope="module")
def own(server_class: Any, example: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder, port = tmp_path_factory.mktemp("repeated"), free_port()
    settings = {"credits": "paid", "sign_up_credits": "1000", "grpc_port": str(port)}
    running = server_class(folder / "data", **settings).start()
    table = folder / "loans.csv"
    with example.open() as file:
        table.write_text("".join(line for line, _ in zip(file, range(401), strict=False)))
    with running.client() as client:
        client.datasets.add(table, name="loans")
        wanted = {"preset": "fast", "algorithms": ["linear"], "folds": 2, "promote": True}
        client.train_and_wait(dataset="loans", target="MIS_Status", **wanted)
        client.credits.top_up(client.me().name, 1000)
        row = {feature.name: feature.example for feature in client.models.schema("loans").features}
        yield running, client, row, f"127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def client(own: Any) -> Client:
    return own[1]


@pytest.fixture
def row(own: Any) -> dict[str, Any]:
    return own[2]


@pytest.fixture
def spent(client: Client) -> Any:
    """What was spent, and how many receipts there are."""

    def spent() -> tuple[int, int]:
        return -client.credits.get().balance, len(client.predictions.list(limit=None))

    return spent


def doors(row: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    tensors = [
        {"name": name, "shape": [1], "datatype": "FP32" if isinstance(value, int | float) else "BYTES", "data": [value]}
        for name, value in row.items()
    ]
    return {
        "rest": ("/api/v1/models/loans/predict", {"rows": [row]}),
        "reasons": ("/api/v1/models/loans/predict", {"rows": [row], "explain": 2}),
        "what-if": ("/api/v1/models/loans/what-if", {"row": row, "variations": [{"NoEmp": 5}]}),
        "v2": ("/v2/models/loans/infer", {"inputs": tensors}),
        "mlflow": ("/mlflow/loans/invocations", {"dataframe_records": [row]}),
    }


@pytest.mark.parametrize("door", ["rest", "reasons", "what-if", "v2", "mlflow"])
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in pieces"])
def test_over_http(own: Any, row: dict[str, Any], spent: Any, door: str, whole: bool) -> None:
    path, body = doors(row)[door]
    content = json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {own[0].key}", "Content-Type": "application/json"}

    def call(key: str, content: bytes = content) -> httpx2.Response:
        sent = content if whole else iter([content[:9], content[9:]])
        return httpx2.post(own[0].url + path, content=sent, headers={**headers, "Idempotency-Key": key.encode()})

    first = call(f"{door} {whole}")
    assert first.status_code == 200, first.text
    before = spent()
    again = call(f"{door} {whole}")
    assert (again.status_code, again.content) == (200, first.content)
    assert "idempotency-replayed" not in first.headers
    assert door == "mlflow" or again.headers["idempotency-replayed"] == "true"
    assert spent() == before
    assert call("ü").status_code in (400, 422)


def test_a_key_is_for_one_question(own: Any, row: dict[str, Any], spent: Any) -> None:
    headers = {"Authorization": f"Bearer {own[0].key}", "Idempotency-Key": "one question"}
    path, body = doors(row)["rest"]
    assert httpx2.post(own[0].url + path, json=body, headers=headers).status_code == 200
    before = spent()
    refused = httpx2.post(own[0].url + path, json={"rows": [row, row]}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")
    two = [*headers.items(), ("Idempotency-Key", "another")]
    assert httpx2.post(own[0].url + path, json=body, headers=two).status_code == 400
    assert spent() == before


def test_over_grpc(own: Any, row: dict[str, Any], spent: Any) -> None:
    server, _, _, target = own
    metadata = [("authorization", f"Bearer {server.key}"), ("idempotency-key", "over gRPC")]
    asked, question = v1.PredictRequest(model="loans"), v1.AskWhatIfRequest(reference="loans")
    put_row(asked.rows.add(), row)
    put_row(question.row, row)
    put_row(question.variations.add(), {"NoEmp": 5})
    inferred = v2.ModelInferRequest(model_name="loans")
    for tensor in doors(row)["v2"][1]["inputs"]:
        added = inferred.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        if tensor["datatype"] == "FP32":
            added.contents.fp32_contents.extend(tensor["data"])
        else:
            added.contents.bytes_contents.extend(text.encode() for text in tensor["data"])
    calls = [
        ("/rowcast.v1.Rowcast/Predict", asked, Predictions),
        ("/rowcast.v1.Rowcast/AskWhatIf", question, WhatIf),
        (f"{V2}/ModelInfer", inferred, v2.ModelInferResponse),
    ]
    with grpc.insecure_channel(target) as channel:
        for number, (path, request, reply) in enumerate(calls):
            call = channel.unary_unary(path, type(request).SerializeToString, reply.FromString)
            mine = [*metadata[:1], ("idempotency-key", f"over gRPC {number}")]
            first = call(request, metadata=mine)
            before = spent()
            assert call(request, metadata=mine) == first
            assert spent() == before
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(calls[0][0], v1.PredictRequest.SerializeToString, Predictions.FromString)(
                asked, metadata=[*metadata, ("idempotency-key", "another")]
            )
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        stream = channel.stream_stream(
            calls[0][0] + "Stream", v1.PredictRequest.SerializeToString, Predictions.FromString
        )
        first = list(stream(iter([asked, asked]), metadata=metadata))
        before = spent()
        assert list(stream(iter([asked, asked]), metadata=metadata)) == first
        assert first[0].receipt != first[1].receipt
        assert spent() == before


class Relay:
    """Passes connections on to a server, but for the answer that it is told to lose, and breaks off there."""

    def __init__(self, target: str) -> None:
        self.losing = threading.Event()
        self._target = target.split(":")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection((self._target[0], int(self._target[1])))
                threading.Thread(target=self._pass, args=(ours, theirs), daemon=True).start()
                threading.Thread(target=self._pass, args=(theirs, ours, self.losing), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, losing: threading.Event | None = None) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                if losing is not None and losing.is_set() and len(piece) > 100:  # no mere acknowledgement
                    losing.clear()
                    break
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._listener.close()


def test_the_client_over_grpc_asks_again_and_pays_once(own: Any, client: Client, row: dict[str, Any]) -> None:
    with closing(Relay(own[3])) as relay, GrpcClient(relay.address, own[0].key) as calling:
        calling.predict("loans", row)
        receipts = len(client.predictions.list(limit=None))
        relay.losing.set()
        told = calling.predict("loans", row)
        assert not relay.losing.is_set()
        assert [one.id for one in client.predictions.list(limit=1)] == [told.receipt]
        assert len(client.predictions.list(limit=None)) == receipts + 1


def test_the_clients_of_the_sdk_send_one(own: Any, client: Client, row: dict[str, Any]) -> None:
    sent: list[str] = []

    class Watched(httpx2.HTTPTransport):
        """Loses the first answer to every call."""

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            sent.append(request.headers["Idempotency-Key"])
            response = super().handle_request(request)
            response.read()
            if sent.count(sent[-1]) == 1:
                raise httpx2.ReadError("the answer is lost")
            return response

    receipts = len(client.predictions.list(limit=None))
    with Client(own[0].url, own[0].key, transport=Watched()) as flaky:
        told = [flaky.predict("loans", row).receipt, flaky.what_if("loans", row, [{"NoEmp": 5}]).receipt]
    assert [one.id for one in client.predictions.list(limit=2)] == told[::-1]
    assert len(client.predictions.list(limit=None)) == receipts + 2
    assert len(set(sent)) == 2
    assert len(sent) == 4
