"""Checks of what a request says of columns, before any work is done for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rowcast.datasets.names import nearest
from rowcast.datasets.schema import FeatureSchema, Kind
from rowcast.errors import InvalidInput, Problem


def check_columns(schema: FeatureSchema, named: Iterable[tuple[str, str]]) -> None:
    """Pass when the table has all these columns, each given with the field of the request that names it.

    Raises:
        InvalidInput: it has not; a problem for each says which column was probably meant.
    """
    known = set(schema.names)
    problems = [
        Problem(code="column_unknown", message=_unknown(column, schema), field=field)
        for field, column in named
        if column not in known
    ]
    if problems:
        raise InvalidInput("column_unknown", problems[0].message, problems)


def check_kinds(kinds: Mapping[str, str]) -> dict[str, str]:
    """The kinds by column, when they all are kinds.

    Raises:
        InvalidInput: some are not; a problem for each names its column.
    """
    known = [kind.value for kind in Kind]
    message = f"There is no such kind of column; the kinds are {', '.join(known)}."
    wrong = [column for column, kind in kinds.items() if kind not in known]
    if wrong:
        problems = [Problem(code="kind_unknown", message=message, field=column) for column in wrong]
        raise InvalidInput("kind_unknown", message, problems)
    return {column: str(kind) for column, kind in kinds.items()}


def _unknown(column: str, schema: FeatureSchema) -> str:
    meant = nearest(column, schema.names)
    hint = f"did you mean '{meant}'?" if meant else "the dataset's schema lists those it has."
    return f"The table has no such column; {hint}"
