"""Distinct cells are read once for a whole file, within bounds, by any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.encode.inputs import Labels
from rowcast.scoring.files.cells import ColumnReader
from rowcast.scoring.files.lexicon import Lexicon, Read


class Counting:
    """Reads numbers, and remembers which cells it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, cells):
        self.given += cells.to_list()
        faults = {place: "field_unreadable" for place, cell in enumerate(cells) if cell == "x"}
        return Read(np.array([np.nan if cell == "x" else float(cell) for cell in cells], dtype=np.float32), faults)


def test_each_cell_is_read_once():
    read = Counting()
    lexicon = Lexicon(read)
    for part in (["1", "2", "1"], ["2", "x"], ["x", "3", "1"]):
        said, codes = lexicon.look_up(pl.Series(part))
        np.testing.assert_array_equal(said.values[codes], [np.nan if cell == "x" else float(cell) for cell in part])
        wrong = [said.faults.get(code) for code in codes.tolist()]
        assert wrong == ["field_unreadable" if cell == "x" else None for cell in part]
    assert read.given == ["1", "2", "x", "3"]


def test_too_many_cells_are_not_kept():
    lexicon = Lexicon(Counting(), 50)
    said, codes = lexicon.look_up(pl.Series([str(number) for number in range(60)]))
    assert said.values[codes].tolist() == list(range(60))
    assert lexicon.look_up(pl.Series(["1", "2"])) is None


def test_long_cells_are_not_kept():
    lexicon = Lexicon(Counting())
    assert lexicon.look_up(pl.Series(["1" * 200, "1" * 200])) is None
    assert lexicon.look_up(pl.Series(["1", "1"])) is not None


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.CATEGORY])
@pytest.mark.parametrize("most", [0, 300, 10_000])
def test_threads_read_the_same(kind, most):
    reader = ColumnReader(Feature(name="x", kind=kind), [""], most)
    rng = np.random.default_rng(3)
    parts = [["" if number < 5 else f"${number:,}.5" for number in rng.integers(0, 2000, 400)] for _ in range(60)]

    def values(part):
        column, faults = reader.read(pl.Series("x", part))
        assert not faults
        return column.texts().tolist() if isinstance(column, Labels) else column.tolist()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(values, parts))
    for part, column in zip(parts, found, strict=True):
        if kind is Kind.CATEGORY:
            assert column == part
        else:
            read = [float(cell.strip("$").replace(",", "")) if cell else np.nan for cell in part]
            np.testing.assert_array_equal(column, np.array(read, dtype=np.float32))
