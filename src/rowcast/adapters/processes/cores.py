"""A processor for each process of a server that has just as many.

A system that has to spread a server and whoever calls it over a few processors tends to wake two of them on the same
one. Each on its own they keep their caches, and their threads hand over to each other without a detour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """The processors that this process was given, one for each of ``processes``; where there are more or fewer, the
    system decides. Affinity is a thread's, and of the threads and processes that it starts from then on."""

    def __init__(self, processes: int) -> None:
        self._all = os.sched_getaffinity(0)
        self._own = sorted(self._all) if len(self._all) == processes else []

    def of(self, number: int) -> int | None:
        """The processor of a process, counted from 0."""
        return self._own[number] if self._own else None

    @contextmanager
    def all(self) -> Iterator[None]:
        """Have what is started meanwhile run on any of them."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._all)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def settle(core: int | None) -> None:
    """Keep this thread to that processor, where there is one."""
    if core is not None:
        os.sched_setaffinity(0, {core})
