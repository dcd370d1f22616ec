"""Files over gRPC: uploads as a stream of parts, read by the operations of REST as if they were the body of a request;
and downloads as a stream of parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from anyio import to_thread
from fastapi import Request
from google.protobuf.message import Message

from rowcast.errors import InvalidInput
from rowcast.v1.common_pb2 import FileChunk
from rowcast.v1.data import data_of

CHUNK_BYTES = 256 * 1024
"""A part of a download: larger ones save little, and every message is in memory as a whole."""


def details_of(parts: Iterator[Any]) -> dict[str, Any]:
    """What the first message of an upload says.

    Raises:
        InvalidInput: it says nothing.
    """
    first: Any = next(parts, None)
    if first is None or first.WhichOneof("part") != "details":
        raise InvalidInput("request_invalid", "The first message of an upload holds its details, the others the file.")
    return data_of(first.details)


def request_of(parts: Iterator[Any]) -> Request:
    """A request whose body is what the parts hold. One that breaks off is as one whose sender has gone."""
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}

    def following() -> Message | None:
        return next(parts, None)

    async def receive() -> dict[str, Any]:
        try:
            part: Any = await to_thread.run_sync(following)
        except Exception:  # noqa: BLE001  (the library raises a bare one when the call has ended)
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part.content if part else b"", "more_body": part is not None}

    return Request(scope, receive)


async def chunks(content: AsyncIterator[Any]) -> AsyncIterator[FileChunk]:
    """The content in parts of about ``CHUNK_BYTES``, however it comes."""
    gathered = bytearray()
    async for some in content:
        gathered += some.encode() if isinstance(some, str) else bytes(some)
        while len(gathered) >= CHUNK_BYTES:
            yield FileChunk(content=bytes(gathered[:CHUNK_BYTES]))
            del gathered[:CHUNK_BYTES]
    if gathered:
        yield FileChunk(content=bytes(gathered))
