"""Errors in one sentence, for doors whose protocol has no room for more."""

from __future__ import annotations

from collections.abc import Sequence

from rowcast.errors import Problem

MOST_PLACES = 5


def in_a_sentence(code: str, message: str, problems: Sequence[Problem]) -> str:
    """What went wrong, with the first places at fault."""
    if not problems:
        return message
    # What can be asked for over REST alone is left out.
    told = message.partition(";")[0] + ":" if code == "rows_invalid" else message
    return " ".join([told, *map(_place, problems[:MOST_PLACES])])


def _place(problem: Problem) -> str:
    where = [f"row {problem.row}"] if problem.row is not None else []
    where += [f"field {problem.field}"] if problem.field is not None else []
    return f"({', '.join(where)}: {problem.message})" if where else f"({problem.message})"
