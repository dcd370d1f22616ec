"""Behind a trusted proxy: who calls is whom it names, and whole requests are answered at once as without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx2
import pytest

from rowcast.entrypoints.rest.at_once import Answering, Whole
from rowcast.entrypoints.rest.serving import bind, server
from rowcast.settings import Settings


class Seen:
    """Answers with what it sees of a request, and by which way that came."""

    async def __call__(self, scope, receive, send) -> None:
        body = self._told(scope, "asgi")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def at_once(self, scope) -> Answering | None:
        if scope["method"] != "POST":
            return None

        async def answer(body: bytes, _) -> Whole:
            told = self._told(scope, "at once")
            return Whole(200, [(b"content-length", b"%d" % len(told))], told)

        return answer

    def _told(self, scope, way: str) -> bytes:
        return json.dumps([way, scope["client"][0], scope["scheme"]]).encode()


@pytest.fixture(scope="module", params=["127.0.0.1", "127.0.0.0/8,10.0.0.0/8", "192.0.2.1", ""])
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    (listener,) = bind("127.0.0.1", 0)
    ready = threading.Event()
    running = server(Seen(), Settings(trusted_proxies=request.param), ready=ready.set)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(30)
    yield request.param, f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join()


@pytest.mark.parametrize(("method", "way"), [("POST", "at once"), ("GET", "asgi")])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}, ("203.0.113.7", "https")),
        ({"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}, ("203.0.113.7", "http")),
        ({"X-Forwarded-For": "", "X-Forwarded-Proto": "gopher"}, ("127.0.0.1", "http")),
        ({}, ("127.0.0.1", "http")),
    ],
)
def test_whom_a_proxy_names(behind, method, way, said, meant) -> None:
    trusted, url = behind
    told = httpx2.request(method, url, headers=said).json()
    assert told == [way, *(meant if trusted.startswith("127.") else ("127.0.0.1", "http"))]


def test_of_several_proxies_the_last_that_is_no_trusted_one(behind) -> None:
    trusted, url = behind
    told = httpx2.post(url, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7, 10.0.0.9"}).json()
    assert told[1] == {"127.0.0.1": "10.0.0.9", "127.0.0.0/8,10.0.0.0/8": "203.0.113.7"}.get(trusted, "127.0.0.1")
