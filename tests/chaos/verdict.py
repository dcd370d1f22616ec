"""The verdict: what clients were told against what is on record, and answers against the same calls made at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from services import PrivateRabbit

from chaos.ledger import FINAL, Ledger
from chaos.records import Records, TaskRecord
from chaos.work import MODEL, Job

SHOWN = 5
"""Of each kind of finding."""

PATIENCE_SECONDS = 180
"""Without any task ending: leases run out, and waits between attempts pass, in less."""

QUIET_SECONDS = 60
"""For the broker to be empty: its counts are some seconds old, and what was told twice is taken once more."""

REPLAYED = 25
"""Every so many-th job is submitted once more under its key."""


@dataclass
class Verdict:
    """Findings by kind; none when all is well. ``lost`` and ``twice`` count tasks."""

    accepted: int = 0
    finished: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def find(self, kind: str, what: Iterable[str]) -> None:
        if new := list(what):
            self.findings.setdefault(kind, []).extend(new)

    def count(self, kind: str) -> int:
        return len(self.findings.get(kind, []))

    def report(self) -> list[str]:
        """The findings in words, the first few of each kind."""
        lines = []
        for kind, found in self.findings.items():
            lines.append(f"{kind}: {len(found)}")
            lines += [f"  {what}" for what in found[:SHOWN]]
        return lines


def await_end(records: Records, say: Callable[[str], None]) -> None:
    """Return when no task waits or runs any more, or none has ended for long."""
    left = records.unfinished()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.5)
        now = records.unfinished()
        if now != left:
            left, deadline = now, time.monotonic() + PATIENCE_SECONDS
    say("all tasks have ended" if not left else f"{left} tasks have not ended, and wait in vain")


def judge(jobs: Sequence[Job], ledger: Ledger, records: Records, http: httpx2.Client, rabbit: PrivateRabbit) -> Verdict:
    """Everything that is to hold. ``http`` speaks to an API as the administrator."""
    tasks, verdict = records.tasks(), Verdict(accepted=len(ledger.accepted))
    receipts = records.receipts()  # before the comparison below makes others
    mine = {key: tasks[task_id] for key, task_id in ledger.accepted.items() if task_id in tasks}
    verdict.finished = sum(task.state in FINAL for task in mine.values())
    verdict.find("lost", _lost(jobs, ledger, mine))
    verdict.find("twice", _twice(ledger, tasks, records.endings()))
    _judge_receipts(verdict, mine.values(), receipts)
    _judge_trainings(verdict, mine.values(), records)
    verdict.find("wrong answers", _wrong(jobs, mine, http))
    verdict.find("not the same task under the same key", _not_replayed(jobs, ledger, http))
    verdict.find("left in the broker", _left(rabbit))
    verdict.find("5xx", ledger.server_errors)
    verdict.find("refused", ledger.refused)
    return verdict


def _lost(jobs: Sequence[Job], ledger: Ledger, mine: dict[str, TaskRecord]) -> Iterable[str]:
    for job in jobs:
        if job.key not in ledger.accepted:
            yield f"{job.key}: never accepted"
        elif job.key not in mine:
            yield f"{job.key}: accepted as {ledger.accepted[job.key]}, which is not on record"
        elif mine[job.key].state not in FINAL:
            yield f"{job.key}: {mine[job.key]}"


def _twice(ledger: Ledger, tasks: dict[str, TaskRecord], endings: Counter[str]) -> Iterable[str]:
    yield from (f"{key}: accepted as several tasks" for key in ledger.doubled)
    known = set(ledger.accepted.values())
    yield from (f"{task_id}: is no client's" for task_id in tasks if task_id not in known)
    for task_id, task in tasks.items():
        if task.state in FINAL and endings[task_id] != 1:
            yield f"{task_id}: ended {endings[task_id]} times"
    for task_id, seen in ledger.endings.items():
        told = {state for state, _ in seen}
        if len(seen) > 1 or (task_id in tasks and told != {tasks[task_id].state}):
            yield f"{task_id}: was seen to end as {sorted(seen)}"


def _judge_receipts(verdict: Verdict, tasks: Iterable[TaskRecord], receipts: set[str]) -> None:
    answered = {task.id for task in tasks if task.kind == "predict" and task.state == "succeeded"}
    verdict.find("without a receipt", sorted(answered - receipts))
    verdict.find("twice", (f"{receipt}: a receipt of no task that succeeded" for receipt in receipts - answered))


def _judge_trainings(verdict: Verdict, tasks: Iterable[TaskRecord], records: Records) -> None:
    versions = records.versions()
    for task in tasks:
        if task.kind != "train":
            continue
        if task.state != "succeeded":
            verdict.find("failed trainings", [f"{task.id}: {task.state} after {task.attempts} attempts, {task.error}"])
        elif versions[task.id] != 1:
            kind = "twice" if versions[task.id] > 1 else "without a version"
            verdict.find(kind, [f"{task.id}: made {versions[task.id]} versions of one algorithm"])
    verdict.find("misnumbered models", records.misnumbered())


def _wrong(jobs: Sequence[Job], mine: dict[str, TaskRecord], http: httpx2.Client) -> Iterable[str]:
    """Predictions that are not, to the last bit, what the same call made at once is answered with."""
    at_once: dict[bytes, httpx2.Response] = {}
    for job in jobs:
        task = mine.get(job.key)
        if job.call is None or task is None or task.state not in FINAL:
            continue
        if job.call not in at_once:
            at_once[job.call] = http.post(f"/models/{MODEL}/predict", content=job.call)
        now = at_once[job.call]
        if not _same(task, now):
            yield f"{task.id}: {task.state} {str(task.result or task.error)[:300]}, at once {now.text[:300]}"


def _same(task: TaskRecord, at_once: httpx2.Response) -> bool:
    now = at_once.json()
    if at_once.is_success:
        result = task.result or {}
        return result.get("receipt") == task.id and _bare(result) == _bare(now)
    error = task.error or {}
    return task.state == "failed" and error.get("code") == now["code"] and error.get("problems") == now["problems"]


def _bare(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "receipt"}


def _not_replayed(jobs: Sequence[Job], ledger: Ledger, http: httpx2.Client) -> Iterable[str]:
    for job in jobs[::REPLAYED]:
        answer = http.post(job.path, content=job.body, headers={"Idempotency-Key": job.key})
        if not answer.is_success or answer.json()["id"] != ledger.accepted.get(job.key):
            yield f"{job.key}: {answer.status_code} {answer.text[:300]}"


def _left(rabbit: PrivateRabbit) -> list[str]:
    """What queues hold when all is done, dead letters among it."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        left = list(_held(rabbit.request("GET", "/api/queues")))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(1)


def _held(queues: Any) -> Iterable[str]:
    for queue in queues:
        ready, unacked = queue.get("messages_ready", 0), queue.get("messages_unacknowledged", 0)
        if ready or unacked:
            yield f"{queue['name']}: ready={ready} unacked={unacked}"
