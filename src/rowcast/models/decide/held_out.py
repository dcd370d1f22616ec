"""Held-out predictions, row by row: what a policy would have earned is computed from them at any later time."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HeldOut:
    """Predictions of rows by models, and calibration maps, that had not seen them.

    ``rows`` [N] are positions in the table that was learned from, from 0; ``truth`` [N] are class codes or numbers;
    ``predicted`` is float32, probabilities [N,K] or numbers [N,1].
    """

    rows: NDArray[np.int64]
    truth: NDArray[np.float64]
    predicted: NDArray[np.float32]

    @property
    def codes(self) -> NDArray[np.int64]:
        """The true classes, of a model of classes."""
        return self.truth.astype(np.int64)

    def packed(self) -> bytes:
        """As the bytes of a numpy file with one record for each row."""
        width = self.predicted.shape[1]
        record: list[tuple[Any, ...]] = [("row", "<i8"), ("truth", "<f8"), ("predicted", "<f4", (width,))]
        table = np.empty(len(self.rows), dtype=record)
        table["row"], table["truth"], table["predicted"] = self.rows, self.truth, self.predicted
        file = io.BytesIO()
        np.save(file, table, allow_pickle=False)
        return file.getvalue()

    @staticmethod
    def unpacked(data: bytes) -> HeldOut:
        table = np.load(io.BytesIO(data), allow_pickle=False)
        return HeldOut(table["row"], table["truth"], table["predicted"])
