"""Policies in the database: who sets them, their numbers, and going back."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.tables import DatasetRow, DatasetVersionRow
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound
from rowcast.models import policies, registry
from rowcast.models.decide.policy import Policy
from rowcast.models.previews import preview_policy
from rowcast.models.sharing import share
from rowcast.models.views import PolicyVersion

_SPEC = importlib.util.spec_from_file_location(
    "scoring_fixtures", Path(__file__).parents[1] / "scoring" / "conftest.py"
)
assert _SPEC and _SPEC.loader
scoring = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scoring)
database, storage, train, principal = scoring.database, scoring.storage, scoring.train, scoring.principal

BANDS = {"yellow": 0.1, "red": 0.3}
PRICED = {"payoff": {"accept": {"P I F": {"column": "Price"}, "CHGOFF": -1}}}


@pytest.fixture
def put(database: SqlDatabase, principal: Principal) -> Callable[..., PolicyVersion]:
    def put(content: dict[str, Any], by: Principal = principal, comment: str | None = None) -> PolicyVersion:
        with database.transaction() as session:
            return policies.set_policy(session, by, "loans", Policy.model_validate(content), comment)

    return put


@pytest.fixture
def priced(database: SqlDatabase, principal: Principal) -> None:
    """The table that the models were trained on, which has a column that they do not."""
    schema = FeatureSchema(features=(Feature(name="Price", kind=Kind.NUMBER, decimal_mark=","),))
    with database.transaction() as session:
        session.add(DatasetRow(id="d" * 32, name="loans", owner_id=principal.id))
        session.flush()
        session.add(
            DatasetVersionRow(
                id="v" * 32, dataset_id="d" * 32, number=1, content_hash="e" * 64, filename="x", size_bytes=1,
                row_count=1, column_count=1, schema=schema.model_dump(mode="json"), profile={}, created_by=principal.id,
            )
        )  # fmt: skip


def test_policies_are_numbered_and_kept(
    train: Callable[..., int], put: Callable[..., PolicyVersion], database: SqlDatabase, principal: Principal
) -> None:
    train(promote=True)
    first = put({"bands": BANDS}, comment="to begin with")
    second = put({"bands": BANDS | {"red": 0.5}})
    again = put(first.policy.model_dump())
    off = put({})
    assert [one.number for one in (first, second, again, off)] == [1, 2, 3, 4]
    assert again.policy == first.policy
    assert first.policy.bands is not None
    assert (first.policy.bands.of, first.policy.bands.measure) == ("CHGOFF", "probability")
    with database.reading() as session:
        assert policies.current(session, principal, "loans").number == 4
        assert policies.get_policy(session, principal, "loans", 1).model_dump() == first.model_dump()
        newest, cursor = policies.history(session, principal, "loans", limit=3)
        rest, end = policies.history(session, principal, "loans", limit=3, after=cursor)
        assert [one.number for one in [*newest, *rest]] == [4, 3, 2, 1]
        assert (rest[0].comment, rest[0].created_by, end) == ("to begin with", "anne", None)
        with pytest.raises(NotFound) as caught:
            policies.get_policy(session, principal, "loans", 5)
    assert caught.value.code == "policy_not_found"


def test_who_may_set_one(
    train: Callable[..., int], put: Callable[..., PolicyVersion], database: SqlDatabase, principal: Principal
) -> None:
    train(promote=True)
    with pytest.raises(NotFound):
        put({"bands": BANDS}, by=Principal("s" * 32, "a stranger", Role.ANALYST))
    with database.transaction() as session:
        share(session, principal, "loans", Sharing(visibility=Visibility.EVERYONE))
    others = [Principal(letter * 32, letter, role) for letter, role in zip("bcd", Role, strict=True)]
    with database.transaction() as session:
        session.add_all(UserRow(id=who.id, name=who.name, role=who.role) for who in others)
    for who in others:
        if who.role is Role.ADMIN:
            assert put({"bands": BANDS}, by=who).created_by == who.name
            continue
        with pytest.raises(Forbidden):
            put({"bands": BANDS}, by=who)


def test_a_model_that_has_none_says_so(
    train: Callable[..., int], database: SqlDatabase, principal: Principal, put: Callable[..., PolicyVersion]
) -> None:
    train(promote=True)
    with database.reading() as session, pytest.raises(NotFound) as caught:
        policies.current(session, principal, "loans")
    assert caught.value.code == "policy_not_found"
    with pytest.raises(InvalidInput) as refused:
        put({"bands": BANDS | {"of": "CHGOF"}})
    assert [(one.field, one.code) for one in refused.value.problems] == [("bands.of", "class_unknown")]


def test_amounts_are_read_as_the_table_was_also_when_that_is_gone(
    train: Callable[..., int],
    put: Callable[..., PolicyVersion],
    priced: None,
    database: SqlDatabase,
    storage: Any,
    principal: Principal,
) -> None:
    train(promote=True)
    assert put(PRICED).columns == ["Price"]
    with database.reading() as session:
        (in_force,) = policies.policies_in_force(session).values()
    assert [(one.name, one.decimal_mark) for one in in_force.columns.features] == [("Price", ",")]
    with database.transaction() as session:
        session.delete(session.get_one(DatasetRow, "d" * 32))
    with database.reading() as session:
        assert policies.policies_in_force(session) != {}
    assert put(PRICED).number == 2
    with pytest.raises(Conflict) as caught:
        preview_policy(database, storage, principal, "loans", Policy.model_validate({"bands": BANDS}))
    assert caught.value.code == "held_out_missing"  # of bundles that were made by hand


def test_a_preview_reads_amounts_from_the_versions_own_table(
    train: Callable[..., int],
    put: Callable[..., PolicyVersion],
    priced: None,
    database: SqlDatabase,
    storage: Any,
    principal: Principal,
) -> None:
    """A column that an earlier policy read from another version's table is none of this one's."""
    train(promote=True)
    put(PRICED)
    other = FeatureSchema(features=(Feature(name="Prices", kind=Kind.NUMBER),))
    with database.transaction() as session:
        session.get_one(DatasetVersionRow, "v" * 32).schema = other.model_dump(mode="json")
    assert put(PRICED).number == 2
    for draft in (None, Policy.model_validate(PRICED)):
        with pytest.raises(InvalidInput) as refused:
            preview_policy(database, storage, principal, "loans", draft)
        (problem,) = refused.value.problems
        assert (problem.field, problem.code) == ('payoff.accept."P I F"', "column_unknown")
        assert "'Price'" in problem.message


def test_policies_go_with_their_model(
    train: Callable[..., int], put: Callable[..., PolicyVersion], database: SqlDatabase, principal: Principal
) -> None:
    train(promote=True)
    put({"bands": BANDS})
    with database.transaction() as session:
        registry.delete_model(session, principal, "loans")
    train(promote=True)
    assert put({"bands": BANDS}).number == 1
