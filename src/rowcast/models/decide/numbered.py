"""A policy with its number, as whoever predicts holds it: this knows no database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rowcast.datasets.schema import FeatureSchema
from rowcast.models.decide.policy import Policy

if TYPE_CHECKING:
    from rowcast.models.tables import PolicyRow


@dataclass(frozen=True, slots=True)
class NumberedPolicy:
    """A policy as predictions use it, with the schema of the columns that its amounts are read from, and the names of
    all that it and policies before it have read: callers may go on sending them."""

    number: int
    policy: Policy
    columns: FeatureSchema
    columns_read: frozenset[str] = frozenset()

    @staticmethod
    def of(row: PolicyRow, columns_read: frozenset[str]) -> NumberedPolicy:
        content, columns = Policy.model_validate(row.content), FeatureSchema.model_validate(row.columns)
        return NumberedPolicy(row.number, content, columns, columns_read)
