"""Deciding: a policy brought together with a loaded model, ready to say green, yellow or red and what is earned."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rowcast.datasets.rows import Inputs, RowReader
from rowcast.models.decide.colors import Colors
from rowcast.models.decide.fitting import Subject, faults
from rowcast.models.decide.payoff import Earnings, earnings, expected
from rowcast.models.decide.policy import Color, Payoff
from rowcast.models.policies import NumberedPolicy
from rowcast.scoring.answers import Decision, Outputs

if TYPE_CHECKING:
    from rowcast.scoring.loaded import LoadedModel

DECIMALS = 6
"""Decimals of an expected profit."""

Columns = dict[str, npt.NDArray[np.float32]]

log = logging.getLogger(__name__)


class Decider:
    """Decides on a model's outputs by one policy that fits it. Used by any number of threads."""

    def __init__(self, model: LoadedModel, policy: NumberedPolicy) -> None:
        self.number = policy.number
        own = set(model.schema.names)
        self._columns = policy.policy.columns
        self._foreign = [name for name in self._columns if name not in own]
        foreign = tuple(feature for feature in policy.columns.features if feature.name not in own)
        both = model.schema.model_copy(update={"features": (*model.schema.features, *foreign)})
        self.reader = RowReader(both) if foreign else model.reader
        """Reads rows that bring along amounts which are no features of the model."""
        bands, payoff = policy.policy.bands, policy.policy.payoff
        self._colors = None if bands is None else Colors(bands, model.classes, model.manifest.intervals)
        self._earn = None if payoff is None else _Earnings(payoff, model.classes)

    def take(self, inputs: Inputs) -> Columns:
        """The amounts [N] among what was read; what the model knows nothing of is no longer there afterwards."""
        found = {name: inputs[name].ravel() for name in self._columns}
        for name in self._foreign:
            del inputs[name]
        return found

    def decisions(self, outputs: Outputs, amounts: Columns) -> list[Decision]:
        """One for each row of the model's outputs, in their order."""
        colors: Sequence[Color | None] = [None] * len(outputs) if self._colors is None else self._colors.of(outputs)
        if self._earn is None:
            return [Decision(color) for color in colors]
        accepted, declined = self._earn(outputs, amounts)
        return [Decision(*parts) for parts in zip(colors, accepted, declined, strict=True)]


def decider_of(model: LoadedModel, policy: NumberedPolicy) -> Decider | None:
    """The decider, made once for a loaded model; None, and a line in the log, where the policy does not fit it."""
    if policy.number not in model.deciders:
        model.deciders[policy.number] = _decider(model, policy)
    return model.deciders[policy.number]


def _decider(model: LoadedModel, policy: NumberedPolicy) -> Decider | None:
    subject = Subject.of(model.problem, model.classes, model.schema, policy.columns)
    codes = [fault.code for fault in faults(policy.policy, subject)]
    bands = policy.policy.bands
    if bands is not None and bands.measure in ("low", "high") and model.manifest.intervals is None:
        codes.append("intervals_missing")
    if not codes:
        return Decider(model, policy)
    told = ", ".join(dict.fromkeys(codes))
    log.warning(
        "model %s version %d answers without decisions: policy %d does not fit it (%s)",
        model.name, model.number, policy.number, told,
    )  # fmt: skip
    return None


class _Earnings:
    """What accepting and declining are expected to earn; None where an amount is not known."""

    def __init__(self, payoff: Payoff, classes: list[str]) -> None:
        self._payoff = payoff
        self._classes = classes
        varies = any(not isinstance(amount, float) for _, amount in payoff.amounts)
        self._same: Earnings | None = None if varies else earnings(payoff, classes, {})

    def __call__(self, outputs: Outputs, amounts: Columns) -> tuple[list[float | None], list[float | None]]:
        earned = self._same or earnings(self._payoff, self._classes, amounts)
        accepted = _known(expected(earned.accept, outputs))
        if not self._payoff.decline:
            return accepted, [None] * len(accepted)
        return accepted, _known(expected(earned.decline, outputs))


def _known(profits: npt.NDArray[np.float64]) -> list[float | None]:
    return [round(profit, DECIMALS) if isfinite(profit) else None for profit in profits.tolist()]
