"""The floor of predictions through the queue: a bare loop on asyncpg and aio-pika that does what nobody can do without.

A task is a row, committed; a persistent message, confirmed; a claim, committed; the same ONNX on the decoded row; a
result, committed; and a word to whoever waits, who then reads the result. What tasks that come at the same time need
of the database they get by one statement. There is no HTTP, no caller to be known, no validation, no receipt, no
lease and no retry.

``python -m benchmarks.tasks_floor POSTGRES RABBIT BODY CALLERS SECONDS [apart]`` prints tasks a second and the median
in milliseconds; with ``apart`` the worker is a process of its own. FLOOR_BUNDLE names the exported bundle.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from benchmarks.floor import answer

MOST = 128
"""Tasks in one statement."""

QUEUE = "floor"
QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
TABLE = "CREATE TABLE floor (id text PRIMARY KEY, state text NOT NULL, body bytea NOT NULL, result jsonb)"
INSERT = "INSERT INTO floor SELECT id, 'queued', body FROM unnest($1::text[], $2::bytea[]) AS new (id, body)"
CLAIM = "UPDATE floor SET state = 'running' WHERE id = ANY($1::text[]) AND state = 'queued' RETURNING id, body"
FINISH = """
UPDATE floor SET state = 'succeeded', result = new.result
FROM unnest($1::text[], $2::text[]::jsonb[]) AS new (id, result) WHERE floor.id = new.id
"""
READ = "SELECT id, result FROM floor WHERE id = ANY($1::text[])"


class Group:
    """What is asked for while a statement runs goes into the next one."""

    def __init__(self, handle: Callable[[list[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._handle = handle
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._wanted = asyncio.Event()

    async def ask(self, request: Any) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._wanted.set()
        return await future

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if self._waiting:
                self._wanted.set()
            try:
                results = await self._handle([request for request, _ in group])
            except Exception as error:
                raise SystemExit(f"the floor failed: {error!r}") from error
            for (_, future), result in zip(group, results, strict=True):
                future.set_result(result)


class Callers:
    """Submits tasks and waits for their results."""

    def __init__(self, database: asyncpg.Pool, channel: AbstractChannel, replies: str) -> None:
        self._database = database
        self._channel = channel
        self._replies = replies
        self._done: dict[str, asyncio.Future[None]] = {}
        self.inserts = Group(self._insert)
        self.reads = Group(self._read)

    async def call(self, body: bytes) -> str:
        task_id = uuid4().hex
        done = self._done[task_id] = asyncio.get_running_loop().create_future()
        await self.inserts.ask((task_id, body))
        message = aio_pika.Message(
            task_id.encode(),
            correlation_id=task_id,
            reply_to=self._replies,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._channel.default_exchange.publish(message, routing_key=QUEUE)
        await done
        result: str = await self.reads.ask(task_id)
        return result

    async def hear(self, message: AbstractIncomingMessage) -> None:
        self._done.pop(message.correlation_id or "").set_result(None)

    async def _insert(self, tasks: list[tuple[str, bytes]]) -> list[None]:
        await self._database.execute(INSERT, [task[0] for task in tasks], [task[1] for task in tasks])
        return [None] * len(tasks)

    async def _read(self, ids: list[str]) -> list[str]:
        found = dict(await self._database.fetch(READ, ids))
        return [found[task_id] for task_id in ids]


class Worker:
    """Claims what has arrived, answers it, and says so."""

    def __init__(self, database: asyncpg.Pool, channel: AbstractChannel) -> None:
        self._database = database
        self._channel = channel
        self._tasks = Group(self._work)

    async def take(self, message: AbstractIncomingMessage) -> None:
        await self._tasks.ask(message)
        await message.ack()
        word = aio_pika.Message(b"", correlation_id=message.correlation_id)
        await self._channel.default_exchange.publish(word, routing_key=message.reply_to or "")

    async def run(self) -> None:
        await self._tasks.run()

    async def _work(self, messages: list[AbstractIncomingMessage]) -> list[None]:
        claimed = await self._database.fetch(CLAIM, [message.correlation_id for message in messages])
        results = [answer(body).decode() for _, body in claimed]
        await self._database.execute(FINISH, [task_id for task_id, _ in claimed], results)
        return [None] * len(messages)


async def work(postgres: str, rabbit: str) -> None:
    """Be a worker until cancelled."""
    async with _connected(postgres, rabbit) as (database, connection):
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(2 * MOST)
        worker = Worker(database, channel)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments=QUORUM)
        await queue.consume(worker.take)
        await worker.run()


async def measure(postgres: str, rabbit: str, body: bytes, callers: int, seconds: float) -> tuple[float, float]:
    """Tasks a second, and the median of milliseconds from the submission to the result."""
    took: list[float] = []
    async with _connected(postgres, rabbit) as (database, connection):
        channel = await connection.channel()
        await channel.declare_queue(QUEUE, durable=True, arguments=QUORUM)
        replies = await channel.declare_queue(exclusive=True)
        us = Callers(database, channel, replies.name)
        await replies.consume(us.hear, no_ack=True)
        loops = [asyncio.create_task(us.inserts.run()), asyncio.create_task(us.reads.run())]
        begin = time.perf_counter() + 1  # a second to warm up

        async def call() -> None:
            while (start := time.perf_counter()) < begin + seconds:
                await us.call(body)
                if start >= begin:
                    took.append(time.perf_counter() - start)

        await asyncio.gather(*(call() for _ in range(callers)))
        elapsed = time.perf_counter() - begin
        for loop in loops:
            loop.cancel()
    return len(took) / elapsed, median(took) * 1000


async def prepare(postgres: str, rabbit: str) -> None:
    """Nothing in the way of an earlier round."""
    async with _connected(postgres, rabbit) as (database, connection):
        await database.execute("DROP TABLE IF EXISTS floor")
        await database.execute(TABLE)
        channel = await connection.channel()
        await (await channel.declare_queue(QUEUE, durable=True, arguments=QUORUM)).purge()


async def run(postgres: str, rabbit: str, body: bytes, callers: int, seconds: float, *, apart: bool) -> None:
    await prepare(postgres, rabbit)
    worker: asyncio.Task[None] | subprocess.Popen[bytes]
    if apart:
        command = [sys.executable, "-m", "benchmarks.tasks_floor", postgres, rabbit]
        worker = subprocess.Popen(command, env=os.environ)  # noqa: ASYNC220  (it has not begun to measure)
    else:
        worker = asyncio.create_task(work(postgres, rabbit))
    rate, milliseconds = await measure(postgres, rabbit, body, callers, seconds)
    if isinstance(worker, subprocess.Popen):
        worker.kill()
        worker.wait()
    else:
        worker.cancel()
        await asyncio.wait([worker])
    print(f"{rate:.0f} {milliseconds:.2f}")


@asynccontextmanager
async def _connected(postgres: str, rabbit: str) -> AsyncIterator[tuple[asyncpg.Pool, AbstractConnection]]:
    database = await asyncpg.create_pool(postgres, min_size=3, max_size=3)
    try:
        async with await aio_pika.connect(rabbit) as connection:
            yield database, connection
    finally:
        database.terminate()


def main(postgres: str, rabbit: str, body: str = "", callers: str = "", seconds: str = "", *rest: str) -> None:
    if not body:
        asyncio.run(work(postgres, rabbit))
        return
    asyncio.run(run(postgres, rabbit, Path(body).read_bytes(), int(callers), float(seconds), apart="apart" in rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
