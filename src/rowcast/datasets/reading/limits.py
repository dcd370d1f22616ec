"""What one table may hold at most."""

from __future__ import annotations

from dataclasses import dataclass

_LINE_CELLS = 100
"""A line may be as long as this many cells of the longest kind."""


@dataclass(frozen=True)
class Limits:
    """The most columns of a table, and the bytes of its longest cell."""

    max_columns: int
    max_cell_bytes: int

    @property
    def max_line_bytes(self) -> int:
        return _LINE_CELLS * self.max_cell_bytes
