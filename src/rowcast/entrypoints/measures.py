"""What a process counts about itself, at a cost that every call can bear.

Figures are nested by group and key: ``{"requests": {"200 GET /api/v1/me": [...]}}``. Those that only grow add up over
the processes of one server, also over those that have ended; those of the group ``now`` only over those that live.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

    from rowcast.entrypoints.rest.at_once import Answer, Answering, Whole

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: the upper ends of the histogram's buckets; one more bucket takes the rest."""

NOW = "now"
STALE_SECONDS = 10.0

Figures = dict[str, dict[str, list[float]]]


class Measures:
    """The figures of this process, and what other processes of the same server said of theirs."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int | str], list[float]] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._others: dict[int, tuple[float, Figures]] = {}
        self._sources: list[Callable[[], Mapping[str, float]]] = []
        self._present: list[Callable[[], Mapping[str, float]]] = []

    def timed(self, name_of: Callable[[Scope], str], scope: Scope, send: Send) -> Send:
        """The same ``send``, which also counts the answer and how long its beginning took. For one event loop.

        ``name_of`` tells the operation that a request was for, once it is answered: one of a few names, whatever was
        asked for.
        """
        begun = perf_counter()

        # No coroutine of its own: one more for each message would cost as much as all the counting.
        def noted(message: Message) -> Any:
            if message["type"] == "http.response.start":
                self._answered(name_of(scope), message["status"], perf_counter() - begun)
            return send(message)

        return noted

    def counted(self, name_of: Callable[[Scope], str], scope: Scope, answering: Answering) -> Answering:
        """The same for what answers at once."""

        def timed(body: bytes, answer: Answer) -> Awaitable[Whole] | None:
            begun = perf_counter()

            def counted(whole: Whole) -> None:
                self._answered(name_of(scope), whole.status, perf_counter() - begun)
                answer(whole)

            later = answering(body, counted)
            return None if later is None else self._awaited(later, name_of, scope, begun)

        return timed

    async def _awaited(
        self, answer: Awaitable[Whole], name_of: Callable[[Scope], str], scope: Scope, begun: float
    ) -> Whole:
        whole = await answer
        self._answered(name_of(scope), whole.status, perf_counter() - begun)
        return whole

    def ended(self, name: str, status: str, seconds: float) -> None:
        """Count a call over gRPC, and how long it took. Safe to use from any thread."""
        with self._lock:
            self._answered(name, status, seconds)

    def attempted(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count attempts at tasks that ended so: see ``tasks.ports.Tally``."""
        with self._lock:
            self._attempts[kind, outcome] = self._attempts.get((kind, outcome), 0) + count

    def follow(
        self, total: Callable[[], Mapping[str, float]], present: Callable[[], Mapping[str, float]] | None = None
    ) -> None:
        """Take in figures that somebody else keeps: ``total`` only grow, ``present`` are as they are."""
        self._sources.append(total)
        if present is not None:
            self._present.append(present)

    def own(self) -> Figures:
        """The figures of this process alone."""
        with self._lock:
            attempts = {f"{kind} {outcome}": [float(count)] for (kind, outcome), count in self._attempts.items()}
        return {
            "requests": {f"{status} {name}": list(seen) for (name, status), seen in list(self._requests.items())},
            "attempts": attempts,
            "totals": _read(self._sources),
            NOW: _read(self._present),
        }

    def hear(self, process: int, figures: Figures) -> None:
        """Take note of what another process of this server has counted so far."""
        self._others[process] = (monotonic(), figures)

    def all(self) -> Figures:
        """The figures of all processes of this server together."""
        heard = list(self._others.values())
        fresh = monotonic() - STALE_SECONDS
        lasting = [{group: keys for group, keys in said.items() if group != NOW} for at, said in heard if at <= fresh]
        return _added([self.own(), *lasting, *(said for at, said in heard if at > fresh)])

    def _answered(self, name: str, status: int | str, seconds: float) -> None:
        seen = self._requests.get((name, status))
        if seen is None:
            seen = self._requests[name, status] = [0.0] * (len(BOUNDS) + 2)
        seen[bisect_left(BOUNDS, seconds)] += 1
        seen[-1] += seconds


def _read(sources: Iterable[Callable[[], Mapping[str, float]]]) -> dict[str, list[float]]:
    return {key: [value] for source in sources for key, value in source().items()}


def _added(several: Iterable[Figures]) -> Figures:
    total: Figures = {}
    for figures in several:
        for group, keys in figures.items():
            added = total.setdefault(group, {})
            for key, numbers in keys.items():
                before = added.get(key)
                added[key] = list(numbers) if before is None else [x + y for x, y in zip(before, numbers, strict=True)]
    return total
