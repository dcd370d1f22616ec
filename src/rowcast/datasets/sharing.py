"""Sharing of datasets: who may see a dataset and train on it, beside its owner and administrators."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal
from rowcast.accounts.sharing import user_ids
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.datasets.catalogue import check_may_change, find_dataset
from rowcast.datasets.tables import DatasetGrantRow


def sharing_of(session: Session, principal: Principal, name: str) -> Sharing:
    """Whom a dataset is shared with.

    Raises:
        NotFound: there is no such dataset, or none that the caller may see.
        Forbidden: the caller may not change it.
    """
    dataset = find_dataset(session, principal, name)
    check_may_change(principal, dataset)
    named = select(UserRow.name).join(DatasetGrantRow, DatasetGrantRow.user_id == UserRow.id)
    users = session.scalars(named.where(DatasetGrantRow.dataset_id == dataset.id).order_by(UserRow.name))
    return Sharing(visibility=Visibility(dataset.visibility), users=list(users))


def share(session: Session, principal: Principal, name: str, sharing: Sharing) -> Sharing:
    """Share a dataset so from now on.

    Raises:
        NotFound: there is no such dataset, or none that the caller may see.
        Forbidden: the caller may not change it.
        InvalidInput: it names somebody who is not there.
    """
    dataset = find_dataset(session, principal, name, for_update=True)
    check_may_change(principal, dataset)
    users = user_ids(session, sharing.users)
    session.execute(delete(DatasetGrantRow).where(DatasetGrantRow.dataset_id == dataset.id))
    session.add_all(DatasetGrantRow(dataset_id=dataset.id, user_id=user_id) for user_id in users)
    dataset.visibility = sharing.visibility.value
    record(session, "dataset.shared", name, principal=principal, **sharing.model_dump(mode="json"))
    session.flush()
    return sharing_of(session, principal, name)
