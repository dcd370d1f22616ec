"""Many rows in one statement, bound straight to the driver.

SQLAlchemy would take longer to look at the values of such a statement than the database takes to store them. A
statement for each count of rows is compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Dialect, Table, bindparam, insert
from sqlalchemy.engine.interfaces import DBAPICursor

ROWS_PER_STATEMENT = 64
"""Few enough that one of 20 columns stays far below the 32,766 values that SQLite takes, and that few are compiled."""

Values = Sequence[Any]
"""A row's values in the order of the table's columns, of types that the driver takes as they are."""


class Insertion:
    """Inserts rows of one table, in their order; ``then`` ends the statement, as ``RETURNING id`` does, and what it
    gives is returned."""

    def __init__(self, table: Table, dialect: Dialect, then: str = "") -> None:
        self._table = table
        self._dialect = dialect
        self._then = then
        self._columns = [column.name for column in table.columns]
        self._statement = lru_cache(maxsize=ROWS_PER_STATEMENT)(self._compiled)

    def __call__(self, cursor: DBAPICursor, rows: Sequence[Values]) -> list[Any]:
        given: list[Any] = []
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            some = rows[start : start + ROWS_PER_STATEMENT]
            cursor.execute(self._statement(len(some)), tuple(chain.from_iterable(some)))
            given += cursor.fetchall() if self._then else ()
        return given

    def _compiled(self, count: int) -> str:
        """The statement for so many rows, which takes its values by their position."""
        rows: list[dict[str, Any]] = [
            {name: bindparam(f"{name}_{row}") for name in self._columns} for row in range(count)
        ]
        compiled = insert(self._table).values(rows).compile(dialect=self._dialect)
        if compiled.positiontup != [f"{name}_{row}" for row in range(count) for name in self._columns]:
            raise AssertionError("the statement takes its values in the order of the columns")
        return f"{compiled} {self._then}"
