"""Small calls that come at the same moment are answered together: each is answered, refused and put on record as if it
had come alone, and a head that was read before means the same again."""

import hashlib
import json
import random
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2
import pytest

FEATURES = ["GrAppv", "NoEmp", "State"]
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
AMOUNTS = [500.0, 12_000, 75_000.5, None, 250_000, 1e6]


@pytest.fixture(scope="module")
def v2(tmp_path_factory, server_class, example):
    server = server_class(tmp_path_factory.mktemp("v2") / "data").start()
    with server.client() as client:
        client.datasets.add(example, name="loans")
        client.train_and_wait(
            dataset="loans", target="MIS_Status", features=FEATURES, optional=FEATURES,
            preset="fast", algorithms=["lightgbm"], folds=2,
        )  # fmt: skip
    with httpx2.Client(base_url=server.url, headers={"X-API-Key": server.key}, timeout=60) as http:
        http.server = server
        yield http
    server.stop()


def infer_body(*amounts):
    return {"inputs": [{"name": "GrAppv", "shape": [len(amounts), 1], "datatype": "FP64", "data": [*amounts]}]}


class Connection:
    """One that is kept, and may send before it has heard."""

    def __init__(self, v2, key=None):
        address = urlsplit(v2.server.url)
        self._key = key or v2.server.key
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def request(self, body, *, path="/v2/models/loans/infer"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def send(self, body, **where):
        self.send_as_it_is(self.request(body, **where))

    def send_as_it_is(self, data):
        self._socket.sendall(data)

    def hear(self):
        status, length = int(self._stream.readline().split()[1]), 0
        while (line := self._stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, json.loads(self._stream.read(length))


def probabilities(reply):
    return next(output["data"] for output in reply["outputs"] if output["name"] == "probabilities")


def test_each_of_many_at_once_gets_what_it_would_get_alone(v2):
    chance = random.Random(4)
    asked = [[chance.choice(AMOUNTS) for _ in range(chance.choice([1, 1, 1, 2, 5]))] for _ in range(24)]
    alone = [probabilities(v2.post("/v2/models/loans/infer", json=infer_body(*one)).json()) for one in asked]
    found, receipts = {}, {}

    def call(number):
        with Connection(v2) as connection:
            for _ in range(5):
                connection.send(body := json.dumps(infer_body(*asked[number])).encode())
                status, reply = connection.hear()
                found.setdefault(number, []).append((status, probabilities(reply)))
                receipts[reply["parameters"]["receipt"]] = body

    callers = [threading.Thread(target=call, args=(number,)) for number in range(len(asked))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {number: [(200, alone[number])] * 5 for number in range(len(asked))}
    assert len(receipts) == 5 * len(asked)
    for receipt, body in random.Random(5).sample(sorted(receipts.items()), 8):
        kept = v2.get(f"/api/v1/predictions/{receipt}").json()
        assert kept["inputs_hash"] == hashlib.sha256(body).hexdigest()
        assert v2.post(f"/api/v1/predictions/{receipt}/replay").json()["matches"] is True


def test_one_that_cannot_be_read_takes_nobody_with_it(v2):
    good, bad = json.dumps(infer_body(500.0)).encode(), json.dumps(infer_body("far too much")).encode()
    unknown = json.dumps({"inputs": [{"name": "Gr", "shape": [1], "datatype": "FP32", "data": [1.0]}]}).encode()
    huge = json.dumps(infer_body(1e39)).encode()
    bodies = [good, bad, unknown, huge, b"{", b""] * 4
    found = [[] for _ in bodies]

    def call(number):
        with Connection(v2) as connection:
            for _ in range(10):
                connection.send(bodies[number])
                found[number].append(connection.hear())

    callers = [threading.Thread(target=call, args=(number,)) for number in range(len(bodies))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    alone = {body: v2.post("/v2/models/loans/infer", content=body) for body in set(bodies)}
    for body, answers in zip(bodies, found, strict=True):
        assert {status for status, _ in answers} == {alone[body].status_code}
        assert body == good or {reply["error"] for _, reply in answers} == {alone[body].json()["error"]}


def test_a_known_head_brings_another_body(v2):
    bodies = [json.dumps(infer_body(amount)).encode() for amount in (1000.0, 2000.0, 9000.0)]
    alone = [probabilities(v2.post("/v2/models/loans/infer", content=body).json()) for body in bodies]
    with Connection(v2) as connection:
        for _ in range(3):
            for body, expected in zip(bodies, alone, strict=True):
                connection.send(body)
                status, reply = connection.hear()
                assert (status, probabilities(reply)) == (200, expected)


def test_after_a_known_head_come_pieces_and_two_at_once(v2):
    body = json.dumps(infer_body(1000.0)).encode()
    with Connection(v2) as connection:
        whole = connection.request(body)
        connection.send(body)
        expected = probabilities(connection.hear()[1])
        for pieces in (
            [whole[:-7], whole[-7:]],
            [whole[:30], whole[30:]],
            [whole + whole],
            [whole + whole[:9], whole[9:]],
        ):
            for piece in pieces:
                connection.send_as_it_is(piece)
                time.sleep(0.05)  # so that they arrive one by one
            for _ in range(b"".join(pieces).count(b"POST")):
                assert probabilities(connection.hear()[1]) == expected
            connection.send(body)
            assert probabilities(connection.hear()[1]) == expected


def test_a_key_that_was_revoked_ends_on_a_connection_that_knows_it(v2):
    made = v2.post("/api/v1/keys", json={"name": "short-lived"}).json()
    body = json.dumps(infer_body(1000.0)).encode()
    with Connection(v2, made["key"]) as connection:
        for _ in range(3):
            connection.send(body)
            assert connection.hear()[0] == 200
        assert v2.delete(f"/api/v1/keys/{made['id']}").is_success
        connection.send(body)
        status, reply = connection.hear()
    assert status == 401
    assert "revoked" in reply["error"]


def test_a_head_that_goes_nowhere_goes_nowhere_again(v2):
    with Connection(v2) as connection:
        for path, expected in (("/v2/models/nothing/infer", 404), ("/v2/models//infer", 404), ("/v2/nothing", 404)):
            for _ in range(3):
                connection.send(b"{}", path=path)
                status, reply = connection.hear()
                assert (status, "error" in reply) == (expected, True)


@pytest.mark.parametrize("end", [b"\x00\x01\r\n\r\n", UPGRADE])
def test_a_connection_that_breaks_off_leaves_nobody_without_an_answer(v2, end):
    body = json.dumps(infer_body(1000.0)).encode()
    stop, answers = threading.Event(), []

    def victim():
        with Connection(v2) as connection:
            while not stop.is_set():
                connection.send(body)
                answers.append(connection.hear()[0])

    victims = [threading.Thread(target=victim) for _ in range(4)]
    for one in victims:
        one.start()
    for _ in range(60):
        with Connection(v2) as connection:
            connection.send_as_it_is(connection.request(body) * 2 + end)
            time.sleep(0.005)
    stop.set()
    for one in victims:
        one.join(20)
    assert not any(one.is_alive() for one in victims)
    assert len(answers) > 4
    assert set(answers) == {200}


def test_a_known_head_after_an_answer_in_pieces(v2):
    body = json.dumps(infer_body(1000.0)).encode()
    with httpx2.Client(base_url=v2.server.url, headers={"X-API-Key": v2.server.key}, timeout=60) as http:
        for _ in range(5):
            assert http.post("/v2/models/loans/infer", content=body).status_code == 200
            assert http.post("/api/v1/models/loans/predict", json={"rows": [{"GrAppv": 5}]}).status_code == 200
            assert http.get("/api/v1/models/loans/versions/1/export").status_code == 200


def test_a_call_that_comes_while_a_known_head_is_answered_is_answered_too(v2):
    body = json.dumps(infer_body(1000.0)).encode()
    with Connection(v2) as connection:
        for _ in range(20):
            connection.send(body)
            assert connection.hear()[0] == 200
            connection.send_as_it_is(connection.request(b"", path="/v2").replace(b"POST", b"GET"))
            assert connection.hear()[0] == 200
            connection.send(body)
            connection.send(body)
            assert [connection.hear()[0] for _ in range(2)] == [200, 200]


def test_no_rows_have_no_answers(v2):
    none = v2.post("/v2/models/loans/infer", json=infer_body())
    assert none.status_code == 200
    assert probabilities(none.json()) == []


@pytest.mark.parametrize("amount", [3.40282356e38, 3.4028235677973362e38, -3.40282356e38])
def test_what_is_rounded_to_a_float32_is_taken_in_any_company(v2, amount):
    several = v2.post("/v2/models/loans/infer", json=infer_body(amount, 5.0, amount))
    alone = v2.post("/v2/models/loans/infer", json=infer_body(amount))
    assert probabilities(several.json()) == [*probabilities(alone.json()), *probabilities(several.json())[2:]]
    assert v2.post("/v2/models/loans/infer", json=infer_body(3.4028235677973366e38)).status_code == 400
