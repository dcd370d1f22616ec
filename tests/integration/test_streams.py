"""Answers that are broken off leave nothing open."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from starlette.requests import ClientDisconnect

from rowcast.entrypoints.rest.streams import Stream


@pytest.mark.parametrize("version", ["2.0", "2.4"])
def test_a_file_is_closed_when_nobody_reads_it_to_the_end(tmp_path, version):
    path, opened = tmp_path / "file", []
    path.write_bytes(b"x" * 100)

    def content():
        with path.open("rb") as file:
            opened.append(file)
            yield from iter(lambda: file.read(10), b"")

    async def broken_off():
        gone = asyncio.Event()

        async def send(message):
            if message["type"] == "http.response.body":
                gone.set()
                raise OSError

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        stream = Stream(content())
        with suppress(ClientDisconnect, OSError):
            await stream({"type": "http", "asgi": {"spec_version": version}}, receive, send)
        return stream  # it is held, so that nothing is closed for being forgotten

    held = asyncio.run(broken_off())
    assert [file.closed for file in opened] == [True]
    assert held.status_code == 200


def test_what_is_read_to_the_end_is_whole():
    sent = []

    async def send(message):
        sent.append(message.get("body", b""))

    stream = Stream((piece for piece in (b"a", b"b")), media_type="text/csv")
    asyncio.run(stream({"type": "http", "asgi": {"spec_version": "2.4"}}, lambda: None, send))
    assert b"".join(sent) == b"ab"
