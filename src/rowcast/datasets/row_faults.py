"""What is wrong with the rows of a call: gathered, up to a limit, and told by row and field."""

from __future__ import annotations

from typing import Protocol

from rowcast.errors import InvalidInput, Problem

MAX_PROBLEMS = 100
MAX_SUGGESTIONS = 10


class Faults(Protocol):
    def add(self, position: int, problem: Problem) -> None: ...


class Notes:
    """What is wrong with cells that a row can do without."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, position: int, problem: Problem) -> None:
        self.found.append(problem)


class Problems:
    """What is wrong with a call's rows, up to the limit."""

    def __init__(self, row_count: int, *, skip_bad: bool) -> None:
        self.rows: set[int] = set()
        self._row_count = row_count
        self._skip_bad = skip_bad
        self._found: list[Problem] = []
        self._suggestions = 0

    def add(self, position: int, problem: Problem) -> None:
        """Note a problem of the row at a position from 0.

        Raises:
            InvalidInput: bad rows are not to be skipped, and there are enough problems to say so.
        """
        if not self.enough(position):
            self._found.append(problem)
        self.rows.add(position)
        if len(self._found) >= MAX_PROBLEMS:
            self.raise_if_refused()

    def enough(self, position: int) -> bool:
        """Whether another problem of this row would not be listed."""
        return len(self._found) >= MAX_PROBLEMS and position in self.rows

    def may_suggest(self) -> bool:
        """Whether to look for the name that was meant: it takes time, so only for the first few."""
        self._suggestions += 1
        return self._suggestions <= MAX_SUGGESTIONS

    def in_order(self) -> list[Problem]:
        return sorted(self._found, key=lambda problem: problem.row or 0)

    def raise_if_refused(self) -> None:
        """Raise InvalidInput when a row is bad and bad rows are not to be skipped."""
        if not self.rows or self._skip_bad:
            return
        enough = len(self._found) >= MAX_PROBLEMS
        bad = f"{'At least ' if enough else ''}{len(self.rows)} of {self._row_count}"
        message = f"{bad} rows cannot be read; see the problems. With 'on_error': 'skip' the other rows are answered."
        raise InvalidInput("rows_invalid", message, self.in_order())
