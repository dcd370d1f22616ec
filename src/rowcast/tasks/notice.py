"""Notices: a change of a task wakes those in this process who wait for it.

A notice only says "look again". It may come too often and, from another process, not at all: whoever waits also looks
from time to time, and the task's row is the answer.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from rowcast.tasks.views import Task

_REMEMBERED = 10_000


class Notices:
    """Changes by task id. ``seen`` is read before the row, then given to a wait: what changes in between is not
    missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, set[_Waiter]] = {}

    def seen(self, task_id: str) -> int:
        """A mark of what has been announced of the task so far."""
        with self._lock:
            return self._last.get(task_id, 0)

    def announce(self, task_ids: Iterable[str]) -> None:
        """The tasks have changed, and that is committed. Callable from any thread; never waits for anyone."""
        woken: dict[asyncio.AbstractEventLoop, list[_Waiter]] = {}
        with self._lock:
            for task_id in task_ids:
                self._note(task_id)
                for waiter in self._waiting.get(task_id, ()):
                    woken.setdefault(waiter.loop, []).append(waiter)
        for loop, waiters in woken.items():
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(_wake, waiters)

    def _note(self, task_id: str) -> None:
        self._count += 1
        self._last[task_id] = self._count
        self._last.move_to_end(task_id)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)

    async def changed(self, task_id: str, seen: int, timeout: float) -> bool:  # noqa: ASYNC109  (no error)
        """Wait until the task changes; False when ``timeout`` seconds passed first. Costs no thread."""
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            if self._last.get(task_id, 0) != seen:
                return True
            self._waiting.setdefault(task_id, set()).add(waiter)
        try:
            return await waiter.wait(timeout)
        finally:
            with self._lock:
                self._waiting[task_id].discard(waiter)
                if not self._waiting[task_id]:
                    del self._waiting[task_id]

    async def follow(
        self,
        task_id: str,
        fetch: Callable[[], Awaitable[Task]],
        *,
        timeout: float,  # noqa: ASYNC109  (its end is the end of the iteration, no error)
        look_every: float = 1.0,
    ) -> AsyncIterator[Task]:
        """The task now and after each of its changes, until it has ended or ``timeout`` seconds have passed.

        ``fetch`` reads the task. It is asked after every notice, and every ``look_every`` seconds for the changes that
        another process makes.
        """
        deadline = time.monotonic() + timeout
        last: Task | None = None
        while True:
            seen = self.seen(task_id)
            task = await fetch()
            if last is None or _gist(task) != _gist(last):
                yield task
            last = task
            left = deadline - time.monotonic()
            if task.state.final or left <= 0:
                return
            await self.changed(task_id, seen, min(left, look_every))

    async def ended(
        self,
        task: Task,
        seen: int,
        fetch: Callable[[], Awaitable[Task]],
        *,
        timeout: float,  # noqa: ASYNC109  (no error)
        look_every: float = 1.0,
    ) -> Task:
        """The task once it has ended, or as it is after ``timeout`` seconds. It is known to have been as given when
        ``seen`` was read; for one that was made just now that is 0."""
        deadline = time.monotonic() + timeout
        while not task.state.final and (left := deadline - time.monotonic()) > 0:
            # Not all at the same moment: those who wait for one worker began together.
            pause = look_every * random.uniform(0.8, 1.2)  # noqa: S311  (guards nothing)
            await self.changed(task.id, seen, min(left, pause))
            seen = self.seen(task.id)
            task = await fetch()
        return task


def _gist(task: Task) -> Task:
    """The task without what changes by the mere passing of time."""
    if task.progress is None:
        return task
    return task.model_copy(update={"progress": task.progress.model_copy(update={"eta_seconds": None})})


class _Waiter:
    """One coroutine that waits, and the loop it has to be woken on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._woken: asyncio.Future[bool] = loop.create_future()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109  (no error)
        late = self.loop.call_later(timeout, self.end, False)
        try:
            return await self._woken
        finally:
            late.cancel()

    def end(self, woken: bool) -> None:
        if not self._woken.done():
            self._woken.set_result(woken)


def _wake(waiters: Sequence[_Waiter]) -> None:
    for waiter in waiters:
        waiter.end(True)
