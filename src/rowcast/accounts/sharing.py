"""Who may see a thing that somebody owns: its owner and administrators, and whom the owner shares it with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Visibility
from rowcast.errors import InvalidInput, Problem


class Shared(Protocol):
    """The table of things that are shared."""

    id: Any
    owner_id: Any
    visibility: Any


def visible(
    principal: Principal, thing: type[Shared], granted: InstrumentedAttribute[str], to: InstrumentedAttribute[str]
) -> ColumnElement[bool]:
    """The things that the caller may see; in the table of grants ``granted`` names the thing and ``to`` the user."""
    if principal.administers:
        return true()
    named: Select[str] = select(granted).where(to == principal.id)
    return or_(thing.owner_id == principal.id, thing.visibility == Visibility.EVERYONE.value, thing.id.in_(named))


def user_ids(session: Session, names: Collection[str]) -> list[str]:
    """The ids of users by their names, in the order of the names.

    Raises:
        InvalidInput: nobody is called so; the problems say which of the names it is.
    """
    found = dict(session.execute(select(UserRow.name, UserRow.id).where(UserRow.name.in_(names))).all())
    message = "There is no user of this name."
    problems = [
        Problem(code="user_unknown", message=message, field=f"users.{place}")
        for place, name in enumerate(names)
        if name not in found
    ]
    if problems:
        raise InvalidInput("users_unknown", f"{len(problems)} of the users are not known; see the problems.", problems)
    return list(dict.fromkeys(found[name] for name in names))
