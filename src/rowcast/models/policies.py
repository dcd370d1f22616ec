"""A model's policies: set by whoever may change it, numbered apart from its versions, the newest in force."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.datasets.schema import FeatureSchema
from rowcast.datasets.tables import DatasetVersionRow
from rowcast.errors import InvalidInput, NotFound, Problem
from rowcast.models import recipe
from rowcast.models.decide.fitting import Subject, faults, filled_in, schema_of
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.policy import Policy
from rowcast.models.references import (
    CHAMPION,
    aliases_of,
    check_may_change,
    find_model,
    find_version,
    version_not_found,
    version_numbers,
)
from rowcast.models.tables import ModelRow, ModelVersionRow, PolicyRow
from rowcast.models.views import PolicyVersion
from rowcast.paging import page, storable

_LEFT_OUT = " Training leaves it out."
"""How the reasons for leaving a column out may end."""
_DOUBT = (
    "Amounts are read from {column}, which {why}. Unless its value is certain before a case is decided on, do not rely "
    "on these profits, and do not decide by them: read the amount from a column that is known then, or give a number."
)


def set_policy(
    session: Session, principal: Principal, name: str, policy: Policy, comment: str | None = None
) -> PolicyVersion:
    """Let the policy be in force from now on, as the next number. It is checked against the champion, else the newest.

    Raises:
        InvalidInput: it does not fit the model; the problems name the fields.
        NotFound: there is no such model, or it has no versions.
        Forbidden: the caller may not change the model.
    """
    model = find_model(session, principal, name, for_update=True)
    check_may_change(principal, model)
    version = version_to_judge(session, principal, model)
    subject = subject_of(session, version)
    checked = fitting(policy, subject)
    last = session.scalar(select(func.max(PolicyRow.number)).where(PolicyRow.model_id == model.id))
    row = PolicyRow(
        model_id=model.id,
        number=(last or 0) + 1,
        content=checked.model_dump(mode="json"),
        columns=schema_of(checked, subject).model_dump(mode="json"),
        comment=comment,
        created_by=principal.id,
    )
    session.add(row)
    record(session, "policy.set", model.name, principal=principal, number=row.number)
    session.flush()
    return _view(model, row, principal.name).model_copy(update={"warnings": doubts(checked, version)})


def current(session: Session, principal: Principal, name: str) -> PolicyVersion:
    """The policy in force.

    Raises:
        NotFound: there is no such model, or it never had a policy.
    """
    model = find_model(session, principal, name)
    found = session.execute(_policies(model).order_by(PolicyRow.number.desc()).limit(1)).one_or_none()
    return _found(model, found, f"Model '{model.name}' has no policy: set one, or preview one first.")


def get_policy(session: Session, principal: Principal, name: str, number: int) -> PolicyVersion:
    """The policy of that number.

    Raises:
        NotFound: there is no such model or policy.
    """
    model = find_model(session, principal, name)
    found = session.execute(_policies(model).where(PolicyRow.number == storable(number))).one_or_none()
    return _found(
        model, found, f"Model '{model.name}' has no such policy: see their history for the numbers that there are."
    )


def history(
    session: Session, principal: Principal, name: str, *, limit: int = 50, after: str | None = None
) -> tuple[list[PolicyVersion], str | None]:
    """A model's policies, newest first, and the cursor of the next page.

    Raises:
        NotFound: there is no such model.
    """
    model = find_model(session, principal, name)
    rows, following = page(session, _policies(model), [PolicyRow.number], limit=limit, after=after, descending=True)
    return [_view(model, row, creator) for row, creator in rows], following


def policies_in_force(session: Session) -> dict[str, NumberedPolicy]:
    """By the model's id the policies in force that decide something."""
    newest = select(PolicyRow.model_id, func.max(PolicyRow.number)).group_by(PolicyRow.model_id)
    rows = session.scalars(select(PolicyRow).where(tuple_(PolicyRow.model_id, PolicyRow.number).in_(newest)))
    read = columns_read(session)
    found = {row.model_id: NumberedPolicy.of(row, read[row.model_id]) for row in rows}
    return {model_id: policy for model_id, policy in found.items() if policy.policy.decides}


def columns_read(session: Session, model_id: str | None = None, last: int | None = None) -> dict[str, frozenset[str]]:
    """By model the names of all columns that its policies, or those up to number ``last``, have read."""
    query = select(PolicyRow.model_id, PolicyRow.columns)
    if model_id is not None:
        query = query.where(PolicyRow.model_id == model_id)
    if last is not None:
        query = query.where(PolicyRow.number <= last)
    found: dict[str, set[str]] = {}
    for id_, columns in session.execute(query):
        found.setdefault(id_, set()).update(feature["name"] for feature in columns["features"])
    return {id_: frozenset(names) for id_, names in found.items()}


