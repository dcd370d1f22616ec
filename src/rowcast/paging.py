"""Lists in pages by keyset: a page starts after the last key of the one before, however the list has grown."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import QueryableAttribute, Session

from rowcast.errors import InvalidInput


def page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    keys: Sequence[QueryableAttribute[Any]],
    *,
    limit: int,
    after: str | None,
    descending: bool = False,
) -> tuple[list[Any], str | None]:
    """Up to ``limit`` rows of ``query`` in the order of ``keys``, and the cursor of the page that follows, or None.

    The query's first entity carries the keys, which together are unique and never null.

    Raises:
        InvalidInput: ``after`` is not a cursor of such a list.
    """
    if after is not None:
        position = _position(after, keys)
        query = query.where(tuple_(*keys) < position if descending else tuple_(*keys) > position)
    ordered = query.order_by(*((key.desc() if descending else key.asc()) for key in keys)).limit(limit + 1)
    rows = list(session.execute(ordered))
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, _cursor([getattr(rows[-1][0], key.key) for key in keys])


def storable(number: int) -> int:
    """The number as a version's can be, to look it up: 0, which none has, for one that no column holds."""
    return number if 0 < number < 2**31 else 0


def _cursor(values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = json.dumps(plain, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str, keys: Sequence[QueryableAttribute[Any]]) -> tuple[Any, ...]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return tuple(_typed(value, key.type.python_type) for value, key in zip(values, keys, strict=True))
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput(
            "cursor_invalid", "'after' is not a cursor: pass 'next' of the page before, as it is."
        ) from error


def _typed(value: Any, wanted: type) -> Any:
    """The key that a cursor wrote, checked to be of the column's own type."""
    if wanted is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a cursor's moment has a zone")
        return moment.astimezone(UTC)
    whole = wanted is int and type(value) is int and -(2**31) <= value < 2**31
    text = wanted is str and type(value) is str and value.isprintable()
    if not whole and not text:
        raise ValueError("a cursor's key is of its column's type")
    return value
