"""A member: one encoder with the model fitted on what it makes. What is served is the weighted mean of its members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import FittedModel
from rowcast.models.calibrate.maps import NONE, CalibrationMap, predictions
from rowcast.models.encode.encoder import Encoder
from rowcast.models.encode.inputs import Floats, Inputs


@dataclass(frozen=True)
class Member:
    """``center`` and ``spread`` bring a number's score back to the target's own scale."""

    encoder: Encoder
    model: FittedModel
    algorithm: str
    center: float = 0.0
    spread: float = 1.0
    weight: float = 1.0
    """How much its score counts among those of several members."""

    def score(self, matrix: Floats) -> NDArray[np.float64]:
        """Scores of encoded rows [N,outputs]: see ``learner.Link``."""
        return self.model.score(matrix) * self.spread + self.center

    def predict(self, matrix: Floats) -> Floats:
        """Predictions of encoded rows, not calibrated: probabilities [N,K] or numbers [N,1]."""
        return predictions(self.model.link, self.score(matrix))


def mean_score(members: Sequence[Member], inputs: Inputs) -> NDArray[np.float64]:
    """The weighted mean of the members' scores of these inputs [N,outputs]."""
    total = sum(member.score(member.encoder.transform(inputs)) * member.weight for member in members)
    return np.asarray(total) / sum(member.weight for member in members)


def mean_prediction(members: Sequence[Member], inputs: Inputs, calibration: CalibrationMap = NONE) -> Floats:
    """The served prediction of these inputs: that of the mean score."""
    return predictions(members[0].model.link, mean_score(members, inputs), calibration)
