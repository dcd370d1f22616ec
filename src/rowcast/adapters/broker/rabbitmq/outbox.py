"""Group publishing: the ids of all callers that wait go out together and are confirmed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from rowcast.adapters.broker.rabbitmq.failures import CLOSED, explain, unavailable

_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class _Letter:
    task_ids: Sequence[str]
    sent: Future[None] = field(default_factory=Future)


class Outbox:
    """Where threads leave what they publish in one lane. ``send`` takes ids and returns once they are confirmed; what
    comes meanwhile waits, and goes together next: a wake-up for each would cost more than the message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        self._loop = loop
        self._send = send
        self._waiting: deque[_Letter] = deque()
        self._arrived = asyncio.Event()
        self._woken = False

    def put(self, task_ids: Sequence[str]) -> Future[None]:
        """Leave ids to be published, from any thread. The future ends when they are, or with Unavailable."""
        letter = _Letter(task_ids)
        self._waiting.append(letter)
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop has closed, and ``refuse_all`` was the last to look
                self._loop.call_soon_threadsafe(self._arrived.set)
        return letter.sent

    async def work(self) -> None:
        """Send what is there, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._woken = False
            while self._waiting:
                await self._send_some()

    def refuse_all(self) -> None:
        """Nothing is sent any more: tell those who wait."""
        while self._waiting:
            self._waiting.popleft().sent.set_exception(unavailable(CLOSED))

    async def _send_some(self) -> None:
        letters = [self._waiting.popleft()]
        while self._waiting and len(letters) < _TOGETHER:
            letters.append(self._waiting.popleft())
        try:
            await self._send([task_id for letter in letters for task_id in letter.task_ids])
        except BaseException as error:
            for letter in letters:
                letter.sent.set_exception(explain(error))
            if not isinstance(error, Exception):
                raise
        else:
            for letter in letters:
                letter.sent.set_result(None)
