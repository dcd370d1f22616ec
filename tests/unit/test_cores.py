"""A processor for each process: only where there are as many, and never for the work that a server starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from rowcast.adapters.processes.cores import Cores, settle

ALL = os.sched_getaffinity(0)


def in_a_thread(do: Callable[[], None]) -> None:
    """Affinity is a thread's: the one that runs the tests keeps its own."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(do).result()


def test_each_process_has_its_own() -> None:
    cores = Cores(len(ALL))
    assert {cores.of(number) for number in range(len(ALL))} == ALL


@pytest.mark.parametrize("processes", [len(ALL) - 1, len(ALL) + 1])
def test_with_more_or_fewer_the_system_decides(processes: int) -> None:
    cores = Cores(processes)
    assert cores.of(0) is None

    def settled() -> None:
        settle(cores.of(0))
        assert os.sched_getaffinity(0) == ALL

    in_a_thread(settled)


def test_what_is_started_meanwhile_runs_on_all() -> None:
    cores = Cores(len(ALL))
    show = (sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))")

    def work() -> None:
        settle(cores.of(0))
        assert len(os.sched_getaffinity(0)) == 1
        with cores.all(), ThreadPoolExecutor(1) as pool:
            started = pool.submit(subprocess.check_output, show, text=True)
            assert int(started.result()) == len(ALL)
        assert len(os.sched_getaffinity(0)) == 1

    in_a_thread(work)
