"""What a hostile caller sends to the V2 and MLflow doors: each gets its protocol's error, none a fault of ours, and the
server's memory stays what it was."""

import gzip
import hashlib
import json
import random
import socket
import struct
import threading
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

REQUESTS = 1000
FLAT_BYTES = 150 * 2**20
"""A single request may hold its body of up to 64 MB a few times over; a leak of a thousand holds far more."""


@pytest.fixture(scope="module")
def v2(tmp_path_factory, server_class, example):
    server = server_class(tmp_path_factory.mktemp("v2") / "data").start()
    with server.client() as client:
        client.datasets.add(example, name="loans")
        client.train_and_wait(dataset="loans", target="MIS_Status", preset="fast", algorithms=["lightgbm"], folds=2)
    with httpx2.Client(base_url=server.url, headers={"X-API-Key": server.key}, timeout=60) as http:
        http.server = server
        yield http
    server.stop()


def resident(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def tensor(chance):
    """A tensor that may be right, and mostly is not."""
    datatype = chance.choice(["FP32", "FP64", "INT64", "BYTES", "BOOL", "FP16", "BF16", "", "x" * 500])
    shape = chance.choice([[1], [1, 1], [2, 1], [0], [-1, 1], [], [1] * 20, [2**40], [1, 7], ["1"], None, 1.5])
    data = chance.choice([[1.0], [None], ["a"], [[1.0]], [[[]]], [], "abc", {"a": 1}, [True], [1e400], [2**70], None])
    name = chance.choice(["GrAppv", "State", "nothing", "", "n" * 1000, "ünknown", "stats"])
    made = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    made.pop(chance.choice([*made, "none of them"]), None)
    return made


def binary(chance):
    """A body with a binary section, whose header may lie, and the length that is told."""
    raw = chance.choice([b"", b"\x00" * 4, b"\xff" * 4, struct.pack("<I", 2**31) + b"abc", b"\x00" * 1000])
    size = chance.choice([len(raw), len(raw) + 1, -1, 2**62, "4", None])
    one = {"name": "GrAppv", "shape": [1, 1], "datatype": chance.choice(["FP32", "BYTES"])}
    head = json.dumps({"inputs": [one | {"parameters": {"binary_data_size": size}}]}).encode()
    told = chance.choice([len(head), 0, len(head) - 3, len(head) + len(raw) + 1, 10**15, "x", -1])
    return head + raw, {"Inference-Header-Content-Length": str(told)}


def request(chance):
    """Address, headers and body of a call."""
    kind = chance.randrange(6)
    headers = {}
    if kind == 0:
        body, headers = binary(chance)
    elif kind == 1:
        body = chance.choice(
            [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 10_000, b'{"inputs": NaN}', b"1" * 5000]
        )
    elif kind == 2:
        body = chance.choice([gzip.compress(b"{}"), b"not packed", gzip.compress(b" " * 2**20)[:-20]])
        headers["Content-Encoding"] = chance.choice(["gzip", "deflate", "br", "gzip, gzip", "x"])
    else:
        asked = {"inputs": [tensor(chance) for _ in range(chance.choice([0, 1, 2, 50]))]}
        if chance.random() < 0.3:
            asked["outputs"] = chance.choice(
                [[{"name": "nothing"}], [], "x", [{}], [{"name": "label", "parameters": 5}]]
            )
        if chance.random() < 0.3:
            asked["parameters"] = chance.choice([{"binary_data_output": "yes"}, [], {"a": {"b": {}}}])
        if chance.random() < 0.2:
            asked["id"] = chance.choice([5, "x" * 10_000, None, {}])
        body = json.dumps(asked).encode()
    path = chance.choice(
        [
            "/v2/models/loans/infer",
            "/v2/models/loans/versions/1/infer",
            "/v2/models/loans/versions/x%2F..%2Fy/infer",
            "/v2/models/%00/infer",
            "/v2/models/" + "a" * 3000 + "/infer",
            "/v2/repository/index",
            "/v2/repository/models/nothing/load",
            "/mlflow/loans/invocations",
        ]
    )
    if path.startswith("/mlflow"):
        headers["Content-Type"] = chance.choice(["application/json", "text/csv", "text/plain", ""])
    return path, headers, body


def test_a_thousand_hostile_requests(v2):
    chance = random.Random(20260101)
    first = [
        v2.post(path, headers=headers, content=body) for path, headers, body in (request(chance) for _ in range(50))
    ]
    before = resident(v2.server)
    answers = first + [
        v2.post(path, headers=headers, content=body)
        for path, headers, body in (request(chance) for _ in range(REQUESTS - 50))
    ]
    for answer in answers:
        assert answer.status_code in (200, 400, 404, 413), answer.text
        if answer.status_code != 200:
            said = answer.json()
            key = "message" if answer.request.url.path.startswith("/mlflow") else "error"
            assert isinstance(said[key], str), said
            assert said[key]
    assert sum(answer.status_code == 400 for answer in answers) > REQUESTS / 3
    assert resident(v2.server) - before < FLAT_BYTES
    assert v2.get("/v2/health/ready").status_code == 200


def test_a_body_of_a_hundred_megabytes_is_refused_before_it_is_read(v2):
    answer = v2.post("/v2/models/loans/infer", content=b" " * 100 * 2**20)
    assert answer.status_code == 413
    assert "allowed" in answer.json()["error"]


def test_what_unpacks_to_more_than_the_limit_is_refused(v2):
    packed = gzip.compress(b" " * 200 * 2**20, compresslevel=1)
    answer = v2.post("/v2/models/loans/infer", content=packed, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_slow_callers_hold_up_nobody(v2):
    address = urlsplit(v2.server.url)
    slow = [HTTPConnection(address.hostname, address.port) for _ in range(20)]
    for connection in slow:
        connection.putrequest("POST", "/v2/models/loans/infer")
        connection.putheader("Content-Length", "100000")
        connection.putheader("X-API-Key", v2.server.key)
        connection.endheaders()
        connection.send(b"{")
    assert v2.get("/v2/models/loans").status_code == 200
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("path", ["/v2", "/v2/models/loans", "/v2/models/loans/config", "/v2/models/stats"])
def test_a_key_is_needed_with_and_without_a_slash_at_the_end(v2, path):
    for address in (path, path + "/"):
        assert v2.get(address).status_code == 200
        refused = httpx2.get(v2.server.url + address)
        assert (refused.status_code, set(refused.json())) == (401, {"error"})
        assert refused.headers["www-authenticate"]


def test_methods_and_addresses_that_there_are_not(v2):
    assert v2.get("/v2/nothing").json().keys() == {"error"}
    wrong = v2.put("/v2/models/loans/infer")
    assert (wrong.status_code, wrong.headers["allow"], set(wrong.json())) == (405, "POST", {"error"})


@pytest.fixture(scope="module")
def asked(v2):
    """Makes the body of a call for one row with this amount."""
    schema = v2.get("/v2/models/loans").json()["inputs"]
    feature = {one["name"]: one for one in v2.get("/api/v1/models/loans/schema").json()["features"]}

    def body(amount):
        cells = {one["name"]: feature[one["name"]]["example"] for one in schema} | {"GrAppv": amount}
        return {
            "id": str(amount),
            "inputs": [
                {
                    "name": one["name"],
                    "shape": [1, 1],
                    "datatype": one["datatype"],
                    "data": [cells[one["name"]] if one["datatype"] == "FP32" else str(cells[one["name"]])],
                }
                for one in schema
            ],
        }

    return body


def test_callers_get_their_own_rows_and_no_fault_of_others(v2, asked):
    """Calls at the same time, each with an amount of its own or one that cannot be read, are answered as alone."""

    def answer(amount):
        reply = v2.post("/v2/models/loans/infer", json=asked(amount))
        if amount > 1e38:
            assert (reply.status_code, "row 1, field GrAppv" in reply.json()["error"]) == (400, True), reply.text
            return None
        assert reply.json()["id"] == str(amount)
        return reply.json()["outputs"][0]["data"]

    amounts = [1000.0 * number if number % 4 else 1e39 * number for number in range(1, 41)]
    alone = {amount: answer(amount) for amount in amounts}
    together = {}

    def call(amount):
        together[amount] = answer(amount)

    threads = [threading.Thread(target=call, args=(amount,)) for amount in amounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def binary_rows(v2, amounts):
    """Answer and body of a call with a binary tensor for each feature, all rows alike but for their amounts."""
    tensors, sections = [], []
    for one in v2.get("/api/v1/models/loans/schema").json()["features"]:
        number = one["kind"] == "number"
        cells = amounts if one["name"] == "GrAppv" else [one["example"]] * len(amounts)
        encoded = [str(cell).encode() for cell in cells]
        texts = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
        sections.append(struct.pack(f"<{len(cells)}f", *cells) if number else texts)
        form = {"datatype": "FP32" if number else "BYTES", "parameters": {"binary_data_size": len(sections[-1])}}
        tensors.append({"name": one["name"], "shape": [len(amounts), 1], **form})
    head = json.dumps({"inputs": tensors}).encode()
    body = b"".join([head, *sections])
    told = {"Inference-Header-Content-Length": str(len(head))}
    return v2.post("/v2/models/loans/infer", content=body, headers=told), body


def test_many_rows_are_answered_and_kept_as_one_by_one(v2):
    amounts = [float(1000 * number) for number in range(1, 101)]
    many, body = binary_rows(v2, amounts)
    assert many.status_code == 200, many.text
    one_by_one = [binary_rows(v2, [amount])[0].json()["outputs"][0]["data"] for amount in amounts[::10]]
    assert [many.json()["outputs"][0]["data"][2 * row : 2 * row + 2] for row in range(0, 100, 10)] == one_by_one
    receipt = v2.get(f"/api/v1/predictions/{many.json()['parameters']['receipt']}").json()
    assert [row["GrAppv"] for row in receipt["rows"]] == amounts
    assert receipt["inputs_hash"] == hashlib.sha256(body).hexdigest()
    assert v2.post(f"/api/v1/predictions/{receipt['id']}/replay").json()["matches"] is True


def test_a_bad_cell_among_many_rows_is_named(v2):
    refused, _ = binary_rows(v2, [*[1000.0] * 17, float("inf"), 1000.0])
    assert refused.status_code == 400
    assert "row 18, field GrAppv" in refused.json()["error"]


def test_an_output_is_asked_for_once(v2, asked):
    twice = v2.post("/v2/models/loans/infer", json=asked(1000.0) | {"outputs": [{"name": "label"}] * 2})
    assert (twice.status_code, twice.json()["error"]) == (400, "Two outputs have the same name.")


def heard(connection, count):
    """So many answers, whatever comes: their statuses and bodies."""
    stream, answers = connection.makefile("rb"), []
    for _ in range(count):
        status, length = int(stream.readline().split()[1]), 0
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        answers.append((status, json.loads(stream.read(length))))
    return answers


def test_requests_in_pieces_and_several_at_once_are_answered_in_their_order(v2, asked):
    address = urlsplit(v2.server.url)

    def request(amount):
        body = json.dumps(asked(amount)).encode()
        head = f"POST /v2/models/loans/infer HTTP/1.1\r\nHost: x\r\nX-API-Key: {v2.server.key}\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request(1000.0) + request(2000.0) + request(3000.0)[:-5])
        first = heard(connection, 2)
        connection.sendall(request(3000.0)[-5:])
        answers = [*first, *heard(connection, 1)]
        whole = request(4000.0)
        for start in range(0, len(whole), 700):
            connection.sendall(whole[start : start + 700])
        answers += heard(connection, 1)
        connection.sendall(request(5000.0).replace(b"Host: x", b"Host: x\r\nConnection: close"))
        answers += heard(connection, 1)
        assert connection.recv(1) == b""
    assert [(status, said["id"]) for status, said in answers] == [(200, f"{n}000.0") for n in range(1, 6)]
