"""What clients were told: which tasks are theirs, how those ended, and what else they were answered."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx2

FINAL = frozenset({"succeeded", "failed", "cancelled"})
AGAIN = frozenset({429, 503})
"""Statuses that ask to come again, and say when."""


@dataclass
class Ledger:
    """``accepted`` has task ids by idempotency key, ``endings`` how each task was seen to have ended, by id."""

    accepted: dict[str, str] = field(default_factory=dict)
    endings: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    """Connections that were refused or broke off."""
    server_errors: list[str] = field(default_factory=list)
    """Answers of 500 and above, but for a 503 that says when to come again."""
    refused: list[str] = field(default_factory=list)
    """Other answers that nobody should have got."""
    doubled: list[str] = field(default_factory=list)
    """Keys that were answered with more than one task."""

    def note(self, operation: str, response: httpx2.Response) -> None:
        """Count an answer, and keep it if it should not have been given."""
        status = response.status_code
        self.statuses[status] += 1
        if status < 400 or status == 429 or (status == 503 and "Retry-After" in response.headers):
            return
        found = self.server_errors if status >= 500 else self.refused
        found.append(f"{operation}: {status} {response.text[:500]}")

    def accept(self, key: str, task: dict[str, Any]) -> None:
        """The task that a call under that key was answered with."""
        if self.accepted.setdefault(key, task["id"]) != task["id"]:
            self.doubled.append(key)
        self.see(task)

    def see(self, task: dict[str, Any]) -> bool:
        """Whether the task has ended, as somebody was just shown it."""
        ended = task["state"] in FINAL
        if ended:
            self.endings[task["id"]].add((task["state"], task["finished_at"]))
        return ended

    @property
    def ended(self) -> int:
        """How many tasks were seen to have ended."""
        return len(self.endings)
