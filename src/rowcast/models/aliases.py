"""Aliases: names such as 'champion' for whichever version serves now, and the record of what served when."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.errors import Conflict, NotFound
from rowcast.models.references import (
    CHAMPION,
    alias_not_found,
    aliases_of,
    check_alias,
    check_may_change,
    find_model,
    find_version,
    version_numbers,
)
from rowcast.models.tables import AliasEventRow, AliasRow, ModelRow
from rowcast.models.views import AliasEvent
from rowcast.paging import page

Action = Literal["promote", "rollback", "set", "remove"]


def list_aliases(session: Session, principal: Principal, name: str) -> dict[str, int]:
    """Aliases of a model, each with the version number it points at.

    Raises:
        NotFound: there is no such model.
    """
    return aliases_of(session, find_model(session, principal, name))


def set_alias(session: Session, principal: Principal, name: str, alias: str, number: int) -> AliasEvent:
    """Point an alias at a version; one that is there already moves.

    Raises:
        InvalidInput: that is no alias.
        NotFound: there is no such model or version.
        Forbidden: the caller may not change the model.
    """
    return _point(session, principal, name, alias, number, "set")


def promote(session: Session, principal: Principal, name: str, number: int, alias: str = CHAMPION) -> AliasEvent:
    """Make a version the one that an alias, by default 'champion', serves.

    Raises:
        InvalidInput: that is no alias.
        NotFound: there is no such model or version.
        Forbidden: the caller may not change the model.
    """
    return _point(session, principal, name, alias, number, "promote")


def remove_alias(session: Session, principal: Principal, name: str, alias: str) -> AliasEvent:
    """Take an alias away; calls that use it fail from then on.

    Raises:
        InvalidInput: that is no alias.
        NotFound: there is no such model or alias.
        Forbidden: the caller may not change the model.
    """
    model = _model_for_update(session, principal, name)
    row = session.get(AliasRow, (model.id, check_alias(alias)))
    if row is None:
        raise _unknown(session, model, alias)
    session.delete(row)
    return record(session, principal, model, alias, row.number, None, "remove")


def rollback(session: Session, principal: Principal, name: str, alias: str = CHAMPION) -> AliasEvent:
    """Point an alias back at what it served before what it serves now; again, and it goes back further.

    Versions that were deleted since are passed over.

    Raises:
        InvalidInput: that is no alias.
        NotFound: there is no such model or alias.
        Conflict: it never served another version that still exists.
        Forbidden: the caller may not change the model.
    """
    model = _model_for_update(session, principal, name)
    row = session.get(AliasRow, (model.id, check_alias(alias)))
    if row is None:
        raise _unknown(session, model, alias)
    existing = set(version_numbers(session, model))
    earlier = [
        number for number in _served_before(session, model, alias) if number in existing and number != row.number
    ]
    if not earlier:
        raise Conflict(
            "nothing_to_roll_back",
            f"'{alias}' of model '{name}' served no other version that still exists. Promote the one you want.",
        )
    return move(session, principal, model, alias, earlier[-1], "rollback")


def history(
    session: Session, principal: Principal, name: str, *, limit: int = 50, after: str | None = None
) -> tuple[list[AliasEvent], str | None]:
    """Moves of a model's aliases, newest first, and the cursor of the next page.

    Raises:
        NotFound: there is no such model.
    """
    model = find_model(session, principal, name)
    query = (
        select(AliasEventRow, UserRow.name)
        .join(UserRow, UserRow.id == AliasEventRow.moved_by)
        .where(AliasEventRow.model_id == model.id)
    )
    rows, following = page(session, query, [AliasEventRow.id], limit=limit, after=after, descending=True)
    return [_view(event, mover) for event, mover in rows], following


def move(
    session: Session, principal: Principal, model: ModelRow, alias: str, number: int, action: Action
) -> AliasEvent:
    """Point an alias at a version that is known to exist, and record it."""
    row = session.get(AliasRow, (model.id, alias))
    previous = row.number if row else None
    if row is None:
        session.add(AliasRow(model_id=model.id, name=alias, number=number))
    else:
        row.number = number
    return record(session, principal, model, alias, previous, number, action)


def record(
    session: Session,
    principal: Principal,
    model: ModelRow,
    alias: str,
    previous: int | None,
    number: int | None,
    action: Action,
) -> AliasEvent:
    """Write down a move of an alias."""
    event = AliasEventRow(
        model_id=model.id, alias=alias, previous=previous, number=number, action=action, moved_by=principal.id
    )
    session.add(event)
    deed = "model.promoted" if number is not None else "model.alias_removed"
    audit.record(session, deed, model.name, principal=principal, alias=alias, version=number, how=action)
    session.flush()
    return _view(event, principal.name)


def _point(session: Session, principal: Principal, name: str, alias: str, number: int, action: Action) -> AliasEvent:
    check_alias(alias)
    model = _model_for_update(session, principal, name)
    find_version(session, principal, name, number)
    return move(session, principal, model, alias, number, action)


def _model_for_update(session: Session, principal: Principal, name: str) -> ModelRow:
    """The model, which the caller may change, locked so that moves of its aliases follow one another."""
    model = find_model(session, principal, name, for_update=True)
    check_may_change(principal, model)
    return model


def _served_before(session: Session, model: ModelRow, alias: str) -> list[int]:
    """Versions that the alias served before the present one, oldest first, as a browser's 'back' would find them.

    A rollback goes back in this list instead of adding to it, so a second one goes further back.
    """
    events = session.scalars(
        select(AliasEventRow)
        .where(AliasEventRow.model_id == model.id, AliasEventRow.alias == alias)
        .order_by(AliasEventRow.id)
    )
    served: list[int] = []
    for event in events:
        if event.action == "rollback":
            served.pop()
            while served[-1] != event.number:
                served.pop()
        elif event.number is not None and event.number not in served[-1:]:
            served.append(event.number)
    return served[:-1]


def _unknown(session: Session, model: ModelRow, alias: str) -> NotFound:
    return alias_not_found(model.name, alias, aliases_of(session, model), version_numbers(session, model))


def _view(event: AliasEventRow, mover: str) -> AliasEvent:
    return AliasEvent.model_validate(
        {
            "alias": event.alias,
            "previous": event.previous,
            "number": event.number,
            "action": event.action,
            "moved_at": event.moved_at,
            "moved_by": mover,
        }
    )
