"""An event loop for the use cases that wait without a thread, called from the threads of gRPC."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

import grpc
from uvicorn.loops.auto import auto_loop_factory

from rowcast.errors import Cancelled, TimedOut, Unavailable

_T = TypeVar("_T")


class Loop:
    """Runs in a thread of its own until it is closed. Safe to use from any thread but that one."""

    def __init__(self) -> None:
        self._loop = auto_loop_factory()()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpc-loop", daemon=True)
        self._thread.start()
        self._stopping = False
        self._watching: set[_Turn] = set()

    def release(self) -> None:
        """End the calls that ``watch``: the server stops."""
        self._stopping = True
        for turn in list(self._watching):
            turn.give_up()

    def close(self) -> None:
        """End it; what still runs on it is not waited for."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def soon(self, do: Callable[[], object]) -> None:
        """Have this done in the loop's thread, in its next turn."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(do)

    def run(self, work: Coroutine[Any, Any, _T], context: grpc.ServicerContext) -> _T:
        """What the work comes to. It is given up when the call ends before it.

        Raises:
            TimedOut: the call's deadline has passed.
            Cancelled: the caller has gone.
        """
        return self._awaited(work, _Turn(context), context)

    def iterate(self, items: AsyncIterator[_T], context: grpc.ServicerContext) -> Iterator[_T]:
        """The items one by one, until the call ends.

        Raises:
            TimedOut, Cancelled: as ``run``.
        """
        return self._each(items, _Turn(context), context)

    def watch(self, items: AsyncIterator[_T], context: grpc.ServicerContext) -> Iterator[_T]:
        """The same for items that come when something happens.

        Raises:
            TimedOut, Cancelled: as ``run``.
            Unavailable: the server stops.
        """
        turn = _Turn(context)
        self._watching.add(turn)
        try:
            if self._stopping:
                turn.give_up()
            yield from self._each(items, turn, context)
        finally:
            self._watching.discard(turn)

    def _each(self, items: AsyncIterator[_T], turn: _Turn, context: grpc.ServicerContext) -> Iterator[_T]:
        end: Any = object()
        while (item := self._awaited(_next(items, end), turn, context)) is not end:
            yield item

    def _awaited(self, work: Coroutine[Any, Any, _T], turn: _Turn, context: grpc.ServicerContext) -> _T:
        try:
            return turn.wait_for(asyncio.run_coroutine_threadsafe(work, self._loop))
        except CancelledError:
            if self._stopping and context.is_active():
                message = "The server stops. Call again in a moment."
                raise Unavailable("server_stopping", message) from None
            raise over(context) from None


class _Turn:
    """What a call waits for at the moment; given up when the call is over."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._running: Future[Any] | None = None
        self._over = False
        if not context.add_callback(self.give_up):
            self._over = True

    def give_up(self) -> None:
        self._over = True
        running = self._running
        if running is not None:
            running.cancel()

    def wait_for(self, running: Future[_T]) -> _T:
        self._running = running
        if self._over:
            running.cancel()
        try:
            return running.result()
        finally:
            self._running = None


async def _next(items: AsyncIterator[_T], end: _T) -> _T:
    return await anext(items, end)


def over(context: grpc.ServicerContext) -> TimedOut | Cancelled:
    """Why the call is over before it was answered."""
    left = context.time_remaining()
    if left is not None and left <= 0:
        return TimedOut("deadline_exceeded", "The deadline of this call passed before it was answered.")
    return Cancelled("call_cancelled", "The caller ended this call before it was answered.")
