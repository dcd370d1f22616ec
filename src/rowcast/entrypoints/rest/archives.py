"""A folder of the storage as a zip, made while it is sent: no copy on disk, one piece of a file in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Generator

from rowcast.datasets.ports import Storage

CHUNK_BYTES = 1024 * 1024


class _Pipe(io.RawIOBase):
    """Takes what the archive writes and gives it away in pieces; it cannot seek, so the archive writes forward only."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._written += piece
        return len(piece)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def zip_stream(storage: Storage, prefix: str, folder: str) -> Generator[bytes, None, None]:
    """The objects under ``prefix`` as the files of ``folder`` in a zip."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in storage.list(prefix):
            info = zipfile.ZipInfo(f"{folder}/{key[len(prefix) :].lstrip('/')}")
            info.compress_type = zipfile.ZIP_DEFLATED
            with storage.open(key) as source, archive.open(info, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()
