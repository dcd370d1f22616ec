"""Previews of policies: a version's held-out predictions and the amounts of their rows, found and brought together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.datasets.catalogue import seen_by
from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.datasets.tables import DatasetRow, DatasetVersionRow
from rowcast.errors import Conflict, Forbidden, NotFound, Problem
from rowcast.models.bundle.contents import HELD_OUT, Manifest
from rowcast.models.decide.fitting import schema_of
from rowcast.models.decide.held_out import HeldOut
from rowcast.models.decide.policy import Policy
from rowcast.models.decide.preview import Tried, preview
from rowcast.models.policies import current, doubts, fitting, subject_to_preview, version_to_judge
from rowcast.models.references import find_model
from rowcast.models.tables import ModelVersionRow
from rowcast.models.views import PolicyPreview
from rowcast.tables import Database


@dataclass(frozen=True)
class _Chosen:
    """What the database says of a preview: the policy, filled in, and where its numbers lie."""

    policy: Policy
    columns: FeatureSchema
    model: str
    number: int
    manifest: Manifest
    bundle_key: str
    table: str | None
    """Content hash of the table that the version was trained on, while that is there."""
    doubts: list[Problem]


def preview_policy(
    database: Database,
    storage: Storage,
    principal: Principal,
    name: str,
    policy: Policy | None = None,
    number: int | None = None,
) -> PolicyPreview:
    """What the policy, by default the one in force, would have done with the rows held out of a version's training.

    The version is that of the number, by default the champion, else the newest. Whoever sees the model may look, but
    amounts are read from its table only for those who may see that too.

    Raises:
        InvalidInput: the policy does not fit the version; the problems name the fields.
        NotFound: there is no such model or version, or no policy in force.
        Forbidden: amounts would be read from a table that the caller may not see.
        Conflict: amounts are read from a table that was deleted, or the version has no held-out predictions.
        Unavailable: the storage or the database does not answer.
    """
    with database.reading() as session:
        chosen = _chosen(session, principal, name, policy, number)
    held_out = _held_out(storage, chosen)
    tried = Tried(
        model=chosen.model,
        version=chosen.number,
        target=chosen.manifest.target,
        classes=chosen.manifest.classes,
        held_out=held_out,
        columns=_amounts(storage, chosen, held_out.rows) if chosen.policy.columns else {},
        intervals=chosen.manifest.intervals,
    )
    return preview(chosen.policy, tried).model_copy(update={"warnings": chosen.doubts})


def _chosen(session: Session, principal: Principal, name: str, policy: Policy | None, number: int | None) -> _Chosen:
    model = find_model(session, principal, name)
    version = version_to_judge(session, principal, model, number)
    seen = model.owner_id == principal.id or principal.administers or _sees_table(session, principal, version)
    subject = subject_to_preview(session, version, with_table=seen)
    checked = fitting(policy or current(session, principal, name).policy, subject)
    if checked.columns and not seen:
        message = "These amounts are read from the table of the model, which is not yours to see. Ask its owner."
        raise Forbidden("table_not_shared", message)
    return _Chosen(
        policy=checked,
        columns=schema_of(checked, subject),
        model=model.name,
        number=version.number,
        manifest=Manifest.model_validate(version.manifest),
        bundle_key=version.bundle_key,
        table=_table(session, version),
        doubts=doubts(checked, version),
    )


def _sees_table(session: Session, principal: Principal, version: ModelVersionRow) -> bool:
    row = DatasetVersionRow
    query = select(row.id).join(DatasetRow, DatasetRow.id == row.dataset_id)
    return session.scalar(query.where(row.id == version.dataset_version_id, seen_by(principal))) is not None


def _table(session: Session, version: ModelVersionRow) -> str | None:
    row = DatasetVersionRow
    return session.scalar(select(row.content_hash).where(row.id == version.dataset_version_id))


def _held_out(storage: Storage, chosen: _Chosen) -> HeldOut:
    """The version's held-out predictions, once they are what was written."""
    written = chosen.manifest.files.get(HELD_OUT)
    if written is None:
        message = f"Version {chosen.number} of model '{chosen.model}' keeps no held-out predictions: train it again."
        raise Conflict("held_out_missing", message)
    try:
        data = storage.read(f"{chosen.bundle_key}/{HELD_OUT}")
    except NotFound:
        data = b""
    if hashlib.sha256(data).hexdigest() != written:
        message = "The held-out predictions are not what was written. Restore the bundle or train again."
        raise Conflict("bundle_damaged", message)
    return HeldOut.unpacked(data)


def _amounts(storage: Storage, chosen: _Chosen, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns of amounts at these rows of the table, as predictions read them: float32."""
    from rowcast.datasets.table import scan

    if chosen.table is None:
        raise _table_deleted(chosen)
    try:
        with storage.local(table_key(chosen.table)) as path:
            frame = scan(path, chosen.columns).collect()
    except NotFound:
        raise _table_deleted(chosen) from None
    return {name: frame[name].to_numpy().astype(np.float32)[rows] for name in chosen.columns.names}


def _table_deleted(chosen: _Chosen) -> Conflict:
    table = f"{chosen.manifest.dataset.name}@{chosen.manifest.dataset.version}"
    message = f"Amounts are read from columns of {table}, which was deleted: add it and train again, or give numbers."
    return Conflict("dataset_version_deleted", message)