def columns_read_of(session: Session, model_version_id: str) -> frozenset[str]:
    """``columns_read`` of the model that this version belongs to."""
    model_id = session.scalar(select(ModelVersionRow.model_id).where(ModelVersionRow.id == model_version_id))
    return columns_read(session, model_id or "").get(model_id or "", frozenset())


def numbered(session: Session, model_version_id: str, number: int) -> NumberedPolicy:
    """The policy of that number of the model that this version belongs to. It is there as long as the model is.

    Raises:
        NotFound: the model is gone.
    """
    query = select(PolicyRow).join(ModelVersionRow, ModelVersionRow.model_id == PolicyRow.model_id)
    row = session.scalar(query.where(ModelVersionRow.id == model_version_id, PolicyRow.number == number))
    if row is None:
        raise NotFound("policy_not_found", "The policy is gone with its model.")
    return NumberedPolicy.of(row, columns_read(session, row.model_id, number)[row.model_id])


def fitting(policy: Policy, subject: Subject) -> Policy:
    """The policy, filled in.

    Raises:
        InvalidInput: it does not fit the model; the problems name the fields.
    """
    checked = filled_in(policy, subject)
    if problems := faults(checked, subject):
        raise InvalidInput("policy_invalid", "This policy does not fit the model; see the problems.", problems)
    return checked


def doubts(policy: Policy, version: ModelVersionRow) -> list[Problem]:
    """Columns of the policy's amounts that may hold what becomes known only later, by what the version's training says:
    its target, and what it left out, as it does with leaks."""
    reasons = {item["column"]: item["reason"].removesuffix(_LEFT_OUT) for item in version.manifest["left_out"]}
    said = {name: f"training left out ({reason.rstrip('.')})" for name, reason in reasons.items()}
    said[version.manifest["target"]] = "is what the model predicts"
    return [
        Problem(code="amount_doubtful", message=_DOUBT.format(column=name, why=said[name]), field=name)
        for name in policy.columns
        if name in said
    ]


def version_to_judge(
    session: Session, principal: Principal, model: ModelRow, number: int | None = None
) -> ModelVersionRow:
    """The version that a policy is tried on: the one of that number, by default the champion, else the newest.

    Raises:
        NotFound: there is no such version, or none at all.
    """
    newest = version_numbers(session, model)
    chosen = number or aliases_of(session, model).get(CHAMPION) or next(iter(newest), None)
    if chosen is None:
        raise version_not_found(model.name, [])
    return find_version(session, principal, model.name, chosen, details=True)[1]


def subject_of(session: Session, version: ModelVersionRow) -> Subject:
    """What a policy to set must fit; with the columns of the version's table as long as that is there, and of all
    policies before, so that one can be set again."""
    return _subject(version, *_earlier_columns(session, version), *_table_columns(session, version))


def subject_to_preview(session: Session, version: ModelVersionRow, *, with_table: bool = True) -> Subject:
    """What a policy to preview must fit: its amounts are read from the version's table. With the columns of all
    policies before only where that is gone, or not to be looked at."""
    table = _table_columns(session, version) if with_table else []
    return _subject(version, *(table or _earlier_columns(session, version)))


def _table_columns(session: Session, version: ModelVersionRow) -> list[FeatureSchema]:
    """The schema of the version's table, as long as that is there."""
    tables = session.scalars(select(DatasetVersionRow.schema).where(DatasetVersionRow.id == version.dataset_version_id))
    return [FeatureSchema.model_validate(schema) for schema in tables]


def _earlier_columns(session: Session, version: ModelVersionRow) -> list[FeatureSchema]:
    """What the policies of the version's model so far read, the oldest first."""
    earlier = session.scalars(
        select(PolicyRow.columns).where(PolicyRow.model_id == version.model_id).order_by(PolicyRow.number)
    )
    return [FeatureSchema.model_validate(schema) for schema in earlier]


def _subject(version: ModelVersionRow, *known: FeatureSchema) -> Subject:
    return Subject.of(
        recipe.Problem(version.problem),
        version.manifest["classes"],
        FeatureSchema.model_validate(version.schema),
        *known,
    )


def _policies(model: ModelRow) -> Select[PolicyRow, str]:
    query = select(PolicyRow, UserRow.name).join(UserRow, UserRow.id == PolicyRow.created_by)
    return query.where(PolicyRow.model_id == model.id)


def _found(model: ModelRow, found: Row[Any, Any] | None, otherwise: str) -> PolicyVersion:
    if found is None:
        raise NotFound("policy_not_found", otherwise)
    return _view(model, found[0], found[1])


def _view(model: ModelRow, row: PolicyRow, creator: str) -> PolicyVersion:
    policy = Policy.model_validate(row.content)
    return PolicyVersion(
        model=model.name,
        number=row.number,
        policy=policy,
        columns=policy.columns,
        comment=row.comment,
        created_at=row.created_at,
        created_by=creator,
    )
