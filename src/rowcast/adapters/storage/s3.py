"""Storage in a bucket of any service that speaks S3."""

from __future__ import annotations

import builtins
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from rowcast.adapters.storage.failures import translated
from rowcast.adapters.storage.keys import missing, parts_of
from rowcast.adapters.storage.signing import signed_link

if TYPE_CHECKING:
    from obstore.store import S3Config

PART_BYTES = 8 * 2**20
"""Of an upload in parts, several of which are in memory at a time."""

MOST_PARTS = 10_000
"""An upload has no more parts; of a very large file they are larger."""

LARGEST_COPY = 2**30
"""What the service is asked to copy by itself. S3 allows five times as much, but a service may say nothing until it is
done, and a request in which nothing moves is given up."""

LINK_SECONDS = 900
_REGION = "us-east-1"
"""Where no region is named, for obstore too."""

_CHUNK = 2**20
_AT_ONCE = 4
_NOTHING = ".ping"
_RETRY_SECONDS = 60
_RETRIES = 100
"""More than fit in: the pauses between them grow by chance, and ten may be over while a service restarts."""


@dataclass(frozen=True)
class Access:
    """How a service is reached: its address, by default that of AWS, and the keys, by default those of the usual AWS
    variables or of the machine's role. ``public_endpoint`` is its address for those who are sent there by links."""

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    public_endpoint: str = ""


class S3Storage:
    """Objects in a bucket, below a prefix.

    An object is there whole or not at all: the service makes it visible when its last part has come, and every part is
    sent with its SHA-256, which the service checks. What fails for a moment is tried again for a while. Local copies
    are made in ``scratch``, by default where temporary files go.
    """

    def __init__(self, bucket: str, prefix: str, access: Access, *, scratch: Path | None = None) -> None:
        self._scratch = scratch
        self._access = access
        self._store = _store(bucket, prefix, access, access.endpoint, stalled="120s", retries=_RETRIES)
        self._quick = _store(bucket, prefix, access, access.endpoint, stalled="5s", retries=1)
        self._public = _store(bucket, prefix, access, access.public_endpoint) if access.public_endpoint else None

    def put(self, key: str, data: bytes) -> None:
        path = _path(key)
        with translated(key):
            obstore.put(self._store, path, data, use_multipart=False)

    def put_new(self, key: str, data: bytes) -> bool:
        path = _path(key)
        with translated(key):
            try:
                obstore.put(self._store, path, data, mode="create")
            except AlreadyExistsError:  # perhaps by a try of ours whose answer was lost
                return False
        return True

    def put_file(self, key: str, path: Path, *, move: bool = False) -> None:
        target = _path(key)
        with translated(key):
            part = _part_bytes(path.stat().st_size)
            obstore.put(self._store, target, path, chunk_size=part, max_concurrency=_AT_ONCE)
            if move:
                path.unlink()

    def read(self, key: str) -> bytes:
        path = _path(key)
        with translated(key):
            return bytes(obstore.get(self._store, path).bytes())

    def read_range(self, key: str, start: int, end: int) -> bytes:
        path = _path(key)
        with translated(key):
            return bytes(obstore.get_range(self._store, path, start=start, end=end))

    def open(self, key: str) -> BinaryIO:
        return io.BufferedReader(_Body(key, self._chunks(key)), _CHUNK)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with self._folder() as folder:
            path = folder / parts_of(key)[-1]
            self._fetch(key, path)
            yield path

    @contextmanager
    def local_folder(self, prefix: str) -> Iterator[Path]:
        folder_key = _path(prefix)
        keys = [key for key in self.list(prefix) if key != folder_key]
        if not keys:
            raise missing(prefix)
        with self._folder() as folder:
            for key in keys:
                path = folder / key[len(folder_key) + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                self._fetch(key, path)
            yield folder

    def move(self, key: str, new_key: str) -> None:
        self.copy(key, new_key)
        if _path(key) != _path(new_key):
            with translated(key):
                obstore.delete(self._store, [_path(key)])

    def copy(self, key: str, new_key: str) -> None:
        source, target = _path(key), _path(new_key)
        if self.size(key) > LARGEST_COPY:
            with self.local(key) as path:
                self.put_file(new_key, path)
        elif source != target:
            with translated(key):
                obstore.copy(self._store, source, target)

    def link(self, key: str, filename: str) -> str | None:
        path = _path(key)
        if self._public is None:
            return None
        with translated(key):
            address = obstore.sign(self._public, "GET", path, timedelta(seconds=LINK_SECONDS))
        access = self._access
        if not access.secret_key:  # a machine's role signs, whose keys are not ours to see
            return address
        return signed_link(
            address.partition("?")[0],
            filename,
            region=access.region or _REGION,
            access_key=access.access_key,
            secret_key=access.secret_key,
            seconds=LINK_SECONDS,
            moment=datetime.now(UTC),
        )

    def exists(self, key: str) -> bool:
        path = _path(key)
        with translated(key):
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
        return True

    def size(self, key: str) -> int:
        path = _path(key)
        with translated(key):
            return obstore.head(self._store, path)["size"]

    def list(self, prefix: str) -> Iterator[str]:
        key = _path(prefix) if prefix.strip("/") else ""
        with translated(prefix):
            found = [path for some in self._below(key) for path in some]
        if key and not found and self.exists(key):
            found = [key]
        yield from sorted(found)

    def delete(self, prefix: str) -> None:
        key = _path(prefix)
        with translated(prefix):
            for some in self._below(key):
                obstore.delete(self._store, some)
            obstore.delete(self._store, [key])

    def ping(self) -> None:
        with translated("the bucket"):
            list(obstore.list(self._quick, prefix=_NOTHING))

    def _below(self, key: str) -> Iterator[builtins.list[str]]:
        """The keys of the folder of that key, page by page."""
        for page in obstore.list(self._store, prefix=key or None, chunk_size=1000):
            yield [found["path"] for found in page]

    def _chunks(self, key: str) -> Iterator[bytes]:
        path = _path(key)
        with translated(key):
            return iter(obstore.get(self._store, path).stream(_CHUNK))

    def _fetch(self, key: str, target: Path) -> None:
        with translated(key), target.open("wb") as file:
            for chunk in self._chunks(key):
                file.write(chunk)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A folder for local copies, gone afterwards."""
        with translated("a local copy"):
            name = tempfile.mkdtemp(prefix="rowcast-s3-", dir=self._scratch)
        try:
            yield Path(name)
        finally:
            shutil.rmtree(name, ignore_errors=True)


class _Body(io.RawIOBase):
    """What is still coming in of an object, as a file."""

    def __init__(self, key: str, chunks: Iterator[bytes]) -> None:
        self._key = key
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left:
            with translated(self._key):
                self._left = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _store(
    bucket: str, prefix: str, access: Access, endpoint: str, *, stalled: str = "5s", retries: int = 0
) -> S3Store:
    """The bucket as the library knows it. No limit is set on a whole request, for an object has any size; one in which
    nothing moves any more is given up after ``stalled``."""
    config: S3Config = {"checksum_algorithm": "SHA256"}
    if endpoint:
        config["endpoint"] = endpoint
    if access.region:
        config["region"] = access.region
    if access.access_key or access.secret_key:
        config["access_key_id"], config["secret_access_key"] = access.access_key, access.secret_key
    with translated("the bucket"):
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={
                "allow_http": endpoint.startswith("http:"),
                "timeout": "1 day",
                "connect_timeout": "5s",
                "read_timeout": stalled,
            },
            retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        )


def _part_bytes(size: int) -> int:
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _path(key: str) -> str:
    return "/".join(parts_of(key))
