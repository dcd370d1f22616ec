from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.models.bundle.runtime import OnnxRuntime
from rowcast.models.encode.calendar_parts import calendar_nodes, calendar_parts
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph

EPOCH = date(1970, 1, 1)
GRAPH = OnnxGraph({"days": False})
ONNX = OnnxRuntime(GRAPH.finish(calendar_nodes(GRAPH, "days", 1), "parts", 3))


def in_onnx(days: Floats) -> Floats:
    return ONNX.run({"days": days.reshape(-1, 1)})


def expected(day: date) -> list[float]:
    return [day.year, day.month, day.weekday(), day.day]


def days_of(dates: list[date]) -> Floats:
    return np.array([(day - EPOCH).days for day in dates], dtype=np.float32)


@given(st.lists(st.dates(), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_any_date_has_its_parts(dates: list[date]) -> None:
    wanted = [expected(day) for day in dates]
    assert calendar_parts(days_of(dates)).tolist() == wanted
    assert in_onnx(days_of(dates)).tolist() == wanted


def test_every_day_around_leap_years_and_the_epoch() -> None:
    for first in (date(1899, 12, 1), date(1967, 12, 1), date(1999, 12, 1), date(2099, 12, 1), date(1, 1, 1)):
        dates = [first + timedelta(days=number) for number in range(500)]
        wanted = [expected(day) for day in dates]
        assert calendar_parts(days_of(dates)).tolist() == wanted
        assert in_onnx(days_of(dates)).tolist() == wanted


def test_missing_stays_missing_and_a_time_of_day_is_the_same_day() -> None:
    days = np.array([np.nan, -0.25, 0.75, -3e38, 3e38, np.inf], dtype=np.float32)
    parts = calendar_parts(days)
    assert np.isnan(parts[0]).all()
    assert parts[1].tolist() == [1969, 12, 2, 31]
    assert parts[2].tolist() == [1970, 1, 3, 1]
    assert parts[3].tolist() == [1, 1, 0, 1]
    assert parts[4].tolist() == parts[5].tolist() == [9999, 12, 4, 31]
    assert np.array_equal(parts, in_onnx(days), equal_nan=True)
