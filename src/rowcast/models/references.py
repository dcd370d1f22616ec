"""How callers name a model: ``name``, ``name@alias`` or ``name@number``; and finding what they mean.

A model is seen by its owner, by administrators and by whom it is shared with; for everyone else it is not there. What
belongs to someone else is changed only by an administrator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.sharing import visible
from rowcast.datasets.names import is_name, nearest
from rowcast.errors import Forbidden, InvalidInput, NotFound
from rowcast.models.tables import AliasRow, ModelGrantRow, ModelRow, ModelVersionRow
from rowcast.paging import storable

CHAMPION = "champion"
"""The alias that a bare model name stands for."""

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A model by name, with either the alias or the version number that was asked for."""

    name: str
    alias: str | None
    number: int | None


def parse_reference(text: str) -> Reference:
    """The parts of ``name``, ``name@alias`` or ``name@number``; a bare name means its champion.

    Raises:
        InvalidInput: what follows '@' is neither an alias nor a version number.
    """
    name, at, rest = text.partition("@")
    if not at:
        return Reference(name, CHAMPION, None)
    if _NUMBER.fullmatch(rest):
        return Reference(name, None, int(rest))
    return Reference(name, check_alias(rest), None)


def check_alias(alias: str) -> str:
    """The alias, when it is a valid one: it starts with a letter, so that no version number is mistaken for it.

    Raises:
        InvalidInput: it is not.
    """
    if _ALIAS.fullmatch(alias):
        return alias
    raise InvalidInput(
        "alias_invalid",
        "An alias has 1 to 50 letters, digits, '_' or '-', and starts with a letter, as 'champion' does.",
    )


def check_may_change(principal: Principal, model: ModelRow) -> None:
    """Pass when the caller may add to, promote in or delete from the model: an analyst their own, an administrator any.

    Raises:
        Forbidden: they may not.
    """
    principal.require(Role.ANALYST)
    if not principal.owns(model.owner_id):
        raise Forbidden("not_owner", f"Model '{model.name}' belongs to someone else. Ask them or an administrator.")


def find_model(session: Session, principal: Principal, name: str, *, for_update: bool = False) -> ModelRow:
    """The model of that name; ``for_update`` locks it, so that changes of it follow one another.

    Raises:
        NotFound: there is none that the caller may see; the message names one that is called nearly so.
    """
    query = select(ModelRow).where(ModelRow.name == name, seen_by(principal))
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    model = session.scalar(query) if is_name(name) else None
    if model is not None:
        return model
    names = select(ModelRow.name).where(seen_by(principal)).order_by(ModelRow.name).limit(1000)
    raise model_not_found(name, session.scalars(names).all())


def seen_by(principal: Principal) -> ColumnElement[bool]:
    """The models that the caller may see."""
    return visible(principal, ModelRow, ModelGrantRow.model_id, ModelGrantRow.user_id)


def find_version(
    session: Session, principal: Principal, name: str, number: int, *, details: bool = False
) -> tuple[ModelRow, ModelVersionRow]:
    """The model of that name with its version of that number; ``details`` loads the large columns with it.

    Raises:
        NotFound: there is no such model, or no such version of it; the message says what there is.
    """
    model = find_model(session, principal, name)
    version = session.scalar(
        select(ModelVersionRow)
        .where(ModelVersionRow.model_id == model.id, ModelVersionRow.number == storable(number))
        .options(*((undefer(column) for column in _details()) if details else ()))
    )
    if version is not None:
        return model, version
    raise version_not_found(name, version_numbers(session, model))


def resolve(session: Session, principal: Principal, reference: str) -> tuple[ModelRow, ModelVersionRow, str | None]:
    """What ``name``, ``name@alias`` or ``name@number`` stands for now: model, version, and the alias when one was used.

    Raises:
        InvalidInput: what follows '@' is neither an alias nor a version number.
        NotFound: there is no such model, alias or version; the message says what there is.
    """
    wanted = parse_reference(reference)
    if wanted.number is not None:
        return (*find_version(session, principal, wanted.name, wanted.number), None)
    model = find_model(session, principal, wanted.name)
    aliases = aliases_of(session, model)
    number = aliases.get(wanted.alias or CHAMPION)
    if number is None:
        raise alias_not_found(wanted.name, wanted.alias or CHAMPION, aliases, version_numbers(session, model))
    return (*find_version(session, principal, wanted.name, number), wanted.alias)


def aliases_of(session: Session, model: ModelRow) -> dict[str, int]:
    """Aliases of a model, each with the version number it points at."""
    rows = session.execute(
        select(AliasRow.name, AliasRow.number).where(AliasRow.model_id == model.id).order_by(AliasRow.name)
    )
    return dict(rows.all())


def version_numbers(session: Session, model: ModelRow) -> list[int]:
    """Numbers of a model's versions, newest first."""
    query = select(ModelVersionRow.number).where(ModelVersionRow.model_id == model.id)
    return list(session.scalars(query.order_by(ModelVersionRow.number.desc())))


def model_not_found(name: str, known: Iterable[str]) -> NotFound:
    """The error for an unknown model; it names one that is called nearly so."""
    meant = nearest(name, known)
    hint = f"Did you mean '{meant}'?" if meant else "List the models to see their names."
    return NotFound("model_not_found", f"There is no model of this name. {hint}")


def version_not_found(name: str, numbers: list[int]) -> NotFound:
    """The error for an unknown version; it says which there are."""
    return NotFound("model_version_not_found", f"Model '{name}' has no such version. {_versions(numbers)}")


def alias_not_found(name: str, alias: str, aliases: dict[str, int], numbers: list[int]) -> NotFound:
    """The error for an unknown alias; it says which there are, or what to set it to."""
    there = f"Its aliases: {', '.join(sorted(aliases))}." if aliases else "It has none."
    return NotFound("alias_not_found", f"Model '{name}' has no alias '{alias}'. {there} {_versions(numbers)}")


def _versions(numbers: list[int]) -> str:
    if not numbers:
        return "It has no versions: train it first."
    shown = ", ".join(str(number) for number in numbers[:10])
    return f"Its versions: {shown}{', ...' if len(numbers) > 10 else ''}."


def _details() -> tuple[InstrumentedAttribute[object], ...]:
    row = ModelVersionRow
    return (row.recipe, row.manifest, row.schema, row.evaluation, row.card)
