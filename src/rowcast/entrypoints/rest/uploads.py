"""Files of any size, never held in memory: received into a temporary file while it is hashed, sent as they are read."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from anyio import CancelScope, to_thread
from fastapi import Request
from fastapi.responses import RedirectResponse
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast.datasets.ports import Storage
from rowcast.entrypoints.rest.streams import Stream
from rowcast.errors import InvalidInput, TooLarge, Unavailable
from rowcast.settings import Settings

log = logging.getLogger(__name__)

BUFFER_BYTES = 1024 * 1024
"""What is gathered before one write: a hop to a thread per network packet would cost more than the writing."""

LINKED_BYTES = 8 * 2**20
"""From this size on a file is worth another connection."""


@dataclass(frozen=True)
class Upload:
    """A received file: where it lies, its SHA-256, its size in bytes, and the name the sender gave it."""

    path: Path
    content_hash: str
    size_bytes: int
    filename: str | None


class _Sink:
    """Writes and hashes what arrives; refuses to grow beyond the limit."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self.file = file
        self.max_bytes = max_bytes
        self.size = 0
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.max_bytes:
            raise TooLarge("upload_too_large", f"The file is larger than the {self.max_bytes:,} bytes allowed here.")
        self.hash.update(data)
        self.file.write(data)


class _FilePart:
    """Passes the content of the part named 'file' of a multipart form to a sink and skips every other part."""

    def __init__(self, boundary: bytes, sink: _Sink) -> None:
        self.sink = sink
        self.filename: str | None = None
        self.seen = False
        self.complete = False
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._wanted = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def write(self, data: bytes) -> None:
        self.parser.write(data)

    def _begin(self) -> None:
        self._headers, self._wanted = {}, False

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._wanted = options.get(b"name") == b"file" or b"filename" in options
        if self._wanted:
            if self.seen:
                raise InvalidInput("form_invalid", "The form holds more than one file; send one file at a time.")
            self.seen = True
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace") or None

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.sink.write(data[start:end])

    def _end(self) -> None:
        self.complete = True


@asynccontextmanager
async def receive(request: Request, folder: Path, max_bytes: int) -> AsyncIterator[Upload]:
    """The request's body, or the part 'file' of its multipart form, as a local file that is gone afterwards.

    Raises:
        TooLarge: it is larger than ``max_bytes``.
        InvalidInput: the form has no file, more than one or no end, or the sender went away in the middle.
        Unavailable: there is no space left.
    """
    _refuse_early(request, max_bytes)
    with _translated():
        descriptor, name = tempfile.mkstemp(prefix="upload-", dir=folder)
    path = Path(name)
    try:
        with _translated(), os.fdopen(descriptor, "wb") as file:
            sink = _Sink(file, max_bytes)
            filename = await _fill(request, sink)
        yield Upload(path, sink.hash.hexdigest(), sink.size, filename)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(lambda: path.unlink(missing_ok=True))


def plain_name(filename: str) -> str:
    """The name of the file alone, to be shown and kept: no folders, no line ends or other signs that act."""
    name = PurePath(filename.replace("\\", "/")).name
    return "".join(sign for sign in name if sign.isprintable())[:255]


def table_limits(settings: Settings) -> dict[str, int]:
    """What a table may hold, for the job that reads it."""
    return {
        "max_columns": settings.max_columns,
        "max_cell_bytes": settings.max_cell_bytes,
        "max_rows": settings.max_table_rows,
    }


class Attachment(Stream):
    """A file to be saved. Who calls over HTTP is sent to ``link`` where there is one."""

    def __init__(
        self, content: Generator[bytes, None, None], link: str | None, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._link = link

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._link is None:
            await super().__call__(scope, receive, send)
        else:
            await RedirectResponse(self._link, headers={"Cache-Control": "no-store"})(scope, receive, send)


def attachment(storage: Storage, key: str, filename: str, media_type: str = "application/octet-stream") -> Attachment:
    """The stored object as a file of that name to be saved; a large one comes from the storage itself, if it may."""
    size = storage.size(key)
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "_" for sign in filename)
    link = storage.link(key, safe) if size >= LINKED_BYTES else None
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{safe}"'}
    return Attachment(_content(storage, key), link, media_type, headers)


def _content(storage: Storage, key: str) -> Generator[bytes, None, None]:
    with storage.open(key) as file:
        yield from iter(lambda: file.read(BUFFER_BYTES), b"")


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the operating system as errors of ours; the sender's connection has errors of its own."""
    try:
        yield
    except OSError as error:
        log.error("cannot receive a file: %s", os.strerror(error.errno) if error.errno else type(error).__name__)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("storage_full", "There is no space left to receive the file.") from error
        raise Unavailable("storage_unavailable", "The server cannot write the file down; its log says why.") from error


def _refuse_early(request: Request, max_bytes: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise TooLarge("upload_too_large", f"The file is larger than the {max_bytes:,} bytes allowed here.")


async def _fill(request: Request, sink: _Sink) -> str | None:
    try:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        form = kind == b"multipart/form-data"
        part = _FilePart(options.get(b"boundary", b""), sink) if form else None
        target = part or sink
        buffer = bytearray()
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await to_thread.run_sync(target.write, bytes(buffer))
                buffer.clear()
        await to_thread.run_sync(target.write, bytes(buffer))
    except ClientDisconnect as error:
        raise InvalidInput("upload_interrupted", "The connection closed before the whole file arrived.") from error
    except ValueError as error:  # the form parser's own complaints
        raise InvalidInput(
            "form_invalid", "The multipart form cannot be read; send the file as part 'file'."
        ) from error
    if part is not None and not part.complete:
        raise InvalidInput("form_invalid", "The multipart form breaks off before its closing boundary.")
    if part is not None and not part.seen:
        raise InvalidInput("file_missing", "The form has no part named 'file'.")
    return part.filename if part else None
