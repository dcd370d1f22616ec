"""Bands on a model's outputs: which colour each row is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rowcast.models.decide.policy import Bands, Color
from rowcast.models.evaluate.conformal import PredictionIntervals

Outputs = NDArray[np.float32]


class Colors:
    """Bands, filled in, for a model of these classes or with these intervals.

    Thresholds are compared in float32, as the answers are: what is answered as 0.7 is at the threshold 0.7.
    """

    def __init__(self, bands: Bands, classes: Sequence[str], intervals: PredictionIntervals | None) -> None:
        self._bands = bands
        self._edges = np.array(bands.edges, dtype=np.float32)
        self._colors = bands.colors
        self._column = 0 if bands.of is None else classes.index(bands.of)
        self._intervals = intervals if bands.measure in ("low", "high") else None

    def places(self, outputs: Outputs) -> NDArray[np.int64]:
        """For each row [N] of outputs [N,K] the position of its colour among ``bands.colors``."""
        return np.searchsorted(self._edges, self._measured(outputs), side="right")

    def of(self, outputs: Outputs) -> list[Color]:
        """The colour of each row of outputs [N,K]."""
        return [self._colors[place] for place in self.places(outputs).tolist()]

    def _measured(self, outputs: Outputs) -> Outputs:
        if self._intervals is None:
            return outputs[:, self._column]
        return self._intervals.ends(outputs)[0 if self._bands.measure == "low" else 1]
