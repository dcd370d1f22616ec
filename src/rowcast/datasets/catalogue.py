"""The catalogue of datasets: names, their content-addressed versions, and who may change them.

A dataset is seen by its owner, by administrators and by whom it is shared with; for everyone else it is not there.
Analysts add and delete; what belongs to someone else is changed only by an administrator.
The caller commits, then deletes from storage what a function returned to be deleted.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, undefer

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.sharing import visible
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Visibility
from rowcast.datasets.names import check_name, is_name, nearest
from rowcast.datasets.schema import FeatureSchema
from rowcast.datasets.tables import DatasetGrantRow, DatasetRow, DatasetVersionRow
from rowcast.datasets.views import Dataset, DatasetVersion, DatasetVersionDetail, TableProfile
from rowcast.errors import Conflict, Forbidden, NotFound
from rowcast.paging import page, storable


def check_may_add(session: Session, principal: Principal, name: str) -> None:
    """Pass when the caller may add a version under that name: to be asked before any work is done for it.

    Raises:
        InvalidInput: no dataset can be called so.
        Forbidden: the caller's role may not add datasets.
        Conflict: the name belongs to someone else.
    """
    principal.require(Role.ANALYST)
    dataset = session.scalar(select(DatasetRow).where(DatasetRow.name == check_name(name, "dataset")))
    if dataset is not None:
        _check_may_join(principal, dataset)


def add_version(
    session: Session,
    principal: Principal,
    name: str,
    *,
    content_hash: str,
    filename: str,
    size_bytes: int,
    row_count: int,
    schema: dict[str, Any],
    profile: dict[str, Any],
    description: str | None = None,
) -> tuple[DatasetVersionRow, bool]:
    """Add an imported table as the next version of its dataset, which is created with the first one.

    The same bytes are the same version: then the existing one comes back with False, so a repeated import is harmless.
    A description replaces the dataset's own when given.

    Raises:
        InvalidInput: no dataset can be called so.
        Forbidden: the caller's role may not add datasets.
        Conflict: the name belongs to someone else.
    """
    principal.require(Role.ANALYST)
    dataset = _dataset_for_update(session, principal, check_name(name, "dataset"))
    dataset.description = description or dataset.description
    versions = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id)
    existing = session.scalar(versions.where(DatasetVersionRow.content_hash == content_hash))
    if existing is not None:
        return existing, False
    last = session.scalar(versions.with_only_columns(func.max(DatasetVersionRow.number)))
    version = DatasetVersionRow(
        dataset_id=dataset.id,
        number=(last or 0) + 1,
        content_hash=content_hash,
        filename=filename[:255],
        size_bytes=size_bytes,
        row_count=row_count,
        column_count=len(schema["features"]),
        schema=schema,
        profile=profile,
        created_by=principal.id,
    )
    session.add(version)
    record(session, "dataset.version_added", name, principal=principal, version=version.number)
    session.flush()
    return version, True


def find_dataset(session: Session, principal: Principal, name: str, *, for_update: bool = False) -> DatasetRow:
    """The dataset of that name; ``for_update`` locks it, so that changes of it follow one another.

    Raises:
        NotFound: there is none that the caller may see; the message names one that is called nearly so.
    """
    query = select(DatasetRow).where(DatasetRow.name == name, seen_by(principal))
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    dataset = session.scalar(query) if is_name(name) else None
    if dataset is not None:
        return dataset
    names = select(DatasetRow.name).where(seen_by(principal)).order_by(DatasetRow.name).limit(1000)
    meant = nearest(name, session.scalars(names))
    hint = f"Did you mean '{meant}'?" if meant else "List the datasets to see their names."
    raise NotFound("dataset_not_found", f"There is no dataset of this name. {hint}")


def seen_by(principal: Principal) -> ColumnElement[bool]:
    """The datasets that the caller may see."""
    return visible(principal, DatasetRow, DatasetGrantRow.dataset_id, DatasetGrantRow.user_id)


def find_version(
    session: Session, principal: Principal, name: str, number: int | None = None
) -> tuple[DatasetRow, DatasetVersionRow]:
    """The dataset of that name with its version of that number, the newest by default.

    Raises:
        NotFound: there is no such dataset, or no such version of it; the message says what there is.
    """
    dataset = find_dataset(session, principal, name)
    versions = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id)
    newest = versions.order_by(DatasetVersionRow.number.desc()).limit(1)
    wanted = newest if number is None else versions.where(DatasetVersionRow.number == storable(number))
    version = session.scalar(wanted.options(undefer(DatasetVersionRow.schema), undefer(DatasetVersionRow.profile)))
    if version is not None:
        return dataset, version
    last = session.scalar(newest.with_only_columns(DatasetVersionRow.number))
    raise NotFound("dataset_version_not_found", f"Dataset '{name}' has no such version; its newest is {last}.")


def list_datasets(
    session: Session, principal: Principal, *, limit: int = 50, after: str | None = None
) -> tuple[list[Dataset], str | None]:
    """Datasets that the caller may see, by name, each with its newest version, and the cursor of the next page."""
    query = _datasets().where(seen_by(principal))
    rows, following = page(session, query, [DatasetRow.name], limit=limit, after=after)
    return [_dataset_view(*row) for row in rows], following


def list_versions(
    session: Session, principal: Principal, name: str, *, limit: int = 50, after: str | None = None
) -> tuple[list[DatasetVersion], str | None]:
    """Versions of a dataset, newest first, and the cursor of the next page.

    Raises:
        NotFound: there is no such dataset.
    """
    dataset = find_dataset(session, principal, name)
    query = (
        select(DatasetVersionRow, UserRow.name)
        .join(UserRow, UserRow.id == DatasetVersionRow.created_by)
        .where(DatasetVersionRow.dataset_id == dataset.id)
    )
    rows, following = page(session, query, [DatasetVersionRow.number], limit=limit, after=after, descending=True)
    return [_version_view(dataset, version, creator) for version, creator in rows], following


def dataset_view(session: Session, principal: Principal, name: str) -> Dataset:
    """The dataset of that name with its newest version.

    Raises:
        NotFound: there is none.
    """
    dataset = find_dataset(session, principal, name)
    return _dataset_view(*session.execute(_datasets().where(DatasetRow.id == dataset.id)).one())


def version_view(session: Session, principal: Principal, name: str, number: int | None = None) -> DatasetVersionDetail:
    """A version, the newest by default, with its profile and its schema as the dictionary describes it.

    Raises:
        NotFound: there is no such dataset, or no such version of it.
    """
    dataset, version = find_version(session, principal, name, number)
    creator = session.scalar(select(UserRow.name).where(UserRow.id == version.created_by)) or ""
    return DatasetVersionDetail(
        **_version_view(dataset, version, creator).model_dump(),
        table_schema=FeatureSchema.model_validate(version.schema).describe(dataset.dictionary),
        profile=TableProfile.model_validate(version.profile),
    )


def replace_schema(
    session: Session,
    principal: Principal,
    name: str,
    number: int | None,
    *,
    schema: dict[str, Any],
    profile: dict[str, Any],
) -> DatasetVersionRow:
    """Read a version's columns in another way from now on: its schema, and the profile that belongs to it.

    Raises:
        NotFound: there is no such dataset, or no such version of it.
        Forbidden: the caller may not change it.
    """
    check_may_change(principal, find_dataset(session, principal, name, for_update=True))
    _, version = find_version(session, principal, name, number)
    version.schema = schema
    version.profile = profile
    version.column_count = len(schema["features"])
    record(session, "dataset.read_anew", name, principal=principal, version=version.number)
    session.flush()
    return version


def delete_dataset(session: Session, principal: Principal, name: str) -> list[str]:
    """Remove a dataset and its versions; models trained on it stay, for they keep their own schema.

    Returns the content hashes of its versions: after the commit their files can go, where nothing else needs them.

    Raises:
        NotFound: there is no such dataset.
        Forbidden: the caller may not change it.
    """
    dataset = find_dataset(session, principal, name, for_update=True)
    check_may_change(principal, dataset)
    own = select(DatasetVersionRow.content_hash).where(DatasetVersionRow.dataset_id == dataset.id)
    hashes = sorted(session.scalars(own))
    for table in (DatasetVersionRow, DatasetGrantRow):
        session.execute(delete(table).where(table.dataset_id == dataset.id))
    session.delete(dataset)
    record(session, "dataset.deleted", name, principal=principal)
    session.flush()
    return hashes


def check_may_change(principal: Principal, dataset: DatasetRow) -> None:
    """Pass when the caller may change or delete the dataset: an analyst their own, an administrator any.

    Raises:
        Forbidden: they may not.
    """
    principal.require(Role.ANALYST)
    if not principal.owns(dataset.owner_id):
        raise Forbidden("not_owner", f"Dataset '{dataset.name}' belongs to someone else. Ask them or an administrator.")


def _check_may_join(principal: Principal, dataset: DatasetRow) -> None:
    if not principal.owns(dataset.owner_id):
        raise Conflict("dataset_name_taken", "This name is taken. Choose another.")


def _dataset_for_update(session: Session, principal: Principal, name: str) -> DatasetRow:
    """The dataset of that name, created when there is none, locked so that version numbers are given in turn."""
    query = select(DatasetRow).where(DatasetRow.name == name).with_for_update()
    dataset = session.scalar(query)
    if dataset is None:
        try:
            with session.begin_nested():
                session.add(DatasetRow(name=name, owner_id=principal.id))
        except IntegrityError:  # someone else created it between the look and the insert
            pass
        dataset = session.scalars(query).one()
    _check_may_join(principal, dataset)
    return dataset


def _datasets() -> Select[*tuple[Any, ...]]:
    """Datasets, each with its owner's name, its newest version and that version's creator's name."""
    newest = (
        select(DatasetVersionRow.dataset_id, func.max(DatasetVersionRow.number).label("number"))
        .group_by(DatasetVersionRow.dataset_id)
        .subquery()
    )
    owner, creator = UserRow.__table__.alias("owner"), UserRow.__table__.alias("creator")
    return (
        select(DatasetRow, owner.c.name, DatasetVersionRow, creator.c.name)
        .join(owner, owner.c.id == DatasetRow.owner_id)
        .join(newest, newest.c.dataset_id == DatasetRow.id)
        .join(
            DatasetVersionRow,
            and_(DatasetVersionRow.dataset_id == DatasetRow.id, DatasetVersionRow.number == newest.c.number),
        )
        .join(creator, creator.c.id == DatasetVersionRow.created_by)
    )


def _dataset_view(dataset: DatasetRow, owner: str, latest: DatasetVersionRow, creator: str) -> Dataset:
    return Dataset(
        name=dataset.name,
        description=dataset.description,
        owner=owner,
        created_at=dataset.created_at,
        visibility=Visibility(dataset.visibility),
        latest=_version_view(dataset, latest, creator),
        dictionary=dataset.dictionary,
    )


def _version_view(dataset: DatasetRow, version: DatasetVersionRow, creator: str) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset.name,
        number=version.number,
        content_hash=version.content_hash,
        filename=version.filename,
        size_bytes=version.size_bytes,
        row_count=version.row_count,
        column_count=version.column_count,
        created_at=version.created_at,
        created_by=creator,
    )
