"""Grouping: what is asked for at the same time is done in one go.

A caller hands a request over and waits. One thread takes whatever waits, handles all of it at once, and lets each
caller go on with a result or an error of its own. So the cost of a transaction is shared by those who wait for it: the
busier the server, the more share one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from rowcast.errors import Cancelled, Internal, RowcastError, Unavailable

MAX_WAITING = 4096
MAX_WAITING_BYTES = 256 * 2**20
"""What may wait when the database stalls; whoever comes then is told to come back."""

GIVEN_UP = ("call_cancelled", "The caller ended this call before it was answered.")
CLOSED = ("server_stopping", "The server is stopping. Try again in a moment.")

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Result = TypeVar("Result")


class Wording(NamedTuple):
    """Code and message for those who come when too many wait, and for those whose request met a fault of ours."""

    full: tuple[str, str]
    fault: tuple[str, str]


class _Waiting:
    """Requests that were handed over together: once each has a result, or an error, ``told`` is called with them all,
    by ``loop`` if there is one. ``over`` says of a request, by its place, that nobody waits for it."""

    __slots__ = ("loop", "outcomes", "over", "requests", "told")

    def __init__(
        self,
        requests: Sequence[Any],
        told: Callable[[list[Any]], None],
        over: Callable[[int], bool],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.requests = requests
        self.told = told
        self.over = over
        self.loop = loop
        self.outcomes: list[Any] = [Cancelled(*GIVEN_UP)] * len(requests)


class Grouping(Generic[Request, Result]):
    """Takes requests from event loops and from threads. ``start`` it, ``close`` it.

    ``handle`` is given a function that takes the requests that wait, in order, to be called when it can go on at once:
    others come while it waits for its turn to write. It gives a result or an error for each. It may raise instead,
    having done nothing: ``Unavailable`` is then everybody's, and after any other exception each request is handled
    alone, so that one that cannot be handled does not take the others with it.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Callable[[], Sequence[Request]]], Sequence[Result | RowcastError]],
        wording: Wording,
        *,
        size: Callable[[Request], int] = lambda request: 0,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._name = name
        self._handle = handle
        self._wording = wording
        self._size = size
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._count = self._waiting_bytes = 0
        self._closed = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._count

    def start(self) -> None:
        """Begin to handle requests. To be called once."""
        self._thread.start()

    def close(self) -> None:
        """Take nothing more, handle what waits, and return when that is done."""
        with self._lock:
            self._closed = True
        self._wake.put(None)
        self._thread.join()

    async def ask(self, request: Request) -> Result:
        """The result of a request; for event loops.

        Raises:
            Unavailable: too many wait, or the server is stopping.
            RowcastError: what ``handle`` answered instead.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if self._hand_over(_Waiting([request], partial(_resolve, future), lambda place: future.cancelled(), loop)):
            self._wake_soon(loop)
        return await future

    def ask_all(
        self,
        requests: Sequence[Request],
        told: Callable[[list[Result | RowcastError]], None],
        over: Callable[[int], bool],
    ) -> None:
        """The same for several, handed over as one; ``told`` is called by the present event loop with a result or an
        error for each, in their order. One that is ``over``, by its place, when its turn comes is not handled.

        Raises:
            Unavailable: too many wait, or the server is stopping.
        """
        loop = asyncio.get_running_loop()
        if self._hand_over(_Waiting(requests, told, over, loop)):
            self._wake_soon(loop)

    def _wake_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not at once but after another turn of the loop: requests that came with this one go with it, which makes
        # groups twice as large under load and takes a lone caller some microseconds.
        loop.call_soon(lambda: loop.call_soon(self._wake.put, None))

    def ask_now(self, request: Request) -> Result:
        """The same for threads: see ``ask``."""
        future: Future[Result] = Future()
        self._hand_over(_Waiting([request], partial(_resolve, future), _going_on, None))
        self._wake.put(None)
        return future.result()

    def leave(self, request: Request) -> None:
        """Have a request handled whose result nobody waits for.

        Raises:
            Unavailable: too many wait, or the server is stopping.
        """
        self._hand_over(_Waiting([request], lambda outcomes: None, _going_on, None))
        self._wake.put(None)

    def _hand_over(self, waiting: _Waiting) -> bool:
        """Let the requests wait for the thread; whether they are the first that do."""
        size = sum(map(self._size, waiting.requests))
        with self._lock:
            if self._closed:
                raise Unavailable(*CLOSED)
            idle = not self._waiting
            too_many = self._count >= self._max_waiting
            if too_many or (not idle and self._waiting_bytes + size > self._max_waiting_bytes):
                raise Unavailable(*self._wording.full)
            self._waiting.append(waiting)
            self._count += len(waiting.requests)
            self._waiting_bytes += size
        return idle

    def _run(self) -> None:
        while True:
            with suppress(Empty):  # a loop that ended before its turn did has not said that something waits
                self._wake.get(timeout=1)
            closed = self._closed
            if self._waiting:
                self._settle()
            if closed:
                return

    def _settle(self) -> None:
        """Handle all that wait, and tell whoever waits how that went."""
        taken: list[_Waiting] = []
        group: list[tuple[_Waiting, int]] = []

        def take() -> list[Request]:
            if not taken:
                taken.extend(self._taken())
                group.extend((one, place) for one in taken for place in range(len(one.requests)) if not one.over(place))
            return [one.requests[place] for one, place in group]

        for (one, place), outcome in zip(group, self._handled(take), strict=True):
            one.outcomes[place] = outcome
        _tell(taken)

    def _handled(self, take: Callable[[], Sequence[Request]]) -> Sequence[Result | RowcastError]:
        """What becomes of the requests that are taken, whatever goes wrong."""
        try:
            return self._handle(take)
        except Unavailable as error:
            return [error] * len(take())
        except Exception as error:  # noqa: BLE001  (without this thread nobody would be answered any more)
            group = take()
            # The type only: the text of a database's exception has the values of its statement.
            log.error("%s: %s with %d requests", self._name, type(error).__name__, len(group))
            if len(group) == 1:
                return [error if isinstance(error, RowcastError) else Internal(*self._wording.fault)]
            return [outcome for request in group for outcome in self._handled(partial(list, (request,)))]

    def _taken(self) -> list[_Waiting]:
        """All that wait, who do so no longer."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._count = self._waiting_bytes = 0
        return taken


def _going_on(place: int) -> bool:
    """A thread waits until it is answered."""
    return False


def _tell(taken: Sequence[_Waiting]) -> None:
    """Let all who wait go on, with one call into each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for waiting in taken:
        if waiting.loop is None:
            waiting.told(waiting.outcomes)
        else:
            loops.setdefault(waiting.loop, []).append(waiting)
    for loop, several in loops.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_tell_all, several)


def _tell_all(several: Sequence[_Waiting]) -> None:
    for waiting in several:
        waiting.told(waiting.outcomes)


def _resolve(future: asyncio.Future[Any] | Future[Any], outcomes: Sequence[Any]) -> None:
    """Give its one outcome to whoever awaits it."""
    (outcome,) = outcomes
    if future.done():  # the caller went away meanwhile
        return
    if isinstance(outcome, RowcastError):
        # An exception of each caller's own: one that is raised in many places gathers all their tracebacks.
        future.set_exception(type(outcome)(outcome.code, outcome.message, outcome.problems, **outcome.details))
    else:
        future.set_result(outcome)
