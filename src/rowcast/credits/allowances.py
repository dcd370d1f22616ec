"""Allowances: how many rows a user, or a key, may have predicted on a day in UTC. They are counted in the transaction
that puts an answer or a task on record, and only for those who have a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from rowcast.accounts.principal import Principal
from rowcast.credits.statements import Run
from rowcast.errors import TooMany
from rowcast.tables import now

ADD = """
INSERT INTO rows_used (subject_id, day, row_count)
SELECT new.subject_id, CAST($2 AS varchar), new.rows FROM {uses} WHERE TRUE ORDER BY new.subject_id
ON CONFLICT (subject_id, day) DO UPDATE SET row_count = rows_used.row_count + excluded.row_count
RETURNING subject_id, row_count
"""
"""Takes $1 subjects, each with rows, in one order for all transactions, and $2 the day. Gives what is counted now."""

TAKE_BACK = """
UPDATE rows_used SET row_count = row_count - new.rows
FROM {uses} WHERE rows_used.subject_id = new.subject_id AND day = CAST($2 AS varchar)
"""
"""Takes the same. Only what this transaction has counted, and so holds."""


class Use(NamedTuple):
    """Rows that are counted for a user or a key, with the limit that holds for it."""

    subject_id: str
    rows: int
    limit: int
    whose: str


def uses_of(principal: Principal, rows: int) -> tuple[Use, ...]:
    """For whom so many rows of the caller's are counted: nobody, for most callers."""
    limits = principal.limits
    if limits is None:
        return ()
    both = (
        (principal.id, limits.user_rows_per_day, "your account"),
        (principal.key_id, limits.key_rows_per_day, "this API key"),
    )
    return tuple(Use(subject_id, rows, limit, whose) for subject_id, limit, whose in both if limit is not None)


def spend(run: Run, wanted: Sequence[Sequence[Use]], moment: datetime | None = None) -> list[TooMany | None]:
    """Count the rows of several calls, in their order; for each None, or why it is refused and none of its rows is
    counted: it would go beyond a limit."""
    moment = moment or now()
    rows: Counter[str] = Counter()
    for use in (use for uses in wanted for use in uses):
        rows[use.subject_id] += use.rows
    if not rows:
        return [None] * len(wanted)
    counted = {subject_id: int(total) - rows[subject_id] for subject_id, total in _add(run, rows, moment)}
    refused: Counter[str] = Counter()
    outcomes: list[TooMany | None] = []
    for uses in wanted:
        beyond = next((use for use in uses if counted[use.subject_id] + use.rows > use.limit), None)
        for use in uses:
            (counted if beyond is None else refused)[use.subject_id] += use.rows
        outcomes.append(None if beyond is None else _refusal(beyond, moment))
    if refused:
        _add(run, {subject_id: -rows for subject_id, rows in refused.items()}, moment)
    return outcomes


def give_back(run: Run, unused: Iterable[Use], moment: datetime | None = None) -> None:
    """Count rows no longer that ``spend`` has counted in this transaction: their call is refused after all."""
    rows: Counter[str] = Counter()
    for use in unused:
        rows[use.subject_id] += use.rows
    if rows:
        run(TAKE_BACK, _records(rows), f"{moment or now():%Y-%m-%d}")


def _add(run: Run, rows: Mapping[str, int], moment: datetime) -> Sequence[Sequence[Any]]:
    return run(ADD, _records(rows), f"{moment:%Y-%m-%d}")


def _records(rows: Mapping[str, int]) -> list[dict[str, str | int]]:
    return [{"subject_id": subject_id, "rows": count} for subject_id, count in sorted(rows.items())]


def _refusal(use: Use, moment: datetime) -> TooMany:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    message = (
        f"The limit of {use.whose} is {use.limit:,} rows a day, and this would go beyond it. The day ends at midnight "
        "UTC: try again then, or ask for fewer rows."
    )
    return TooMany("rows_limit", message, retry_after=ceil((midnight - moment).total_seconds()))
