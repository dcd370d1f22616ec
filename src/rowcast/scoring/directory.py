"""What can be served, as the database said last: every model's versions and aliases, held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.accounts.visibility import Access
from rowcast.credits.prices import prices_in_force
from rowcast.credits.tables import PriceRow
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.policies import columns_read, policies_in_force
from rowcast.models.references import (
    CHAMPION,
    alias_not_found,
    model_not_found,
    parse_reference,
    version_not_found,
)
from rowcast.models.sharing import accesses
from rowcast.models.tables import AliasEventRow, AliasRow, ModelRow, ModelVersionRow, PolicyRow
from rowcast.scoring.version_key import VersionKey


@dataclass(frozen=True, slots=True)
class Entry:
    """One model: its id, who may see it, its versions by number, its aliases, and the policy in force, if it decides
    anything. ``columns_read`` are those that any of its policies has ever read, ``price`` is what a row costs if it has
    a price of its own."""

    id: str
    access: Access
    versions: Mapping[int, VersionKey]
    aliases: Mapping[str, int]
    policy: NumberedPolicy | None = None
    columns_read: frozenset[str] = frozenset()
    price: int | None = None

    def at(self, alias: str) -> VersionKey | None:
        """The version that the alias points at."""
        number = self.aliases.get(alias)
        return None if number is None else self.versions.get(number)


@dataclass(frozen=True, slots=True)
class Directory:
    """All models by name. ``mark`` changes whenever the database has other ones; None is "read again in any case"."""

    mark: tuple[Any, ...] | None
    models: Mapping[str, Entry]

    def resolve(self, principal: Principal, reference: str) -> tuple[VersionKey, str | None]:
        """The version that ``name``, ``name@alias`` or ``name@number`` stands for, and the alias when one was used.

        Raises:
            InvalidInput: what follows '@' is neither an alias nor a version number.
            NotFound: there is no such model that the caller may see, or no such alias or version of it; the message
                says what there is.
        """
        wanted = parse_reference(reference)
        entry = self.models.get(wanted.name)
        if entry is None or not entry.access.admits(principal):
            seen = [name for name, other in self.models.items() if other.access.admits(principal)]
            raise model_not_found(wanted.name, seen)
        if wanted.number is not None:
            found = entry.versions.get(wanted.number)
            if found is None:
                raise version_not_found(wanted.name, _newest_first(entry))
            return found, None
        alias = wanted.alias or CHAMPION
        found = entry.at(alias)
        if found is None:
            raise alias_not_found(wanted.name, alias, dict(entry.aliases), _newest_first(entry))
        return found, alias

    def version_ids(self) -> set[str]:
        return {version.id for entry in self.models.values() for version in entry.versions.values()}

    def champions(self) -> Iterator[VersionKey]:
        """The versions that bare model names stand for."""
        found = (entry.at(CHAMPION) for entry in self.models.values())
        return (version for version in found if version is not None)


def mark_of(session: Session) -> tuple[Any, ...]:
    """What changes with every alias's move, new version, new policy, price, change of sharing and deletion, found by
    five cheap look-ups.

    It can, because rows of versions, policies and prices are only ever added and deleted, no alias moves without an
    event, and changes of sharing are counted.
    """
    models = select(func.count(), func.sum(ModelRow.last_number), func.sum(ModelRow.times_shared)).select_from(ModelRow)
    versions = select(func.count(), func.max(ModelVersionRow.created_at)).select_from(ModelVersionRow)
    events = select(func.count(), func.max(AliasEventRow.id)).select_from(AliasEventRow)
    policies = select(func.count(), func.max(PolicyRow.id)).select_from(PolicyRow)
    prices = select(func.count(), func.max(PriceRow.id)).select_from(PriceRow)
    queries = (models, versions, events, policies, prices)
    return tuple(value for query in queries for value in session.execute(query).one())


def read_directory(session: Session) -> Directory:
    """Everything that can be served now."""
    mark = mark_of(session)
    versions: dict[str, dict[int, VersionKey]] = {}
    aliases: dict[str, dict[str, int]] = {}
    row = ModelVersionRow
    named = (row.id, ModelRow.name, row.number, row.bundle_key, row.bundle_hash, row.dataset_version_id)
    for model_id, id_, name, number, *bundle in session.execute(select(row.model_id, *named).join(ModelRow)):
        versions.setdefault(model_id, {})[number] = VersionKey(id_, name, number, *bundle)
    for alias in session.scalars(select(AliasRow)):
        aliases.setdefault(alias.model_id, {})[alias.name] = alias.number
    policies, read = policies_in_force(session), columns_read(session)
    shared, prices = accesses(session), prices_in_force(session)
    models = session.execute(select(ModelRow.name, ModelRow.id))
    return Directory(
        mark,
        {
            name: Entry(
                id_,
                shared[id_],
                versions.get(id_, {}),
                aliases.get(id_, {}),
                policies.get(id_),
                read.get(id_, frozenset()),
                prices.get(id_),
            )
            for name, id_ in models
        },
    )


def _newest_first(entry: Entry) -> list[int]:
    return sorted(entry.versions, reverse=True)
