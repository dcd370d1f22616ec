"""Clients: each submits jobs under keys of their own until they are accepted, and sees them through to their end."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx2

from chaos.ledger import AGAIN, Ledger
from chaos.work import Job

OPEN_JOBS = 8
"""Of one client at the same time."""

HOLD = {"Prefer": "wait=20"}
TIMEOUT = httpx2.Timeout(60, connect=5)
ALL = httpx2.Limits(max_connections=None, max_keepalive_connections=None)


class Refused(Exception):
    """An answer that asking again does not change; the ledger has it."""


class Client:
    """One client of all APIs: where one does not answer, the next is asked."""

    def __init__(self, urls: Sequence[str], key: str, ledger: Ledger, chance: random.Random) -> None:
        self._urls = urls
        self._ledger = ledger
        self._chance = chance
        self._at = chance.randrange(len(urls))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = httpx2.AsyncClient(headers=headers, timeout=TIMEOUT, limits=ALL, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def work(self, jobs: Iterator[Job], limit: Callable[[], int]) -> None:
        """Take job after job off the list that all share, up to the limit of the moment, and see each through."""
        room = asyncio.Semaphore(OPEN_JOBS)
        async with asyncio.TaskGroup() as opened:
            for job in jobs:
                while job.number >= limit():  # noqa: ASYNC110  (the killer is a thread)
                    await asyncio.sleep(0.02)
                await room.acquire()
                opened.create_task(self._see_through(job)).add_done_callback(lambda _: room.release())

    async def ask(
        self, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """The answer, of whichever API gives one; none that asks to come again.

        Raises:
            Refused: nothing else is to be expected.
        """
        while True:
            try:
                response = await self._http.request(method, self._url(path), content=content, headers=headers)
            except httpx2.TransportError:
                await self._broken()
                continue
            if await self._accepted(f"{method} {path}", response):
                return response

    async def _see_through(self, job: Job) -> None:
        manner = self._chance.choice([self._hold, self._poll, self._follow, self._leave])
        with suppress(Refused):
            await manner(job)

    async def _submit(self, job: Job, **headers: str) -> dict[str, Any]:
        response = await self.ask("POST", job.path, job.body, {"Idempotency-Key": job.key, **headers})
        task: dict[str, Any] = response.json()
        self._ledger.accept(job.key, task)
        return task

    async def _hold(self, job: Job) -> None:
        """Hold on until it is done."""
        task = await self._submit(job, **HOLD)
        while not self._ledger.see(task):
            task = (await self.ask("GET", f"/tasks/{task['id']}", headers=HOLD)).json()

    async def _poll(self, job: Job) -> None:
        """Ask now and then."""
        task = await self._submit(job)
        while not self._ledger.see(task):
            await asyncio.sleep(self._chance.uniform(0.05, 1))
            task = (await self.ask("GET", f"/tasks/{task['id']}")).json()

    async def _leave(self, job: Job) -> None:
        """Submit and go away before the answer; then come back through another API."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(0, 0.1)):
                await self._submit(job, **HOLD)
        self._turn()
        await self._poll(job)

    async def _follow(self, job: Job) -> None:
        """Follow its events; where they break off, those of another API."""
        task = await self._submit(job)
        path = f"/tasks/{task['id']}/events"
        while not self._ledger.see(task):
            try:
                async with self._http.stream("GET", self._url(path)) as response:
                    if not response.is_success:
                        await response.aread()
                    if not await self._accepted(f"GET {path}", response):
                        continue
                    async for line in response.aiter_lines():
                        if line.startswith("data:"):
                            task = json.loads(line[5:])
            except httpx2.TransportError:
                await self._broken()

    def _url(self, path: str) -> str:
        return f"{self._urls[self._at]}/api/v1{path}"

    def _turn(self) -> None:
        self._at = (self._at + 1) % len(self._urls)

    async def _accepted(self, operation: str, response: httpx2.Response) -> bool:
        """Whether it is an answer; when not, it is time to ask again, of another API."""
        self._ledger.note(operation, response)
        if response.is_success:
            return True
        if response.status_code < 500 and response.status_code not in AGAIN:
            raise Refused
        self._turn()
        await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
        return False

    async def _broken(self) -> None:
        self._ledger.broken += 1
        self._turn()
        await asyncio.sleep(self._chance.uniform(0.05, 0.3))
