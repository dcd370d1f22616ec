"""Datasets: tables and their versions."""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx2

from rowcast.accounts.views import Sharing, Visibility
from rowcast.client.answers import parse, request_of
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.client.asynchronous.tasks import AsyncTasks
from rowcast.client.uploads import CHUNK_BYTES, OnProgress, Source, Upload, opened, saved
from rowcast.datasets.dvc import DvcFile, DvcRemote, DvcTable
from rowcast.datasets.ports import Progress
from rowcast.datasets.schema import Kind
from rowcast.datasets.views import Dataset, DatasetVersion, DatasetVersionDetail, Preview, TableProfile
from rowcast.tasks.views import Task

T = TypeVar("T")

FETCH_SECONDS = 600.0
"""For the server to copy and hash a table of any size."""

Version = int | str
"""A version's number, or ``"latest"``."""


class AsyncDatasets:
    """``client.datasets``"""

    def __init__(self, connection: AsyncConnection, tasks: AsyncTasks) -> None:
        self._connection = connection
        self._tasks = tasks

    async def add(
        self,
        source: Source,
        *,
        name: str | None = None,
        description: str | None = None,
        kinds: Mapping[str, Kind | str] | None = None,
        filename: str | None = None,
        progress: OnProgress | None = None,
    ) -> DatasetVersionDetail:
        """Upload a table (a path, or a file open in binary mode) and wait until it is imported.

        The file is streamed, never held whole. The same bytes again are the version that is there already.
        ``progress`` first tells of the upload (stage "upload"), then of the import.

        Raises:
            InvalidInput: the file is not a table that can be read; the problems name rows and columns.
        """
        with opened(source, filename) as upload:
            params = {
                "name": name,
                "filename": upload.filename,
                "description": description,
                "kinds": json.dumps(kinds) if kinds else None,
                "wait": 2 if progress else 30,
            }
            response = await self._connection.request(
                "POST",
                at("datasets"),
                params=params,
                content=lambda: sending(upload, progress),
                headers=upload.headers,
                wait=30,
                once=True,
            )
        return await self._detail(response, progress)

    async def add_dvc(
        self,
        file: DvcFile,
        *,
        name: str | None = None,
        description: str | None = None,
        kinds: Mapping[str, Kind | str] | None = None,
        progress: OnProgress | None = None,
    ) -> DatasetVersionDetail:
        """The same for a file that ``dvc push`` put on the server's remote; ``datasets.dvc.read`` reads what its .dvc
        file says.

        Raises:
            NotFound: it is not there.
        """
        asked = {"name": name, "description": description, "kinds": dict(kinds or {})}
        body = request_of(DvcTable, None, {**file.model_dump(), **asked})
        response = await self._connection.request(
            "POST",
            at("datasets", "dvc"),
            params={"wait": 2 if progress else 30},
            json=body,
            wait=FETCH_SECONDS,
            once=True,
        )
        return await self._detail(response, progress)

    async def push_to_dvc(self, name: str, *, version: Version = "latest") -> DvcFile:
        """Put a version on the remote of DVC; ``datasets.dvc.written`` makes its .dvc file of the answer."""
        path = f"{_version(name, version)}/dvc"
        return parse(DvcFile, await self._connection.request("POST", path, wait=FETCH_SECONDS, repeatable=True))

    async def dvc_remote(self) -> DvcRemote:
        """Where repositories push tables to with DVC, and pull them from."""
        return await self._connection.get(DvcRemote, at("dvc", "remote"))

    async def list(self, limit: int | None = None) -> list[Dataset]:
        """The datasets, or the first ``limit`` of them."""
        return await self._connection.all(Dataset, at("datasets"), limit)

    async def get(self, name: str) -> Dataset:
        return await self._connection.get(Dataset, at("datasets", name))

    async def delete(self, name: str) -> None:
        """Remove a dataset with all its versions. Models trained on it keep their own schema and go on serving."""
        await self._connection.request("DELETE", at("datasets", name))

    async def sharing(self, name: str) -> Sharing:
        """Whom the dataset is shared with: for its owner."""
        return await self._connection.get(Sharing, at("datasets", name, "sharing"))

    async def share(self, name: str, visibility: Visibility | str, users: Iterable[str] = ()) -> Sharing:
        """Let nobody else ("private"), everyone ("everyone") or these users ("named") see it and train on it."""
        body = request_of(Sharing, None, {"visibility": visibility, "users": [*users]})
        return parse(Sharing, await self._connection.request("PUT", at("datasets", name, "sharing"), json=body))

    async def versions(self, name: str, limit: int | None = None) -> builtins.list[DatasetVersion]:
        return await self._connection.all(DatasetVersion, at("datasets", name, "versions"), limit)

    async def version(self, name: str, number: Version = "latest") -> DatasetVersionDetail:
        """One version with its schema and its profile."""
        return await self._connection.get(DatasetVersionDetail, _version(name, number))

    async def set_kinds(
        self,
        name: str,
        kinds: Mapping[str, Kind | str],
        *,
        version: Version = "latest",
        progress: OnProgress | None = None,
    ) -> DatasetVersionDetail:
        """Correct the kinds of columns; the table is read and profiled anew."""
        path = f"{_version(name, version)}/kinds"
        params = {"wait": 2 if progress else 30}
        response = await self._connection.request("PUT", path, json=dict(kinds), params=params, wait=30, once=True)
        if response.status_code != 202:
            return parse(DatasetVersionDetail, response)
        await self._tasks.wait(parse(Task, response), progress)
        return await self.version(name, version)

    async def profile(
        self,
        name: str,
        *,
        target: str | None = None,
        version: Version = "latest",
        progress: OnProgress | None = None,
    ) -> TableProfile:
        """The table in figures; with a target also how each column relates to it, and which give it away."""
        path = f"{_version(name, version)}/profile"
        params = {"target": target, "wait": 2 if progress else 30}
        response = await self._connection.request("GET", path, params=params, wait=30)
        if response.status_code != 202:
            return parse(TableProfile, response)
        task = await self._tasks.wait(parse(Task, response), progress)
        return TableProfile.model_validate(task.result)

    async def report(
        self,
        name: str,
        *,
        target: str | None = None,
        version: Version = "latest",
        progress: OnProgress | None = None,
    ) -> str:
        """The exploratory report as one HTML page: ``profile`` for people, to write to a file or show."""
        path, key = f"{_version(name, version)}/report", str(uuid4())
        params = {"target": target, "wait": 2 if progress else 30}
        response = await self._connection.request("GET", path, params=params, wait=30, once=key)
        if response.status_code == 202:  # under the same key the call then answers with what the task found
            await self._tasks.wait(parse(Task, response), progress)
            response = await self._connection.request("GET", path, params=params, wait=30, once=key)
        return response.text

    async def preview(self, name: str, *, version: Version = "latest", limit: int = 20) -> Preview:
        """The first rows as they were written."""
        return await self._connection.get(Preview, f"{_version(name, version)}/rows", limit=limit)

    async def dictionary(self, name: str) -> dict[str, str]:
        """What each column means."""
        return await self._connection.get(dict[str, str], at("datasets", name, "dictionary"))

    async def set_dictionary(self, name: str, dictionary: Mapping[str, str]) -> dict[str, str]:
        """Say what each column means; returns what is now kept."""
        response = await self._connection.request("PUT", at("datasets", name, "dictionary"), json=dict(dictionary))
        return parse(dict[str, str], response) if response.content else dict(dictionary)

    async def download(
        self,
        name: str,
        path: str | Path,
        *,
        version: Version = "latest",
        progress: OnProgress | None = None,
    ) -> Path:
        """Write the bytes that were uploaded to ``path``, which takes its name only when all are there."""
        return await fetch(self._connection, f"{_version(name, version)}/content", Path(path), progress)

    async def _detail(self, response: httpx2.Response, progress: OnProgress | None) -> DatasetVersionDetail:
        if response.status_code != 202:
            return parse(DatasetVersionDetail, response)
        task = await self._tasks.wait(parse(Task, response), progress)
        result: dict[str, Any] = task.result or {}
        return await self.version(result.get("dataset", task.subject), result.get("version", "latest"))


async def fetch(
    connection: AsyncConnection,
    path: str,
    target: Path,
    progress: OnProgress | None = None,
    *,
    params: dict[str, Any] | None = None,
) -> Path:
    """Write the body of a GET to a file, whole or not at all."""
    received = 0
    async with connection.stream(path, params=params, headers={"Accept": "*/*"}) as response:
        total = int(response.headers.get("content-length", 0))
        with saved(target) as file:
            async for block in response.aiter_bytes():
                file.write(block)
                received += len(block)
                if progress:
                    fraction = min(1.0, received / total) if total else 0.0
                    progress(Progress(fraction=fraction, message=f"{received:,} bytes", stage="download"))
    return target


async def sending(upload: Upload, progress: OnProgress | None) -> AsyncIterator[bytes]:
    """The file block by block, from its start."""
    sent = 0
    if upload.size is not None:
        upload.file.seek(upload.start)
    while block := await asyncio.to_thread(upload.file.read, CHUNK_BYTES):
        yield block
        sent += len(block)
        if progress:
            progress(upload.sent(sent))


def _version(name: str, number: Version) -> str:
    return at("datasets", name, "versions", number)
