"""What one table may hold at most."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LINE_CELLS = 100
"""A line may be as long as this many cells of the longest kind."""


@dataclass(frozen=True)
class Limits:
    """The most columns and rows of a table, and the bytes of its longest cell."""

    max_columns: int
    max_cell_bytes: int
    max_rows: int = sys.maxsize

    @staticmethod
    def of(given: Mapping[str, Any]) -> Limits:
        """As a job is given them; one that an earlier release submitted has none for rows."""
        rows = int(given.get("max_rows", sys.maxsize))
        return Limits(int(given["max_columns"]), int(given["max_cell_bytes"]), rows)

    @property
    def max_line_bytes(self) -> int:
        return _LINE_CELLS * self.max_cell_bytes
