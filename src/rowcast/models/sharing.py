"""Sharing of models: who may see a model and predict with it, beside its owner and administrators."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal
from rowcast.accounts.sharing import user_ids
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.accounts.visibility import Access
from rowcast.models.references import check_may_change, find_model
from rowcast.models.tables import ModelGrantRow, ModelRow


def sharing_of(session: Session, principal: Principal, name: str) -> Sharing:
    """Whom a model is shared with.

    Raises:
        NotFound: there is no such model, or none that the caller may see.
        Forbidden: the caller may not change it.
    """
    model = find_model(session, principal, name)
    check_may_change(principal, model)
    named = select(UserRow.name).join(ModelGrantRow, ModelGrantRow.user_id == UserRow.id)
    users = session.scalars(named.where(ModelGrantRow.model_id == model.id).order_by(UserRow.name))
    return Sharing(visibility=Visibility(model.visibility), users=list(users))


def share(session: Session, principal: Principal, name: str, sharing: Sharing) -> Sharing:
    """Share a model so from now on; the directories of all processes follow within their refresh.

    Raises:
        NotFound: there is no such model, or none that the caller may see.
        Forbidden: the caller may not change it.
        InvalidInput: it names somebody who is not there.
    """
    model = find_model(session, principal, name, for_update=True)
    check_may_change(principal, model)
    users = user_ids(session, sharing.users)
    session.execute(delete(ModelGrantRow).where(ModelGrantRow.model_id == model.id))
    session.add_all(ModelGrantRow(model_id=model.id, user_id=user_id) for user_id in users)
    model.visibility = sharing.visibility.value
    model.times_shared += 1
    record(session, "model.shared", name, principal=principal, **sharing.model_dump(mode="json"))
    session.flush()
    return sharing_of(session, principal, name)


def accesses(session: Session) -> dict[str, Access]:
    """Who may see which model, by its id."""
    granted: dict[str, set[str]] = {}
    for model_id, user_id in session.execute(select(ModelGrantRow.model_id, ModelGrantRow.user_id)):
        granted.setdefault(model_id, set()).add(user_id)
    models = session.execute(select(ModelRow.id, ModelRow.owner_id, ModelRow.visibility))
    return {
        id_: Access(owner_id, Visibility(visibility), frozenset(granted.get(id_, ())))
        for id_, owner_id, visibility in models
    }
