"""What a store of MLflow lacks of the registry, and what it has of it: the database is the truth, MLflow its mirror."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from rowcast.accounts.tables import UserRow
from rowcast.models.tables import AliasRow, MirroredVersionRow, MirrorTurnRow, ModelRow, ModelVersionRow
from rowcast.models.views import TrackedRun
from rowcast.tables import now

_EVERY_STORE = ""
_UNREGISTERED: dict[str, Any] = {"model_id": "", "name": "", "registered": 0, "aliases": []}


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A version as MLflow has it: the model's name and the version's number there, and its run."""

    name: str
    registered: int
    run_id: str
    aliases: list[str]


@dataclass(frozen=True, slots=True)
class Version:
    """A version that MLflow does not have. ``siblings`` is how many versions its training made; moments are
    milliseconds since 1970."""

    model: str
    owner: str
    description: str | None
    number: int
    training_id: str
    siblings: int
    bundle_key: str
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """A version that MLflow is to have with these aliases; ``made`` tells of one that it does not have yet."""

    version_id: str
    model_id: str
    aliases: list[str]
    known: Mirrored | None
    made: Version | None


@dataclass(frozen=True, slots=True)
class Gone:
    """A version that MLflow has and that is deleted; ``whole`` when its model is, too."""

    version_id: str
    model_id: str
    known: Mirrored
    whole: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A training that made no version. ``model_id`` is None where its model is not there either, ``status`` is MLflow's
    word for how it ended, ``error`` the code of why, ``request`` a ``TrainingRequest``, or of the ``kind`` tune a
    ``TuningRequest``."""

    training_id: str
    kind: str
    model: str
    model_id: str | None
    created_by: str
    status: str
    error: str | None
    request: dict[str, Any]
    began_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Behind:
    """What is to be done, in this order. ``freed`` are aliases that point nowhere any more, as (name there, alias)."""

    gone: list[Gone] = field(default_factory=list)
    freed: list[tuple[str, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.gone or self.freed or self.changes or self.failed)


def behind(session: Session, store: str, *, most: int, passed_over: Collection[str] = ()) -> Behind:
    """What the store lacks, without the versions that are to be passed over; at most so many new ones, oldest first."""
    row = ModelVersionRow
    versions = session.execute(select(row.id, row.model_id, row.number).order_by(row.created_at, row.number)).all()
    known = {found.version_id: found for found in session.scalars(_of(store))}
    wanted: dict[str, list[str]] = {version_id: [] for version_id, _, _ in versions}
    place = {(model_id, number): version_id for version_id, model_id, number in versions}
    for alias in session.scalars(select(AliasRow).order_by(AliasRow.name)):
        wanted[place[alias.model_id, alias.number]].append(alias.name)
    new = [version_id for version_id in wanted if version_id not in known and version_id not in passed_over][:most]
    made = _described(session, new)
    return Behind(
        gone=_gone(session, [found for id_, found in known.items() if id_ not in wanted]),
        freed=_freed(known, {id_: model_id for id_, model_id, _ in versions}, wanted),
        changes=[
            Change(version_id, model_id, wanted[version_id], _mirrored(known.get(version_id)), made.get(version_id))
            for version_id, model_id, _ in versions
            if version_id in made or (version_id in known and known[version_id].aliases != wanted[version_id])
        ],
    )


def owed(store: str) -> Select[str]:
    """Selects the trainings without a version that the store lacks, by id."""
    row, told = MirroredVersionRow, aliased(MirroredVersionRow)
    same = and_(told.version_id == row.version_id, told.store == store)
    return select(row.version_id).outerjoin(told, same).where(row.store == _EVERY_STORE, told.version_id.is_(None))


def count_owed(session: Session) -> int:
    """What changes when a training ends without a version."""
    row = MirroredVersionRow
    return session.scalars(select(func.count()).where(row.store == _EVERY_STORE)).one()


def owe(session: Session, trainings: Select[Any]) -> None:
    """Put down that every store lacks these trainings, whose ids are selected; in the transaction that ends them."""
    row, values = MirroredVersionRow, {**_UNREGISTERED, "store": _EVERY_STORE, "run_id": ""}
    made = [literal(value, getattr(row, name).type) for name, value in values.items()]
    session.execute(insert(row).from_select(["version_id", *values], trainings.add_columns(*made)))


def record(session: Session, store: str, told: Behind, done: dict[str, Mirrored], runs: Mapping[str, str]) -> None:
    """Write down what MLflow confirmed: ``done`` are the versions as it has them now, ``runs`` are those of trainings
    without one; those that are gone are gone."""
    gone = [one.version_id for one in told.gone]
    row = MirroredVersionRow
    session.execute(delete(row).where(row.store == store, row.version_id.in_(gone)))
    models = {change.version_id: change.model_id for change in told.changes}
    for version_id, found in done.items():
        session.merge(
            MirroredVersionRow(
                version_id=version_id,
                store=store,
                model_id=models[version_id],
                name=found.name,
                registered=found.registered,
                run_id=found.run_id,
                aliases=found.aliases,
            )
        )
    for training_id, run_id in runs.items():
        session.merge(row(version_id=training_id, store=store, run_id=run_id, **_UNREGISTERED))


@dataclass(frozen=True, slots=True)
class Pages:
    """A store, and the address of the pages by which people look at it; empty where there are none."""

    store: str
    url: str

    def run_of(self, session: Session, version_id: str) -> TrackedRun | None:
        """The version as the store has it, if it does."""
        row = session.get(MirroredVersionRow, (version_id, self.store))
        if row is None:
            return None
        url = f"{self.url.rstrip('/')}/#/runs/{row.run_id}" if self.url else None
        return TrackedRun(run_id=row.run_id, name=row.name, number=row.registered, url=url)


def hold_turn(session: Session, store: str, holder: str, *, seconds: float) -> bool:
    """Whether the holder, and nobody else, brings the store up to date for so many seconds from now."""
    row, moment = MirrorTurnRow, now()
    until = moment + timedelta(seconds=seconds)
    free = or_(row.holder == holder, row.until < moment)
    taken = update(row).where(row.store == store, free).values(holder=holder, until=until).returning(row.store)
    if session.scalar(taken) is not None:
        return True
    try:
        with session.begin_nested():
            session.add(MirrorTurnRow(store=store, holder=holder, until=until))
    except IntegrityError:  # it is another's
        return False
    return True


def milliseconds(moment: datetime) -> int:
    """Since 1970, as MLflow has moments."""
    return round(moment.timestamp() * 1000)


def _of(store: str) -> Any:
    row = MirroredVersionRow
    return select(row).where(row.store == store, row.registered > 0)


def _mirrored(row: MirroredVersionRow | None) -> Mirrored | None:
    return None if row is None else Mirrored(row.name, row.registered, row.run_id, list(row.aliases))


def _gone(session: Session, rows: Sequence[MirroredVersionRow]) -> list[Gone]:
    if not rows:
        return []
    models = set(session.scalars(select(ModelRow.id)))
    found = []
    for row in rows:
        known = _mirrored(row)
        assert known is not None
        found.append(Gone(row.version_id, row.model_id, known, row.model_id not in models))
    return found


def _freed(
    known: dict[str, MirroredVersionRow], models: dict[str, str], wanted: dict[str, list[str]]
) -> list[tuple[str, str]]:
    """Aliases that MLflow has of models that have no such alias any more. One that only moved is set anew instead."""
    kept: defaultdict[str, set[str]] = defaultdict(set)
    for version_id, aliases in wanted.items():
        kept[models[version_id]].update(aliases)
    return [
        (row.name, alias)
        for version_id, row in known.items()
        if version_id in wanted
        for alias in row.aliases
        if alias not in kept[row.model_id]
    ]


def _described(session: Session, version_ids: Collection[str]) -> dict[str, Version]:
    if not version_ids:
        return {}
    row, owner, creator = ModelVersionRow, aliased(UserRow), aliased(UserRow)
    query = (
        select(row, ModelRow, owner.name, creator.name)
        .join(ModelRow, ModelRow.id == row.model_id)
        .join(owner, owner.id == ModelRow.owner_id)
        .join(creator, creator.id == row.created_by)
        .where(row.id.in_(version_ids))
    )
    found = session.execute(query).all()
    trainings = {version.training_task_id for version, _, _, _ in found}
    siblings = _siblings(session, trainings)
    return {
        version.id: Version(
            model=model.name,
            owner=owned_by,
            description=model.description,
            number=version.number,
            training_id=version.training_task_id,
            siblings=siblings[version.training_task_id],
            bundle_key=version.bundle_key,
            created_ms=milliseconds(version.created_at),
            created_by=made_by,
        )
        for version, model, owned_by, made_by in found
    }


def _siblings(session: Session, trainings: Collection[str]) -> Counter[str]:
    row = ModelVersionRow
    query = select(row.training_task_id, func.count()).where(row.training_task_id.in_(trainings))
    return Counter(dict(session.execute(query.group_by(row.training_task_id)).all()))
