"""How a served score comes about, by feature: what a model's members say of their columns, folded back and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowcast.models.bundle.native import NativeModel
from rowcast.models.encode.inputs import Inputs
from rowcast.models.train.member import Member

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureContributions:
    """``base`` [N,outputs] plus ``features`` [N,F,outputs] summed over F is the mean score before calibration."""

    base: Floats
    features: Floats


def feature_contributions(model: NativeModel, inputs: Inputs, names: Sequence[str]) -> FeatureContributions | None:
    """Contributions of the features ``names`` [F], the weighted mean over members; None when one of them has none.

    Whatever a feature was encoded to (one column per level, parts of a date, an indicator that it was missing) counts
    as the feature.
    """
    found = [_of_member(member, inputs, names) for member in model.members]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    weights = [member.weight for member in model.members]
    return FeatureContributions(
        np.average([one.base for one in known], axis=0, weights=weights),
        np.average([one.features for one in known], axis=0, weights=weights),
    )


def _of_member(member: Member, inputs: Inputs, names: Sequence[str]) -> FeatureContributions | None:
    matrix = member.encoder.transform(inputs)
    found = member.model.contributions(matrix)
    if found is None:
        return None
    place = {name: position for position, name in enumerate(names)}
    folded = np.zeros((len(matrix), len(names), found.base.shape[1]))
    for column, sources in enumerate(member.encoder.sources()):
        for name in sources:
            folded[:, place[name]] += found.columns[:, column] / len(sources)
    return FeatureContributions(found.base * member.spread + member.center, folded * member.spread)
