"""What predictions cost. Credits are whole numbers; rates are in thousandths of a credit a row."""

from __future__ import annotations

from dataclasses import dataclass

THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of an installation: ``per_row`` for models that have none of their own, and by how much a row costs
    more or less with reasons and in a file. Where predictions are not ``paid`` all is free."""

    paid: bool = False
    per_row: int = 1
    reasons: float = 2.0
    file: float = 0.5

    def rate(self, own: int | None, *, reasons: bool = False, file: bool = False) -> int:
        """Thousandths of a credit that a row costs; ``own`` is the model's own price, in credits."""
        if not self.paid:
            return 0
        rate = (self.per_row if own is None else own) * THOUSAND
        if reasons:
            rate = round(rate * self.reasons)
        return round(rate * self.file) if file else rate


def cost(rate: int, rows: int) -> int:
    """Credits for so many rows: what is begun of a credit counts as a whole one."""
    return -(-rate * rows // THOUSAND)
