"""How often models answered, and how long it took: the statistics extension. Of this process, since its start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Durations:
    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def shown(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    last_ms: int = 0
    success: _Durations = field(default_factory=_Durations)
    fail: _Durations = field(default_factory=_Durations)


class Statistics:
    """Counts by model and version. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, int], _Counts] = {}
        self._lock = threading.Lock()

    def begin(self) -> int:
        """The moment at which a call begins."""
        return self._clock()

    def succeeded(self, model: str, version: int, begun: int, rows: int) -> None:
        """Count a call of so many rows that was answered."""
        took = self._clock() - begun
        with self._lock:
            counts = self._of(model, version)
            counts.success.add(took)
            counts.rows += rows
            counts.last_ms = time.time_ns() // 1_000_000

    def failed(self, model: str, version: int, begun: int) -> None:
        """Count a call that was not."""
        took = self._clock() - begun
        with self._lock:
            self._of(model, version).fail.add(took)

    def shown(self, model: str, version: int) -> dict[str, Any]:
        """As the protocol has it; what is not told apart here is 0."""
        with self._lock:
            counts = self._counts.get((model, version), _Counts())
            none = _Durations().shown()
            return {
                "name": model,
                "version": str(version),
                "last_inference": counts.last_ms,
                "inference_count": counts.rows,
                "execution_count": counts.success.count,
                "inference_stats": {
                    "success": counts.success.shown(),
                    "fail": counts.fail.shown(),
                    "queue": none,
                    "compute_input": none,
                    "compute_infer": counts.success.shown(),
                    "compute_output": none,
                },
                "batch_stats": [],
            }

    def _of(self, model: str, version: int) -> _Counts:
        counts = self._counts.get((model, version))
        if counts is None:
            counts = self._counts[model, version] = _Counts()
        return counts
