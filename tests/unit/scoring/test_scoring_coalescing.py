"""Calls that arrive at the same moment are run in one go: each gets its own rows, and none another's fault."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from onnx import TensorProto, helper

from rowcast.datasets.columns import Stacked
from rowcast.models.bundle.lookups import Matrix
from rowcast.models.bundle.runtime import MatrixRuntime
from rowcast.scoring.coalescing import MOST_ROWS, Coalescing

PLACES = {"a": 0, "b": 1}


class Counting(MatrixRuntime):
    """A real graph that says how many rows each of its runs had, and refuses a row of minus one."""

    def __init__(self) -> None:
        rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", 2])
        doubled = helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["N", 2])
        graph = helper.make_graph([helper.make_node("Add", ["rows", "rows"], ["doubled"])], "double", [rows], [doubled])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        super().__init__(model.SerializeToString(), Matrix(["a", "b"], []))
        self.runs: list[int] = []

    def run_rows(self, rows):
        self.runs.append(len(rows))
        if (rows == -1).any():
            raise RuntimeError("no such row")
        return super().run_rows(rows)


def inputs(value: float, count: int = 1) -> Stacked:
    return Stacked(np.full((count, 2), value, np.float32), PLACES)


async def together(runtime: Counting, *calls: tuple[float, int]) -> list[object]:
    coalescing = Coalescing()
    waiting = (coalescing.run(runtime, inputs(value, count), count) for value, count in calls)
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_each_gets_its_own_rows_of_one_run() -> None:
    runtime = Counting()
    calls = [(float(value), 1 + value % 3) for value in range(40)]
    for (value, count), found in zip(calls, asyncio.run(together(runtime, *calls)), strict=True):
        assert np.array_equal(found, np.full((count, 2), 2 * value, np.float32))
    assert runtime.runs == [sum(count for _, count in calls)]


def test_who_comes_alone_is_run_alone_and_large_calls_wait_for_nobody() -> None:
    runtime = Counting()
    asyncio.run(together(runtime, (1.0, 1)))
    asyncio.run(together(runtime, (1.0, MOST_ROWS + 1), (2.0, 1)))
    assert runtime.runs == [1, MOST_ROWS + 1, 1]


def test_a_row_that_cannot_be_run_does_not_take_others_with_it() -> None:
    first, bad, last = asyncio.run(together(Counting(), (1.0, 1), (-1.0, 1), (3.0, 1)))
    assert isinstance(bad, RuntimeError)
    assert (np.asarray(first).tolist(), np.asarray(last).tolist()) == ([[2, 2]], [[6, 6]])


def test_who_goes_away_leaves_the_others_their_answers() -> None:
    async def run() -> np.ndarray:
        coalescing, runtime = Coalescing(), Counting()
        gone = asyncio.ensure_future(coalescing.run(runtime, inputs(1.0), 1))
        stays = asyncio.ensure_future(coalescing.run(runtime, inputs(2.0), 1))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(run()).tolist() == [[4, 4]]
