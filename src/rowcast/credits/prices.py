"""What a row costs with a model: set by whoever may change the model, kept apart from its versions."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.principal import Principal
from rowcast.credits.tables import PriceRow
from rowcast.credits.tariff import Tariff
from rowcast.credits.views import Price
from rowcast.models.references import check_may_change, find_model


def set_price(session: Session, principal: Principal, name: str, per_row: int | None, tariff: Tariff) -> Price:
    """Let rows cost so much from now on; None is what the server asks otherwise. Tasks that were submitted before cost
    what they were to cost then.

    Raises:
        NotFound: there is no such model.
        Forbidden: the caller may not change it.
    """
    model = find_model(session, principal, name, for_update=True)
    check_may_change(principal, model)
    session.add(PriceRow(model_id=model.id, per_row=per_row, set_by=principal.id))
    audit.record(session, "model.priced", model.name, principal=principal, per_row=per_row)
    return _view(model.name, per_row, tariff)


def price_view(session: Session, principal: Principal, name: str, tariff: Tariff) -> Price:
    """What a row costs with the model.

    Raises:
        NotFound: there is no such model.
    """
    model = find_model(session, principal, name)
    return _view(model.name, price_of(session, model.id), tariff)


def price_of(session: Session, model_id: str) -> int | None:
    """The model's own price; None when it has none."""
    row = PriceRow
    return session.scalar(select(row.per_row).where(row.model_id == model_id).order_by(row.id.desc()).limit(1))


def prices_in_force(session: Session) -> dict[str, int]:
    """By the model's id the prices of those that have one of their own."""
    last = select(func.max(PriceRow.id)).group_by(PriceRow.model_id)
    found = session.execute(select(PriceRow.model_id, PriceRow.per_row).where(PriceRow.id.in_(last)))
    return {model_id: per_row for model_id, per_row in found if per_row is not None}


def _view(name: str, per_row: int | None, tariff: Tariff) -> Price:
    return Price(model=name, per_row=tariff.per_row if per_row is None else per_row, own=per_row is not None)
