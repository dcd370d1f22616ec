"""Below the application: what is no HTTP, or has no end."""

import json
import socket
import threading
import time

import pytest

from rowcast.entrypoints.rest import serving
from rowcast.entrypoints.rest.app import create_app
from rowcast.entrypoints.rest.serving import HEAD_BYTES, bind, server
from rowcast.settings import Settings


@pytest.fixture(scope="module")
def address():
    [listener], ready = bind("127.0.0.1", 0), threading.Event()
    running = server(create_app(), Settings(log_level="error"), ready=ready.set)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(30)
    yield listener.getsockname()
    running.should_exit = True
    thread.join(30)
    listener.close()


def exchange(address, *pieces):
    """The status and the body of what the server says to this until it closes the connection."""
    with socket.create_connection(address, timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:  # it would not hear the rest
            pass
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:  # closed with some of the request unread
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


@pytest.mark.parametrize(
    "request_",
    [b"BREW / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"],
)
def test_what_is_no_http_gets_a_problem_too(address, request_):
    status, head, body = exchange(address, request_)
    assert status == 400
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "http_invalid"


@pytest.mark.parametrize("begun", [b"", b"GE", b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n"])
def test_who_never_comes_to_the_end_of_their_headers_is_hung_up_on(address, monkeypatch, begun):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    with socket.create_connection(address, timeout=30) as connection:
        if begun:
            connection.sendall(begun)
        assert connection.recv(100) == b""


def test_who_is_slow_with_their_headers_but_comes_to_an_end_is_answered(address):
    pieces = (b"GET /api/v1/nothing HTT", b"P/1.1\r\nHost: x\r\n", b"Connection: close\r\n\r\n")
    assert exchange(address, *pieces)[0] == 404


def test_headers_without_end_are_cut_off(address):
    begun = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\nX-Long: "
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(begun)
        sent = 0
        with pytest.raises(OSError):
            while sent < 1000 * HEAD_BYTES:
                connection.sendall(b"a" * HEAD_BYTES)
                sent += HEAD_BYTES
    assert sent < 1000 * HEAD_BYTES


@pytest.mark.parametrize("cut", [None, 30, -20, -3], ids=["one piece", "in the head", "before the body", "in the body"])
def test_who_asks_for_another_protocol_is_answered_in_this_one_with_their_body(address, cut):
    body = b"GET / HTTP/1.1\r\n\r\n"
    head = b"POST /v1/nothing?a=%20 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    request = head + b"HTTP2-Settings: AAMAAABk\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\n\r\n"
    pieces = [request] if cut is None else [request[:cut], request[cut:]]

    with socket.create_connection(address, timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        connection.sendall(last)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 404") + answer.count(b"HTTP/1.1 200") == 2
    assert answer.startswith(b"HTTP/1.1 404")


def test_requests_for_another_protocol_one_after_the_other_are_no_more_requests_than_they_are(address):
    asks = b"Connection: Upgrade\r\nUpgrade:   h2c\r\n"
    first = b"GET /v1/first HTTP/1.1\r\nHost: x\r\n" + asks + b"\r\n"
    hidden = b"X: GET /api/v1/openapi.json HTTP/1.1\r\nA: " + b"b" * 80 + b"\r\n\r\n"
    second = b"POST /v1/second HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n" + asks + hidden + b"abc"
    last = b"GET /v1/last HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\nand more"
    status, _, body = exchange(address, first + second + last)
    assert status == 404
    assert body.count(b"HTTP/1.1 404") == body.count(b"HTTP/1.1 ") == 2

    status, _, body = exchange(address, first * 1000)
    assert body.count(b"HTTP/1.1 400") + (status == 400) == 1


def test_it_is_no_proxy(address, caplog):
    status, _, body = exchange(address, b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (405, "method_not_allowed")
    assert not caplog.records


def test_long_bodies_and_many_requests_on_a_connection_are_not_taken_for_headers(address):
    get = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n%s\r\n"
    post = b"POST /api/v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 * HEAD_BYTES)
    status, _, body = exchange(
        address, get % b"", post, b"x" * (8 * HEAD_BYTES), get % b"", get % b"Connection: close\r\n"
    )
    assert status == 200
    assert (body.count(b"HTTP/1.1 200"), body.count(b"HTTP/1.1 404")) == (2, 1)
