"""Rows that are not as wide as their table's header."""

from __future__ import annotations

from dataclasses import dataclass

from rowcast.errors import Problem


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A row with more or fewer cells than the header: its number, the line it begins in, and how many they are."""

    number: int
    line: int
    cells: int

    def problem(self, width: int) -> Problem:
        """What is wrong with it under a header of that width."""
        cells = "1 cell" if self.cells == 1 else f"{self.cells:,} cells"
        message = f"Row {self.number:,} (line {self.line:,}) has {cells}, the header {width:,}."
        return Problem(code="ragged_row", message=message, row=self.number)
