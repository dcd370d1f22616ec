"""``python -m chaos.spending``: 64 clients spend one balance at once while what they call is killed, and every credit
is accounted for afterwards.

They predict at once and through the queue, and cancel some of their tasks; the balance is topped up now and then, and
is empty for much of the time. What they were told is then held against the receipts, and the ledger proves itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
from sqlalchemy import select

from chaos.stages import Laptop, Services, Stage
from chaos.work import EXAMPLE, TARGET
from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import SqlDatabase, open_database
from rowcast.client import Client as Sdk
from rowcast.credits.tables import BalanceRow, TransferRow
from rowcast.credits.views import LedgerCheck
from rowcast.errors import RowcastError, Unavailable
from rowcast.monitoring.tables import ReceiptRow
from rowcast.tasks.tables import TaskRow

MODEL, SPENDER = "loans", "spender"
PRICE = 3
TABLE_ROWS = 600
BETWEEN_KILLS = 100
"""Answers that clients get from what was started again before something is killed anew."""

STALLED_SECONDS = 300
PATIENCE_SECONDS = 90
"""For tasks to end when all is quiet: leases run out in less."""

ENDED = ("succeeded", "failed", "cancelled", "rejected")


@dataclass
class Told:
    """What clients were told: the rows that each receipt answered, tasks with the rows that were asked of them, and the
    top-ups that were made, by their keys."""

    answered: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    top_ups: dict[str, int] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lowest: int = 0


class Spender:
    """A client of all addresses: where one does not answer, the next is asked."""

    def __init__(self, urls: Sequence[str], key: str, told: Told, rows: Sequence[Any], chance: random.Random) -> None:
        self._urls, self._told, self._rows, self._chance = urls, told, rows, chance
        self._at = chance.randrange(len(urls))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, connect=5), trust_env=False)

    async def spend(self, ended: Callable[[], bool]) -> None:
        async with self._http:
            while not ended():
                await self._chance.choice([self._at_once, self._at_once, self._queued, self._cancelled])()

    async def _at_once(self) -> None:
        rows, bad = self._some()
        body = {"rows": rows, "on_error": "skip"}
        answer = await self._ask("POST", f"/models/{MODEL}/predict", body)
        if answer is not None and answer.status_code == 200:
            self._told.answered[answer.json()["receipt"]] = len(rows) - bad

    async def _queued(self) -> str | None:
        """Submit under a key of its own until there is an answer to it."""
        rows, bad = self._some()
        body = {"kind": "predict", "model": MODEL, "rows": rows, "on_error": "skip"}
        headers = {"Idempotency-Key": f"{self._chance.getrandbits(64):x}"}
        for _ in range(200):
            answer = await self._ask("POST", "/tasks", body, headers)
            if answer is not None and answer.status_code in (200, 202, 402):
                task_id = answer.headers["Location"].rpartition("/")[2]
                self._told.tasks[task_id] = len(rows) - bad
                return task_id if answer.status_code != 402 else None
        self._told.wrong.append("a task could not be submitted")
        return None

    async def _cancelled(self) -> None:
        task_id = await self._queued()
        if task_id is not None:
            await asyncio.sleep(self._chance.uniform(0, 0.05))
            await self._ask("POST", f"/tasks/{task_id}/cancel")

    def _some(self) -> tuple[list[Any], int]:
        """Some rows, and how many of them nobody can answer."""
        rows = [dict(row) for row in self._chance.sample(self._rows, self._chance.randint(1, 4))]
        bad = self._chance.random() < 0.2
        if bad:
            rows[-1]["GrAppv"] = "a lot"
        return rows, int(bad)

    async def _ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response | None:
        content = None if body is None else json.dumps(body).encode()
        try:
            url = f"{self._urls[self._at]}/api/v1{path}"
            answer = await self._http.request(method, url, content=content, headers=headers)
        except httpx2.TransportError:
            self._at = (self._at + 1) % len(self._urls)
            await asyncio.sleep(self._chance.uniform(0.05, 0.3))
            return None
        self._told.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            self._at = (self._at + 1) % len(self._urls)
            await asyncio.sleep(self._chance.uniform(0.1, 0.5))
        elif answer.status_code == 402:
            await asyncio.sleep(self._chance.uniform(0, 0.05))
        elif answer.status_code >= 400:
            self._told.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer


class Around:
    """What goes on around the clients: kills at random moments, top-ups, and a look at the balance again and again."""

    def __init__(self, stage: Stage, told: Told, options: argparse.Namespace, chance: random.Random) -> None:
        self._stage, self._told, self._options, self._chance = stage, told, options, chance
        self._ended = threading.Event()
        self._begun, self._due = time.monotonic(), BETWEEN_KILLS
        self.struck = 0
        self._threads = [threading.Thread(target=each) for each in (self._kill, self._top_up, self._watch)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def over(self) -> bool:
        """Whether the clients may go: all is killed that was to be, and the time is up."""
        passed = time.monotonic() - self._begun
        done = self.struck == self._options.kills and self._answers() >= self._due
        return passed > STALLED_SECONDS or (done and passed > self._options.seconds)

    def _answers(self) -> int:
        return sum(count for status, count in self._told.statuses.items() if status < 500)

    def _kill(self) -> None:
        pause = self._options.seconds / (self._options.kills + 1)
        while self.struck < self._options.kills and not self._ended.wait(pause * self._chance.uniform(0.5, 1)):
            if self._answers() < self._due:
                continue
            name, victim = self._chance.choice(self._chance.choice(list(self._stage.members.values())))
            print(f"kill {self.struck + 1}: {name}", flush=True)
            victim.kill()
            self._ended.wait(self._chance.uniform(0, 0.5))
            victim.start()
            self._due = self._answers() + BETWEEN_KILLS
            self.struck += 1

    def _top_up(self) -> None:
        number = 0
        while not self._ended.is_set():
            self._pay(f"top-up {number}", self._chance.randint(1, 2 * self._options.credits))
            number += 1
            self._ended.wait(self._chance.uniform(0.2, 1))

    def _pay(self, key: str, amount: int) -> None:
        """Again and again until it is done: under its key it is done once."""
        while not self._told.wrong:
            url = self._chance.choice(self._stage.urls)
            try:
                with Sdk(url, self._stage.key, retries=0, timeout=10) as sdk:
                    sdk.credits.top_up(SPENDER, amount, idempotency_key=key)
            except Unavailable:
                time.sleep(0.1)
                continue
            except RowcastError as error:
                self._told.wrong.append(f"{key}: {error.code}")
                return
            self._told.top_ups[key] = amount
            return

    def _watch(self) -> None:
        database = open_database(self._stage.database_url, connect_seconds=2)
        while not self._ended.wait(0.05):
            with suppress(Unavailable), database.reading() as session:
                lowest = session.scalar(select(BalanceRow.available).order_by(BalanceRow.available).limit(1))
                self._told.lowest = min(self._told.lowest, lowest or 0)
        database.dispose()


def prepare(stage: Stage, credits: int) -> tuple[str, list[dict[str, Any]]]:
    """A model that everybody may use and somebody with credits: their key, and rows to ask about."""
    table = stage.folder / "loans.csv"
    table.write_text("".join(EXAMPLE.read_text().splitlines(keepends=True)[: TABLE_ROWS + 1]))
    database = open_database(stage.database_url)
    with database.transaction() as session:
        user = UserRow(name=SPENDER, role=Role.USER.value)
        session.add(user)
        session.flush()
        key = create_key(session, user.id)
    database.dispose()
    with Sdk(stage.urls[0], stage.key) as sdk:
        sdk.datasets.add(table, name=MODEL)
        sdk.train_and_wait(dataset=MODEL, target=TARGET, preset="fast", algorithms=["linear"], folds=2, promote=True)
        sdk.models.share(MODEL, "everyone")
        sdk.credits.set_price(MODEL, PRICE)
        sdk.credits.top_up(SPENDER, credits, idempotency_key="first")
        row = {feature.name: feature.example for feature in sdk.models.schema(MODEL).features}
    return key, [row] * 8


def judge(stage: Stage, told: Told, check: LedgerCheck) -> list[str]:
    """What is wrong; nothing when every credit is accounted for."""
    database = open_database(stage.database_url)
    try:
        found = list(told.wrong) + check.faults
        found += _against_receipts(database, told)
        found += _against_ledger(database, told, check)
    finally:
        database.dispose()
    return found


def _against_receipts(database: SqlDatabase, told: Told) -> Iterable[str]:
    with database.reading() as session:
        prices = dict(session.execute(select(ReceiptRow.id, ReceiptRow.price)).all())
        states = dict(session.execute(select(TaskRow.id, TaskRow.state).where(TaskRow.kind == "predict")).all())
    for receipt, rows in told.answered.items():
        if prices.get(receipt) != rows * PRICE:
            yield f"receipt {receipt}: {rows} rows were answered, and paid with {prices.get(receipt)}"
    for task, rows in told.tasks.items():
        due = rows * PRICE if states.get(task) == "succeeded" else None
        if states.get(task) not in ENDED or prices.get(task) != due:
            yield f"task {task}: {states.get(task)}, {rows} rows, paid with {prices.get(task)}"
    yield from (f"task {task}: is nobody's" for task in states.keys() - told.tasks.keys())


def _against_ledger(database: SqlDatabase, told: Told, check: LedgerCheck) -> Iterable[str]:
    with database.reading() as session:
        kept = session.scalar(select(TransferRow.balance).order_by(TransferRow.balance).limit(1))
    if min(told.lowest, kept or 0) < 0:
        yield f"the balance was {min(told.lowest, kept or 0)}"
    if check.issued != sum(told.top_ups.values()):
        yield f"{check.issued} credits were given, not {sum(told.top_ups.values())}"
    if check.issued != check.revenue + check.available or check.held:
        yield f"{check.issued} given, {check.revenue} paid, {check.available} to spend, {check.held} held"
    if not check.revenue or not told.statuses[402]:
        yield "nothing was paid, or nothing refused: this proves nothing"


def whole(stage: Stage, options: argparse.Namespace) -> bool:
    """Start, spend, wait, judge; whether every credit is accounted for."""
    chance, told, well = random.Random(options.seed), Told(), False
    try:
        stage.start()
        key, rows = prepare(stage, options.credits)
        told.top_ups["first"] = options.credits
        print("prepared", flush=True)
        around = Around(stage, told, options, random.Random(chance.random()))
        around.start()
        spenders = [
            Spender(stage.urls, key, told, rows, random.Random(chance.random())) for _ in range(options.clients)
        ]
        try:
            asyncio.run(_all(spenders, around.over))
        finally:
            around.stop()
        stage.await_ready()
        check = _quiet(stage)
        found = judge(stage, told, check)
        well = not found
        _say(told, check, found, around.struck, options.clients)
    finally:
        stage.remove(keep_logs=not well)
        if not well:
            print(f"the logs are in {stage.folder}", flush=True)
    return well


async def _all(spenders: Sequence[Spender], ended: Callable[[], bool]) -> None:
    await asyncio.gather(*(spender.spend(ended) for spender in spenders))


def _quiet(stage: Stage) -> LedgerCheck:
    """The proof of the ledger once no task is open any more, or has been for too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Sdk(stage.urls[0], stage.key) as sdk:
        while True:
            check = sdk.credits.check()
            if not check.held or time.monotonic() > deadline:
                return check
            time.sleep(0.5)


def _say(told: Told, check: LedgerCheck, found: Sequence[str], kills: int, clients: int) -> None:
    print(f"answers by status: {dict(sorted(told.statuses.items()))}")
    for line in found[:20]:
        print(f"  {line}")
    counts = {"clients": clients, "kills": kills, "answered": len(told.answered), "tasks": len(told.tasks)}
    counts |= {"transfers": check.transfers, "receipts": check.receipts, "issued": check.issued, "paid": check.revenue}
    print(*(f"{name}={count}" for name, count in counts.items()), f"faults={len(found)}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when every credit is accounted for."""
    parser = argparse.ArgumentParser(prog="chaos.spending", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("on", choices=("laptop", "services"), help="rowcast up on SQLite, or PostgreSQL and RabbitMQ")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is asked and killed")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--credits", type=int, default=100, help="to begin with, and of a top-up on average")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}: repeat it with --seed {options.seed}", flush=True)
    logging.disable()  # whoever looks at the balance would tell of every kill of the database
    stage: Stage = Laptop(credits="paid") if options.on == "laptop" else Services(credits="paid")
    return 0 if whole(stage, options) else 1


if __name__ == "__main__":
    sys.exit(main())
