"""Deciding: a policy brought together with a loaded model, ready to say green, yellow or red and what is earned."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rowcast.datasets.rows import Inputs, RowReader
from rowcast.errors import Problem
from rowcast.models.decide.colors import Colors
from rowcast.models.decide.credit import LONGEST
from rowcast.models.decide.fitting import Subject, faults
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.payoff import Earnings, earnings, expected
from rowcast.models.decide.policy import Color, Payoff
from rowcast.scoring.answers import Decision, Outputs

if TYPE_CHECKING:
    from rowcast.scoring.loaded import LoadedModel

DECIMALS = 6
"""Decimals of an expected profit."""

Columns = dict[str, npt.NDArray[np.float32]]
Floats = npt.NDArray[np.float64]

Notes = Mapping[int, Sequence[Problem]]
"""By place among the rows, problems of their cells."""

MISSING = "This is not known, so neither is the profit."
SENSELESS = (
    f"The terms of this loan make no sense: an amount is above 0, a term 1 to {LONGEST} months, a rate or a lost share "
    "0 to 1."
)

log = logging.getLogger(__name__)


class Decider:
    """Decides on a model's outputs by one policy that fits it. Used by any number of threads."""

    def __init__(self, model: LoadedModel, policy: NumberedPolicy) -> None:
        self.number = policy.number
        own = set(model.schema.names)
        self._columns = policy.policy.columns
        self._foreign = [name for name in self._columns if name not in own]
        foreign = tuple(feature for feature in policy.columns.features if feature.name in self._foreign)
        both = model.schema.model_copy(update={"features": (*model.schema.features, *foreign)})
        self.reader = RowReader(both, dispensable=self._foreign).ignoring(policy.columns_read) if foreign else None
        """Reads rows that bring along amounts which are no features of the model; None where there are none."""
        bands, payoff = policy.policy.bands, policy.policy.payoff
        self._colors = None if bands is None else Colors(bands, model.classes, model.manifest.intervals)
        self._earn = None if payoff is None else _Earnings(payoff, model.classes)

    def take(self, inputs: Inputs) -> Columns:
        """The amounts [N] among what was read; what the model knows nothing of is no longer there afterwards."""
        found = {name: inputs[name].ravel() for name in self._columns}
        for name in self._foreign:
            del inputs[name]
        return found

    def decisions(self, outputs: Outputs, amounts: Columns, notes: Notes | None = None) -> list[Decision]:
        """One for each row of the model's outputs, in their order; ``notes`` say which amounts were unreadable."""
        if self._earn is None:
            return [Decision(color) for color in self._colored(outputs, None)]
        accepted, declined = self._earn(outputs, amounts)
        colors = self._colored(outputs, accepted if declined is None else accepted - declined)
        if_declined = [None] * len(outputs) if declined is None else _known(declined)
        found = [Decision(*parts) for parts in zip(colors, _known(accepted), if_declined, strict=True)]
        known = np.isfinite(accepted) if declined is None else np.isfinite(accepted) & np.isfinite(declined)
        for place in np.flatnonzero(~known).tolist():
            found[place].problems = self._problems(place, amounts, (notes or {}).get(place, ()))
        return found

    def _colored(self, outputs: Outputs, gain: Floats | None) -> Sequence[Color | None]:
        return [None] * len(outputs) if self._colors is None else self._colors.of(outputs, gain)

    def _problems(self, place: int, amounts: Columns, notes: Sequence[Problem]) -> list[dict[str, str]]:
        """Why a row's profit is not known."""
        unreadable = {note.field for note in notes}
        found = [{"code": note.code, "message": note.message, "field": str(note.field)} for note in notes]
        missing = (name for name in self._columns if name not in unreadable and np.isnan(amounts[name][place]))
        found += [{"code": "amount_missing", "message": MISSING, "field": name} for name in missing]
        return found or [{"code": "amount_senseless", "message": SENSELESS}]


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
    """What accepting and declining are expected to earn [N], NaN where an amount is not known; None for declining where
    the policy has no amounts for that."""

    def __init__(self, payoff: Payoff, classes: list[str]) -> None:
        self._payoff = payoff
        self._classes = classes
        varies = any(not isinstance(amount, float) for _, amount in payoff.amounts)
        self._same: Earnings | None = None if varies else earnings(payoff, classes, {})

    def __call__(self, outputs: Outputs, amounts: Columns) -> tuple[Floats, Floats | None]:
        earned = self._same or earnings(self._payoff, self._classes, amounts)
        accepted = expected(earned.accept, outputs)
        return accepted, expected(earned.decline, outputs) if self._payoff.decline else None


def _known(profits: Floats) -> list[float | None]:
    return [round(profit, DECIMALS) if isfinite(profit) else None for profit in profits.tolist()]
