"""A member: one encoder with the model fitted on what it makes. What is served is the weighted mean of its members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.learner import FittedModel, Link
from rowcast.models.calibrate.maps import NONE, CalibrationMap, log_odds, predictions
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


def common_link(links: Iterable[Link]) -> Link:
    """What scores can be averaged as: what they all are, else log odds."""
    known = set(links)
    return known.pop() if len(known) == 1 else Link.LOG_ODDS


def link_of(members: Sequence[Member]) -> Link:
    """What the members' mean score is."""
    return common_link(member.model.link for member in members)


def mean_score(members: Sequence[Member], inputs: Inputs) -> NDArray[np.float64]:
    """The weighted mean of the members' scores of these inputs [N,outputs]."""
    total = sum(_scored(member, inputs, link_of(members)) * member.weight for member in members)
    return np.asarray(total) / sum(member.weight for member in members)


def _scored(member: Member, inputs: Inputs, link: Link) -> NDArray[np.float64]:
    scores = member.score(member.encoder.transform(inputs))
    return scores if member.model.link is link else log_odds(member.model.link, scores)


def mean_prediction(members: Sequence[Member], inputs: Inputs, calibration: CalibrationMap = NONE) -> Floats:
    """The served prediction of these inputs: that of the mean score."""
    return predictions(link_of(members), mean_score(members, inputs), calibration)
