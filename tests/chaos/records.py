"""What the database has on record, read past the product. It also counts by itself how often each task ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

_WITNESS = """
CREATE TABLE chaos_before AS SELECT id FROM tasks;
CREATE TABLE chaos_endings (task_id text, state text);
CREATE FUNCTION chaos_witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state IN ('succeeded', 'failed', 'cancelled') OR NEW.state IN ('succeeded', 'failed', 'cancelled') THEN
    INSERT INTO chaos_endings VALUES (NEW.id, NEW.state);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER chaos_witness AFTER UPDATE OF state ON tasks FOR EACH ROW EXECUTE FUNCTION chaos_witness();
"""
"""Whoever changes the state of a task to a final one, or of a task that had ended, leaves a line. Tasks that were there
before do not count."""


@dataclass(frozen=True)
class TaskRecord:
    """A task as its row is."""

    id: str
    kind: str
    state: str
    finished_at: datetime | None
    attempts: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class Records:
    """The product's database, by its address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def watch(self) -> None:
        """Begin: what was done before does not count."""
        with psycopg.connect(self._url) as connection:
            connection.execute(_WITNESS)

    def unfinished(self) -> int:
        """How many tasks wait or run."""
        return int(self._rows("SELECT count(*) FROM tasks WHERE state IN ('queued', 'running')")[0][0])

    def tasks(self) -> dict[str, TaskRecord]:
        """All tasks, by id."""
        columns = "id, kind, state, finished_at, attempts, result, error"
        found = self._rows(f"SELECT {columns} FROM tasks WHERE id NOT IN (SELECT id FROM chaos_before)")
        return {row[0]: TaskRecord(*row) for row in found}

    def endings(self) -> Counter[str]:
        """How often each task has ended."""
        return Counter(dict(self._rows("SELECT task_id, count(*) FROM chaos_endings GROUP BY task_id")))

    def receipts(self) -> set[str]:
        """The ids of all receipts; that there is one of an id at most is the primary key's word."""
        return {row[0] for row in self._rows("SELECT id FROM receipts")}

    def versions(self) -> Counter[str]:
        """How many versions each training has made."""
        rows = self._rows("SELECT training_task_id, count(*) FROM model_versions GROUP BY training_task_id")
        return Counter(dict(rows))

    def misnumbered(self) -> list[str]:
        """Models whose versions are not 1, 2, 3 and so on."""
        query = """
            SELECT models.name FROM models JOIN model_versions ON model_versions.model_id = models.id
            GROUP BY models.name, models.last_number HAVING count(*) <> last_number OR max(number) <> last_number
        """
        return [row[0] for row in self._rows(query)]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url) as connection:
            return connection.execute(query).fetchall()
