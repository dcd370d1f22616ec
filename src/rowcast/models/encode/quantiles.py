"""Numbers to normal scores: a piecewise linear map per column, so that a linear model sees every column alike."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rowcast.models.encode.inputs import Floats

_KNOTS = 33
_EDGE = 1e-3
_SAMPLE = 200_000


@dataclass(frozen=True)
class Quantiles:
    """Per column the knots (ascending, as long as they differ) and the score at each; flat beyond the ends."""

    knots: list[list[float]]
    scores: list[list[float]]

    def transform(self, matrix: Floats) -> Floats:
        result = np.empty_like(matrix)
        for column, (knots, scores) in enumerate(zip(self.knots, self.scores, strict=True)):
            result[:, column] = np.interp(matrix[:, column], knots, scores)
        return result


def fit_quantiles(matrix: Floats) -> Quantiles:
    """From a matrix without NaN; a column of ties gets the score of their middle rank."""
    step = -(-len(matrix) // _SAMPLE)
    fitted = [_fit_column(np.sort(matrix[::step, column])) for column in range(matrix.shape[1])]
    return Quantiles([knots for knots, _ in fitted], [scores for _, scores in fitted])


def _fit_column(ascending: Floats) -> tuple[list[float], list[float]]:
    places = np.linspace(0, len(ascending) - 1, _KNOTS).round().astype(np.int64)
    knots = np.unique(ascending[places])
    if len(knots) == 1:
        return [float(knots[0])], [0.0]
    ranks = (np.searchsorted(ascending, knots, "left") + np.searchsorted(ascending, knots, "right")) / 2
    normal = NormalDist()
    scores = [normal.inv_cdf(min(max(rank / len(ascending), _EDGE), 1 - _EDGE)) for rank in ranks]
    return knots.astype(float).tolist(), np.array(scores, dtype=np.float32).astype(float).tolist()
