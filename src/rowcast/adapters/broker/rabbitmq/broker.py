"""RabbitMQ as the broker: quorum queues, confirmed publishing, an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiormq.exceptions import ChannelNotFoundEntity

from rowcast.adapters.broker.rabbitmq import letters
from rowcast.adapters.broker.rabbitmq.failures import CLOSED, QUEUE_GONE, SILENT, UNCONFIRMED, explain, unavailable
from rowcast.adapters.broker.rabbitmq.lane import Answer, Held, Lane
from rowcast.adapters.broker.rabbitmq.link import Health, Link
from rowcast.adapters.broker.rabbitmq.messages import encode
from rowcast.adapters.broker.rabbitmq.outbox import Outbox
from rowcast.adapters.broker.rabbitmq.publisher import Publisher
from rowcast.adapters.broker.rabbitmq.replies import Replies
from rowcast.adapters.broker.rabbitmq.topology import DEAD
from rowcast.errors import Unavailable
from rowcast.tables import now

if TYPE_CHECKING:
    from rowcast.adapters.broker.rabbitmq.lane import RabbitDelivery
    from rowcast.tasks.ports import DeadLetter

_CALL_SECONDS = 30
_LOOK_SECONDS = 5
"""For what only looks: whoever asks how things are wants to know soon that nobody answers."""

_CLOSE_SECONDS = 2
_ANNOUNCED_AT_ONCE = 10_000

_TOGETHER = 16
"""Tasks in one message: a message costs the broker and both ends as much as a prediction, and what is in one message
goes to one worker."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class RabbitBroker:
    """``url`` is an AMQP address; ``lanes`` gives for each lane how many messages may be in this process's hands. Where
    that is more than one, a message may be about several tasks.

    It comes up and connects by itself, before or after RabbitMQ does. There are two connections, for a broker that is
    short of disk space stops reading from those that publish, and work must go on meanwhile.
    """

    def __init__(self, url: str, lanes: Mapping[str, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._stop = asyncio.Event()
        self._lanes = {name: Lane(name, most, loop=self._loop, bury=self._bury) for name, most in lanes.items()}
        health = Health()
        self._out = Link(url, "out", list(lanes), health)
        self._in = Link(url, "in", list(lanes), health)
        self._replies = Replies()
        self._publisher = Publisher(self._out, lambda: self._replies.address)
        self._outboxes = {
            name: Outbox(self._loop, partial(self._publisher.publish, name, together=1 if most == 1 else _TOGETHER))
            for name, most in lanes.items()
        }
        self._untold: list[tuple[str, str]] = []
        self._works: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)
        self._thread.start()

    def publish(self, lane: str, task_ids: Sequence[str]) -> None:
        if lane not in self._lanes:
            raise unavailable(f"This Rowcast has no lane {lane}; a newer one may. Run the same version everywhere.")
        if self._closed:
            raise unavailable(CLOSED)
        self._wait_for(self._outboxes[lane].put(task_ids))

    def consume(self, lane: str, timeout: float, most: int = 1) -> Sequence[RabbitDelivery]:
        taken = self._lanes[lane].take(timeout, most)
        if not taken and not self._closed and self._in.trouble is not None:
            raise unavailable(self._in.trouble)
        return taken

    def announce(self, told: Sequence[tuple[str | None, str]]) -> None:
        own = (None, self._replies.address)
        if ours := [task_id for reply_to, task_id in told if reply_to in own]:
            self._replies.hear(ours)
        others = [(reply_to, task_id) for reply_to, task_id in told if reply_to not in own and reply_to is not None]
        if others and len(self._untold) < _ANNOUNCED_AT_ONCE:
            first = not self._untold
            self._untold += others
            if first:
                with suppress(RuntimeError):  # the loop has closed
                    self._loop.call_soon_threadsafe(self._tell)

    def listen(self, heard: Callable[[Sequence[str]], None]) -> None:
        self._replies.listen(heard, self._loop)

    def ping(self) -> None:
        self._look_at(self._ping())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for lane in self._lanes.values():
            lane.end()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def depths(self) -> dict[str, int]:
        return self._look_at(self._look(letters.depths, self._lanes))

    def dead(self, limit: int) -> list[DeadLetter]:
        return self._look_at(self._look(letters.dead, limit))

    def dead_count(self) -> int:
        return self._look_at(self._look(letters.count))

    def revive(self, letter_id: str) -> bool:
        return self._call(self._look(letters.revive, self._publisher, self._lanes, letter_id))

    def _look_at(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._call(work, _LOOK_SECONDS, SILENT)

    def _call(self, work: Coroutine[Any, Any, _T], seconds: float = _CALL_SECONDS, otherwise: str = UNCONFIRMED) -> _T:
        """Have it done on the event loop, and wait for it; after ``seconds`` say ``otherwise``.

        Raises:
            Unavailable: it could not be done, and why.
        """
        if self._closed:
            work.close()
            raise unavailable(CLOSED)
        return self._wait_for(asyncio.run_coroutine_threadsafe(work, self._loop), seconds, otherwise)

    def _wait_for(self, future: Future[_T], seconds: float = _CALL_SECONDS, otherwise: str = UNCONFIRMED) -> _T:
        try:
            return future.result(seconds)
        except CancelledError as error:
            raise unavailable(CLOSED) from error
        except TimeoutError as error:
            future.cancel()
            raise unavailable(otherwise) from error
        except Exception as error:
            raise explain(error) from error

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        """Keep both connections until asked to stop; then tell what is still to be told."""
        lanes = list(self._lanes.values())
        links = [
            asyncio.ensure_future(self._out.keep([self._publisher], lambda: None)),
            asyncio.ensure_future(self._in.keep([*lanes, self._replies], self._forget)),
        ]
        posting = [asyncio.ensure_future(outbox.work()) for outbox in self._outboxes.values()]
        await self._stop.wait()
        for each in posting:
            each.cancel()
        await asyncio.wait(posting)
        for outbox in self._outboxes.values():
            outbox.refuse_all()
        with suppress(Exception):
            await asyncio.gather(*self._works, self._announce(), *(lane.flush() for lane in lanes))
        self._in.stop()
        self._out.stop()
        _, left = await asyncio.wait(links, timeout=_CLOSE_SECONDS)
        for link in left:
            link.cancel()

    def _forget(self) -> None:
        for lane in self._lanes.values():
            lane.forget()

    def _tell(self) -> None:
        """Send what is to be announced, from a task that the loop keeps."""
        self._keep(self._announce())

    async def _announce(self) -> None:
        told, self._untold = self._untold, []
        await self._publisher.announce(told)

    def _bury(self, lane: Lane, held: Held, task_id: str | None, reason: str) -> None:
        self._keep(self._put_aside(lane, held, task_id, reason))

    async def _put_aside(self, lane: Lane, held: Held, task_id: str | None, reason: str) -> None:
        """Among the dead letters first, out of the lane after; while that cannot be done it comes again, though only
        up to the limit of deliveries."""
        _log.error("broker: a message of lane %s goes to the dead letters: %s, task %s", lane.name, reason, task_id)
        body = held.message.body if task_id is None else encode([task_id])
        try:
            await self._publisher.bury(body, lane.name, reason, now(), task_id)
        except Unavailable:
            lane.answer(held, task_id, Answer.BACK)
        else:
            lane.answer(held, task_id, Answer.DONE)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _ping(self) -> None:
        for link in (self._in, self._out):
            async with (await link.connection()).channel() as channel:
                await channel.declare_queue(DEAD, passive=True)

    async def _look(self, into: Callable[..., Coroutine[Any, Any, _T]], *arguments: object) -> _T:
        try:
            return await into(await self._in.connection(), *arguments)
        except ChannelNotFoundEntity as error:
            self._publisher.renew()
            raise unavailable(QUEUE_GONE) from error
