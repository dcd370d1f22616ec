"""Why a column was taken for a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rowcast.datasets.schema import Feature

Value = str | int | float


@dataclass(frozen=True)
class Reason:
    """In words, and as a code with the ``values`` that the words tell: to say it in other words. ``how`` among them is
    which of the ways in which one code is said."""

    code: str
    text: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """As a feature keeps it."""
        return {"reason": self.text, "reason_code": self.code, "reason_values": dict(self.values)}


def because(feature: Feature, reason: Reason) -> Feature:
    """The feature with another reason."""
    return feature.model_copy(update=reason.fields())
