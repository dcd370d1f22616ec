"""Bands on a model's outputs: which colour each row is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rowcast.models.decide.policy import Bands, Color
from rowcast.models.evaluate.conformal import PredictionIntervals

Outputs = NDArray[np.float32]
Floats = NDArray[np.float64]


class Colors:
    """Bands, filled in, for a model of these classes or with these intervals.

    Thresholds are compared in float32, as the answers are: what is answered as 0.7 is at the threshold 0.7.
    """

    def __init__(self, bands: Bands, classes: Sequence[str], intervals: PredictionIntervals | None) -> None:
        self._bands = bands
        self._by_profit = bands.measure == "profit"
        self._edges = np.array(bands.edges, dtype=np.float64 if self._by_profit else np.float32)
        self._colors = bands.colors
        self._column = 0 if bands.of is None else classes.index(bands.of)
        self._intervals = intervals if bands.measure in ("low", "high") else None

    def places(self, outputs: Outputs, gain: Floats | None = None) -> NDArray[np.int64]:
        """For each row [N] of outputs [N,K] the position of its colour among ``bands.colors``.

        For bands on profit ``gain`` [N] is what accepting is expected to earn beyond declining; where that is NaN the
        row has no colour, which is -1.
        """
        if not self._by_profit:
            return np.searchsorted(self._edges, self._measured(outputs), side="right")
        assert gain is not None, "bands on profit come with a payoff"
        return np.where(np.isfinite(gain), np.searchsorted(self._edges, gain, side="right"), -1)

    def of(self, outputs: Outputs, gain: Floats | None = None) -> list[Color | None]:
        """The colour of each row of outputs [N,K]."""
        return [None if place < 0 else self._colors[place] for place in self.places(outputs, gain).tolist()]

    def _measured(self, outputs: Outputs) -> Outputs:
        if self._intervals is None:
            return outputs[:, self._column]
        return self._intervals.ends(outputs)[0 if self._bands.measure == "low" else 1]
