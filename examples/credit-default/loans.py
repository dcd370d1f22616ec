"""The loans, split by when they were approved: learned from the earlier ones, judged on the later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

TARGET, BAD, GOOD = "MIS_Status", "CHGOFF", "P I F"
APPROVED, AMOUNT = "ApprovalDate", "GrAppv"
LATER_SHARE = 0.2
CODES = ("Zip", "NAICS", "NewExist", "FranchiseCode", "UrbanRural", "RevLineCr", "LowDoc")
"""Columns of codes, whatever some of them look like: a later loan may have one that no earlier one had."""

CALENDAR = ("ApprovalDate", "ApprovalFY", "DisbursementDate")
"""Columns that tell when a loan was made."""

_CENTURY = 2068
"""Two-digit years are read as 1969 to 2068, as the server does."""


@dataclass(frozen=True)
class Loans:
    """Both parts with every cell as it was written, and the days of approval. ``first_later`` divides them."""

    earlier: pl.DataFrame
    later: pl.DataFrame
    days: pl.Series
    bad: pl.Series
    first_later: str

    def applications(self, columns: Collection[str]) -> list[dict[str, Any]]:
        """The later loans as they were before they were paid out: with these columns alone."""
        return self.later.select(sorted(columns)).to_dicts()


def read(path: Path) -> Loans:
    """The table at ``path``: loans without an outcome are left out, the latest fifth is held out."""
    table = pl.read_csv(path, infer_schema=False)
    table = table.filter(pl.col(TARGET).is_in([BAD, GOOD]))
    day = pl.col(APPROVED).str.to_date("%d-%b-%y")
    table = table.with_columns(
        pl.when(day.dt.year() > _CENTURY).then(day.dt.offset_by("-100y")).otherwise(day).alias("day")
    )
    table = table.sort("day", maintain_order=True)
    first_later = table["day"][int((1 - LATER_SHARE) * table.height)]  # all loans of one day are on one side
    is_later = table["day"] >= first_later
    parts = table.drop("day")
    return Loans(
        earlier=parts.filter(~is_later),
        later=parts.filter(is_later),
        days=table["day"],
        bad=table[TARGET] == BAD,
        first_later=first_later.isoformat(),
    )
