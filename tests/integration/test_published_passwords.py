"""A range API of published passwords, asked over real HTTP."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx2
import pytest

from rowcast.adapters.breaches.ranges import RangeApi

STOLEN, PADDED, GOOD = "lemon river stone", "copper window april", "violet engine spoon"


def digits(password):
    return hashlib.sha1(password.encode()).hexdigest().upper()


class Ranges(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []
    status = 200

    def do_GET(self):
        self.asked.append((self.path, self.headers["Add-Padding"]))
        lines = [f"{digits(STOLEN)[5:]}:{3}", f"{digits(PADDED)[5:]}:0", "0" * 35 + ":7"]
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write("\r\n".join(lines).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def ranges():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/range"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_five_digits_leave_the_house(ranges):
    Ranges.asked.clear()
    assert RangeApi(ranges).contains(STOLEN)
    assert Ranges.asked == [(f"/range/{digits(STOLEN)[:5]}", "true")]


def test_what_is_not_known_or_only_padding_is_not_published(ranges):
    assert not RangeApi(ranges + "/").contains(GOOD)
    assert not RangeApi(ranges).contains(PADDED)


@pytest.mark.parametrize("status", [404, 429, 503])
def test_where_it_does_not_answer_the_password_is_taken_and_the_log_says_so(ranges, status, monkeypatch, caplog):
    monkeypatch.setattr(Ranges, "status", status)
    assert not RangeApi(ranges).contains(STOLEN)
    assert not RangeApi("http://127.0.0.1:1/range").contains(STOLEN)
    assert caplog.text.count("cannot be asked for") == 2
    assert STOLEN not in caplog.text and digits(STOLEN)[:5] not in caplog.text.replace("HTTP Request", "")


def test_a_server_that_is_told_of_one_asks_it(server_class, tmp_path, ranges):
    running = server_class(tmp_path / "data", sign_up="open", password_ranges_url=ranges).start()
    try:
        answers = [
            httpx2.post(f"{running.url}/api/v1/sign-up", json={"name": "anna", "password": password})
            for password in (STOLEN, GOOD)
        ]
        assert [answer.status_code for answer in answers] == [422, 201]
        assert answers[0].json()["code"] == "password_breached"
        assert digits(GOOD)[:5] not in running.log.read_text()
    finally:
        running.stop()
