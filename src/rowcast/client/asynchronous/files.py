"""Predictions for whole files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rowcast.client.answers import parse
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.client.asynchronous.datasets import Version, fetch, sending
from rowcast.client.asynchronous.tasks import AsyncTasks
from rowcast.client.uploads import OnProgress, Source, opened
from rowcast.scoring.views import FilePredictions
from rowcast.tasks.views import Task

Output = Literal["csv", "parquet"]


class AsyncFiles:
    """``client.files``"""

    def __init__(self, connection: AsyncConnection, tasks: AsyncTasks) -> None:
        self._connection = connection
        self._tasks = tasks

    async def predict(
        self,
        model: str,
        source: Source,
        path: str | Path,
        *,
        errors: str | Path | None = None,
        output: Output | None = None,
        columns: Sequence[str] | None = None,
        filename: str | None = None,
        progress: OnProgress | None = None,
    ) -> FilePredictions:
        """Upload a file, wait, and write its rows with their predictions to ``path``, and to ``errors`` what is wrong
        with rows that have none. See ``submit``.

        Raises:
            InvalidInput: the file is not a table that can be read, or has nothing to do with the model.
        """
        task = await self.submit(model, source, output=output, columns=columns, filename=filename, progress=progress)
        done = await self._tasks.wait(task, progress)
        await self.download(done, path, progress=progress)
        if errors is not None:
            await self.download(done, errors, which="errors")
        return self.result(done)

    async def submit(
        self,
        model: str,
        source: Source,
        *,
        output: Output | None = None,
        columns: Sequence[str] | None = None,
        filename: str | None = None,
        progress: OnProgress | None = None,
    ) -> Task:
        """Upload a CSV or Parquet file (a path, or a file open in binary mode) whose rows are to be predicted. The file
        is streamed, never held whole. The answer has the format ``output``, by default that of the file, and of the
        file's columns those that are named, by default all."""
        with opened(source, filename) as upload:
            response = await self._connection.request(
                "POST",
                at("models", model, "predict", "file"),
                params={"filename": upload.filename, **_asked(output, columns)},
                content=lambda: sending(upload, progress),
                headers=upload.headers,
                once=True,
            )
        return parse(Task, response)

    async def submit_dataset(
        self,
        model: str,
        dataset: str,
        *,
        version: Version = "latest",
        output: Output | None = None,
        columns: Sequence[str] | None = None,
    ) -> Task:
        """The same for a table that is at the server already."""
        path = at("models", model, "predict", "dataset", dataset, version)
        return parse(Task, await self._connection.request("POST", path, params=_asked(output, columns), once=True))

    async def download(
        self,
        task: str | Task,
        path: str | Path,
        *,
        which: Literal["predictions", "errors"] = "predictions",
        progress: OnProgress | None = None,
    ) -> Path:
        """Write a file that a task made to ``path``, which takes its name only when all is there."""
        task_id = task if isinstance(task, str) else task.id
        return await fetch(self._connection, at("tasks", task_id, "files", which), Path(path), progress)

    @staticmethod
    def result(task: Task) -> FilePredictions:
        """What came of a finished task."""
        return FilePredictions.model_validate(task.result)


def _asked(output: Output | None, columns: Sequence[str] | None) -> dict[str, Any]:
    return {"output": output, "columns": None if columns is None else list(columns)}
