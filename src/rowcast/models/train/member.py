"""A member: one encoder with the model fitted on what it makes. What is served is the mean of one or more members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rowcast.models.algorithms.learner import FittedModel
from rowcast.models.encode.encoder import Encoder
from rowcast.models.encode.inputs import Floats, Inputs


@dataclass(frozen=True)
class Member:
    """``center`` and ``spread`` bring a number's prediction back to the target's own scale."""

    encoder: Encoder
    model: FittedModel
    center: float = 0.0
    spread: float = 1.0

    def predict(self, matrix: Floats) -> Floats:
        """Predictions of encoded rows: probabilities [N,K] or numbers [N,1]."""
        raw = self.model.predict(matrix)
        if (self.center, self.spread) == (0.0, 1.0):
            return raw
        return (raw.astype(np.float64) * self.spread + self.center).astype(np.float32)


def mean_prediction(members: Sequence[Member], inputs: Inputs) -> Floats:
    """The served prediction of these inputs: the mean over members."""
    total = sum(member.predict(member.encoder.transform(inputs)).astype(np.float64) for member in members)
    return (np.asarray(total) / len(members)).astype(np.float32)
