"""Calls that reach a model at the same moment are run by it in one go.

A run of one row is mostly its own beginning and end: sixteen rows together take the time of two to eight alone. Nobody
waits for others to come: in a turn of the event loop the calls that have arrived are read, in the next they are run.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rowcast.models.bundle.runtime import Feeds, MatrixRuntime, Runtime
from rowcast.scoring.answers import NO_OUTPUTS, Outputs

MOST_ROWS = 16
"""Of a call: the beginning and the end of a larger one's run hardly count."""


class _Waiting(NamedTuple):
    rows: npt.NDArray[np.float32]
    outputs: asyncio.Future[Outputs]


class Coalescing:
    """Safe to use from any event loop: calls of one never wait for another."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Any, MatrixRuntime], list[_Waiting]] = {}

    async def run(self, runtime: Runtime, inputs: Feeds, count: int) -> Outputs:
        """What ``runtime.run`` gives for these inputs of so many rows."""
        if not count:
            return NO_OUTPUTS
        if not isinstance(runtime, MatrixRuntime) or count > MOST_ROWS:
            return runtime.run(inputs)
        loop = asyncio.get_running_loop()
        mine = _Waiting(runtime.rows(inputs), loop.create_future())
        if (loop, runtime) in self._waiting:
            self._waiting[loop, runtime].append(mine)
        else:
            self._waiting[loop, runtime] = [mine]
            loop.call_soon(self._run, loop, runtime)
        return await mine.outputs

    def _run(self, loop: asyncio.AbstractEventLoop, runtime: MatrixRuntime) -> None:
        group = self._waiting.pop((loop, runtime))
        try:
            found = runtime.run_rows(group[0].rows if len(group) == 1 else np.concatenate([one.rows for one in group]))
        except Exception as error:  # noqa: BLE001  (whoever waits is told, and would wait for ever otherwise)
            _fail(group, runtime, error)
            return
        start = 0
        for one in group:
            end = start + len(one.rows)
            if not one.outputs.done():  # the caller went away meanwhile
                one.outputs.set_result(found[start:end])
            start = end


def _fail(group: list[_Waiting], runtime: MatrixRuntime, error: Exception) -> None:
    """Run each alone, so that one that cannot be run does not take the others with it."""
    for one in group:
        if one.outputs.done():
            continue
        try:
            if len(group) == 1:
                raise error
            one.outputs.set_result(runtime.run_rows(one.rows))
        except Exception as its_own:  # noqa: BLE001  (the same)
            one.outputs.set_exception(its_own)
