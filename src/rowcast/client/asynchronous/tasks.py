"""Tasks: what the server works on in the background."""

from __future__ import annotations

import asyncio
import builtins
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import ValidationError

from rowcast.client.answers import failure_of, parse
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.client.rows import Chunk, encode, records
from rowcast.client.uploads import OnProgress
from rowcast.errors import Cancelled, TimedOut, Unavailable
from rowcast.models.tune.views import TrialResult
from rowcast.scoring.views import Predictions
from rowcast.tasks.views import Figures, Task, TaskState

PATIENCE = 300.0

OnError = Literal["fail", "skip"]


class AsyncTasks:
    """``client.tasks``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def submit_predictions(
        self,
        model: str,
        rows: Any,
        *,
        on_error: OnError = "fail",
        explain: bool | int = False,
        idempotency_key: str | None = None,
        wait: int = 0,
    ) -> Task:
        """Have rows answered through the queue: one row (an object), any number, or a polars or pandas table, all in
        one task. The server has it on record when this returns, and holds the answer back for up to ``wait`` seconds if
        it has not ended before. Called again with the same key and rows, as after a crash, it gives the same task.

        Raises:
            PaymentRequired: you have not enough credits; the task is on record as rejected.
            TooMany: you have too many tasks in the queue.
            TooLarge: more rows than one call takes.
            Conflict: the key was used for something else.
        """
        body = Chunk(0, [encode(row) for row in records(rows)]).body(on_error, explain)
        return await self.submit(model, body, idempotency_key=idempotency_key, wait=wait)

    async def submit(self, model: str, body: bytes, *, idempotency_key: str | None = None, wait: int = 0) -> Task:
        """The same for rows and options in the JSON of a prediction."""
        asked = b'{"kind":"predict","model":%b,%b' % (json.dumps(model).encode(), body[1:])
        headers = {"Content-Type": "application/json", "Prefer": f"wait={wait}"}
        response = await self._connection.request(
            "POST", at("tasks"), content=asked, headers=headers, wait=wait, once=idempotency_key or True
        )
        return parse(Task, response)

    @staticmethod
    def predictions(task: Task) -> Predictions:
        """What came of a finished task of predictions."""
        return Predictions.model_validate(task.result)

    async def list(
        self, *, state: TaskState | str | None = None, kind: str | None = None, limit: int | None = 50
    ) -> list[Task]:
        """The newest tasks, up to ``limit`` (None: all), of that state and kind."""
        return await self._connection.all(Task, at("tasks"), limit, state=state, kind=kind)

    async def get(self, task: str | Task, *, wait: int = 0) -> Task:
        """A task as it is now, or up to ``wait`` seconds later when its state changes sooner."""
        path = at("tasks", _id(task))
        return await self._connection.get(Task, path, wait=wait)

    async def cancel(self, task: str | Task) -> Task:
        """Ask a task to stop. It stays running for the moment it takes to do so."""
        response = await self._connection.request("POST", at("tasks", _id(task), "cancel"), repeatable=True)
        return parse(Task, response)

    async def trials(self, task: str | Task) -> builtins.list[TrialResult]:
        """The finished trials of a search by number, also while it runs."""
        return await self._connection.all(TrialResult, at("tasks", _id(task), "trials"), None)

    async def figures(self) -> Figures:
        """How the queue is doing, for those who run the server."""
        return await self._connection.get(Figures, at("tasks", "figures"))

    async def requeue(self, task: str | Task) -> None:
        """Put the dead letter of a task back into its lane.

        Raises:
            NotFound: there is none.
        """
        await self._connection.request("POST", at("tasks", _id(task), "requeue"))

    async def wait(
        self,
        task: str | Task,
        progress: OnProgress | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - of the task, not of the call
        check: bool = True,
        patience: float = PATIENCE,
    ) -> Task:
        """The task once it is finished.

        A server that restarts meanwhile goes on with the task, so this waits for the server, too, up to ``patience``
        seconds without any answer. ``progress`` is called whenever there is something new.

        Raises:
            RowcastError: the error the task failed with, or Cancelled. With ``check=False`` such a task is returned.
            TimedOut: not finished within ``timeout`` seconds; the task goes on at the server.
            Unavailable: the server stayed away for longer than ``patience``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        heard = time.monotonic()
        known: Task | None = None
        while known is None or not known.state.final:
            try:
                # Progress is no change of state, so whoever wants to see it asks often.
                latest = await self._news(task, known, 1 if progress else 20, deadline)
            except Unavailable:
                if time.monotonic() - heard > patience:
                    raise
                await asyncio.sleep(0.5)
                continue
            heard = time.monotonic()
            if progress and latest.progress and (known is None or latest.progress != known.progress):
                progress(latest.progress)
            known = latest
        if check:
            _raise_unless_succeeded(known)
        return known

    async def _news(self, task: str | Task, known: Task | None, longest: int, deadline: float | None) -> Task:
        asked = time.monotonic()
        if deadline is not None and asked >= deadline:
            raise TimedOut("wait_timed_out", f"Task {_id(task)} is not finished; it goes on at the server.")
        left = longest if deadline is None else max(1, min(longest, round(deadline - asked)))
        latest = await self.get(task, wait=left if known else 0)
        if latest == known and time.monotonic() - asked < 0.2:
            await asyncio.sleep(0.5)  # a server that does not hold the call must not be asked in a tight loop
        return latest

    async def events(self, task: str | Task) -> AsyncIterator[Task]:
        """The task each time something about it changes, until it is finished. Unlike ``wait``, a restart ends this."""
        path = at("tasks", _id(task), "events")
        async with self._connection.stream(path, headers={"Accept": "text/event-stream"}) as response:
            data: builtins.list[str] = []
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    data.append(line[5:].strip())
                elif not line and data:
                    yield _event("\n".join(data))
                    data = []


def _id(task: str | Task) -> str:
    return task if isinstance(task, str) else task.id


def _event(data: str) -> Task:
    try:
        return Task.model_validate(json.loads(data))
    except (ValueError, ValidationError):
        raise Unavailable("connection_lost", "The server's events broke off. Use wait, which asks again.") from None


def _raise_unless_succeeded(task: Task) -> None:
    if task.state is TaskState.CANCELLED:
        raise Cancelled("task_cancelled", f"Task {task.id} was cancelled.", task=task.id)
    if task.state in (TaskState.FAILED, TaskState.REJECTED):
        raise failure_of(task.error)
