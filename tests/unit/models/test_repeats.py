from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rowcast.models.encode.inputs import Column, Labels, take
from rowcast.models.train.repeats import repeats_warning


def table(rows: int, seed: int = 0) -> tuple[dict[str, Column], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    number = rng.normal(size=rows).astype(np.float32)
    number[: rows // 10] = np.nan
    labels = Labels(rng.integers(0, 4, rows).astype(np.int32), ["", "a", "b", "c"])
    return {"n": number, "c": labels}, rng.integers(0, 2, rows)


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_copied_rows_are_told(dtype: Any) -> None:
    inputs, y = table(400)
    taken = np.r_[np.arange(400), np.arange(300)]
    copied = take(inputs, taken)
    (told,) = repeats_warning(copied, y[taken].astype(dtype), seed=0)
    assert told.startswith("4")
    assert "% of the rows repeat another in every feature and the target" in told


def test_columns_of_few_values_repeat_by_themselves() -> None:
    rng = np.random.default_rng(0)
    inputs: dict[str, Column] = {name: rng.integers(0, 3, 900).astype(np.float32) for name in "abc"}
    assert repeats_warning(inputs, rng.integers(0, 2, 900), seed=0) == []
    assert repeats_warning({"a": inputs["a"]}, rng.integers(0, 2, 900), seed=0) == []


def test_a_usual_table_has_no_such_warning() -> None:
    assert repeats_warning(*table(400), seed=0) == []
