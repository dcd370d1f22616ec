"""What visitors do in the dashboard is in the audit log with their own address, which nobody else can say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from rowcast.client import Client

PASSWORD = "lemon river stone"


class Dashboard(BaseHTTPRequestHandler):
    """In place of the real one: shows what the server tells it of the visitor."""

    def do_GET(self) -> None:
        told = self.headers.get_all("X-Rowcast-Visitor") or []
        body = "|".join(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(server_class: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    dashboard = ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    threading.Thread(target=dashboard.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{dashboard.server_address[1]}"
    settings = {"sign_up": "open", "trusted_proxies": "127.0.0.1", "dashboard_url": address}
    running = server_class(tmp_path_factory.mktemp("visited") / "data", **settings).start()
    yield running
    running.stop()
    dashboard.shutdown()
    dashboard.server_close()


def signed_in(server: Any, name: str) -> str:
    """The token of a new user's session."""
    with httpx2.Client(base_url=f"{server.url}/api/v1", headers={"X-Rowcast-Client": "test"}) as http:
        assert http.post("/sign-up", json={"name": name, "password": PASSWORD}).is_success
        answer = http.post("/session", json={"name": name, "password": PASSWORD})
    return answer.cookies["rowcast_session"]


def test_the_dashboard_acts_from_where_its_visitor_is(server: Any) -> None:
    ann, ben = signed_in(server, "ann"), signed_in(server, "ben")
    headers = {"Cookie": f"rowcast_session={ann}", "X-Forwarded-For": "203.0.113.7", "X-Rowcast-Visitor": "forged 0"}
    word = httpx2.get(f"{server.url}/data", headers=headers).text
    assert word.startswith("203.0.113.7 ")
    said = [(ann, word), (ann, word.replace("203", "198")), (ann, "203.0.113.7"), (ben, word), (ann, "")]
    for number, (session, visitor) in enumerate(said):
        with Client(server.url, session=session, visitor=visitor) as client:
            client.keys.make(f"key {number}")
    with server.client() as admin:
        made = [deed.address for deed in admin.audit.list(limit=50) if deed.action == "key.made"]
    assert made[: len(said)][::-1] == ["203.0.113.7", *["127.0.0.1"] * 4]


def test_visitors_without_a_session_are_not_vouched_for(server: Any) -> None:
    assert httpx2.get(f"{server.url}/data").text == ""
