"""The door before the pages, and the way through the server to them: a real server stands for each side."""

import asyncio
import socket
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import httpx2
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rowcast.entrypoints.dashboard.door import Door
from rowcast.entrypoints.passing import Passing

SIGNED_IN = {"Cookie": "other=1; rowcast_session=token"}


@contextmanager
def running(app):
    """The application on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


async def pages(scope, receive, send):
    """In place of Streamlit: says what it was asked, and gives streams back what they send."""
    headers = dict(scope["headers"])
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    told = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {len(body)}"
    told += f" {headers.get(b'x-forwarded-host', b'').decode()} {b'origin' in headers}"
    await PlainTextResponse(told)(scope, receive, send)


async def others(scope, receive, send):
    await PlainTextResponse("the server's")(scope, receive, send)


async def absent(scope, receive, send):
    await PlainTextResponse("nobody there", 503)(scope, receive, send)


@pytest.fixture(scope="module")
def front():
    """The address of a server that passes everything on to the door of the pages."""
    with running(Door(pages, others, scripts=["alert()"])) as door, running(Passing(door, absent)) as url:
        yield url


def test_pages_are_for_those_who_bring_a_session(front):
    stranger = httpx2.get(f"{front}/data?dataset=a%26b")
    assert (stranger.status_code, stranger.headers["location"]) == (303, "/sign-in?next=%2Fdata%3Fdataset%3Da%2526b")
    assert httpx2.get(f"{front}/media/x.csv").status_code == 401
    assert httpx2.get(f"{front}/static/x.js").status_code == 200
    mine = httpx2.get(f"{front}/data?dataset=a%26b", headers=SIGNED_IN)
    assert mine.text == f"GET /data?dataset=a%26b 0 {front.removeprefix('http://')} False"


def test_what_is_not_the_dashboard_s_is_the_server_s(front):
    assert httpx2.get(f"{front}/api/v1/models").text == "the server's"
    assert httpx2.get(f"{front}/_stcore/metrics", headers=SIGNED_IN).text == "the server's"


def test_browsers_are_told_to_ask_nobody_else_and_to_run_no_other_script(front):
    policy = httpx2.get(f"{front}/", headers=SIGNED_IN).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "'sha256-" in policy
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert "script-src 'self' 'unsafe-inline'" not in policy


def test_a_large_upload_goes_through_piece_by_piece(front):
    sent = (b"x" * 65_536 for _ in range(200))
    answer = httpx2.put(f"{front}/_stcore/upload_file/s/f", content=sent, headers=SIGNED_IN)
    assert answer.text.startswith(f"PUT /_stcore/upload_file/s/f? {65_536 * 200} ")


def test_a_stream_goes_both_ways_and_only_from_pages_of_ours(front):
    address = front.replace("http", "ws") + "/_stcore/stream"

    async def talk(**options):
        async with connect(address, subprotocols=["streamlit"], proxy=None, **options) as stream:
            await stream.send(b"\x00hello")
            return stream.subprotocol, await stream.recv()

    assert asyncio.run(talk(origin=front)) == ("streamlit", b"\x00hello")
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        asyncio.run(talk(origin="https://elsewhere.example"))


def test_a_server_that_is_gone_is_said_to_be():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with running(Passing(f"http://127.0.0.1:{port}", absent)) as url:
        answer = httpx2.get(url)
        assert (answer.status_code, answer.text) == (503, "nobody there")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 Switching Prot",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 303 See Other\r\nLocation: /sign-in\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 303 See Other\r\nLocation: http://127.0.0.1/sign-in\r\nContent-Length: 0\r\n\r\n",
        b"\x00\xff nonsense \r\n\r\n",
    ],
)
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_stream_that_the_other_server_does_not_open_is_refused(answer, reset):
    def serve():
        with suppress(OSError):
            while True:
                connection, _ = other.accept()
                if answer:
                    connection.recv(65536)
                    connection.sendall(answer)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=serve, daemon=True).start()
        with running(Passing(f"http://127.0.0.1:{other.getsockname()[1]}", absent)) as url:
            handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            told = httpx2.get(
                f"{url}/_stcore/stream", headers={**handshake, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
            )
        other.shutdown(socket.SHUT_RDWR)
    assert told.status_code == 403


def test_servers_and_workers_never_load_streamlit():
    code = "import sys; import rowcast.programs, rowcast.entrypoints.rest.app, rowcast.dashboards; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"streamlit", "altair", "pandas"} & set(loaded) == set()
