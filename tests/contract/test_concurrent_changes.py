"""Changes of the same thing at the same moment, from sessions that could be of different processes: they follow one
another on every database, and whoever comes too late is told so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rowcast.accounts import users
from rowcast.accounts.identities import Identities, linked_of
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.registration import SignUp, register
from rowcast.accounts.tables import IdentityRow, UserRow
from rowcast.accounts.views import User, UserChanges
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets import catalogue, dictionary
from rowcast.datasets.objects import folder_key
from rowcast.datasets.tables import DatasetVersionRow
from rowcast.errors import Conflict, NotFound, RowcastError
from rowcast.licences.licence import Licence
from rowcast.licences.standing import Standing
from rowcast.models import aliases, registry
from rowcast.models.references import aliases_of
from rowcast.models.tables import ModelRow, ModelVersionRow
from rowcast.tables import now
from rowcast.tasks import imports
from rowcast.tasks.claims import cancel

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
SCHEMA = {"features": [{"name": name, "kind": "number"} for name in "abcdefgh"]}
ROUNDS = 15


@pytest.fixture
def database(database):
    with database.transaction() as session:
        session.add(UserRow(id=ANNE.id, name=ANNE.name, role=ANNE.role))
    return database


def at_once(*calls):
    """The results of the calls, all begun at the same moment; of one that failed as it may, the error."""
    ready = threading.Barrier(len(calls))

    def call(one):
        ready.wait(timeout=30)
        try:
            return one()
        except RowcastError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def in_transaction(database, change, *arguments, **named):
    def call():
        with database.transaction() as session:
            return change(session, ANNE, *arguments, **named)

    return call


def add_version(database, number):
    return in_transaction(
        database, catalogue.add_version, "loans", content_hash=f"{number:064}", filename="loans.csv", size_bytes=1,
        row_count=1, schema=SCHEMA, profile={},
    )  # fmt: skip


def add_model(database, name="loans"):
    with database.transaction() as session:
        model = ModelRow(name=name, owner_id=ANNE.id, last_number=2)
        session.add(model)
        session.flush()
        session.add_all(
            ModelVersionRow(
                model_id=model.id, number=number, algorithm="linear", problem="binary", dataset_version_id="v" * 32,
                training_task_id=f"{model.id[:20]}{number}", target="y", dataset="loans", dataset_number=1, metrics=[],
                recipe={}, manifest={}, schema={}, evaluation={}, card="", bundle_key=f"bundles/{model.id}/{number}",
                bundle_hash="", created_by=ANNE.id,
            )
            for number in (1, 2)
        )  # fmt: skip
        return model.id


def test_versions_of_a_new_dataset_are_numbered_in_turn(database):
    added = at_once(*(add_version(database, number) for number in range(8)))

    assert sorted(version.number for version, created in added if created) == [*range(1, 9)]


def test_the_same_bytes_are_one_version(database):
    added = at_once(*(add_version(database, 1) for _ in range(8)))

    assert sum(created for _, created in added) == 1
    assert len({version.id for version, _ in added}) == 1


def test_descriptions_of_different_columns_are_all_kept(database):
    add_version(database, 1)()

    at_once(*(in_transaction(database, dictionary.merge_dictionary, "loans", {name: name}) for name in "abcdefgh"))

    with database.reading() as session:
        assert dictionary.get_dictionary(session, ANNE, "loans") == {name: name for name in "abcdefgh"}


def test_a_dataset_that_is_deleted_takes_every_version_with_it(database):
    for _ in range(ROUNDS):
        add_version(database, 1)()
        deleted, (late, _) = at_once(
            in_transaction(database, catalogue.delete_dataset, "loans"), add_version(database, 2)
        )
        with database.transaction() as session:
            left = set(session.scalars(select(DatasetVersionRow.content_hash)))
            assert left == set() or left == {late.content_hash}
            assert {*deleted, *left} >= {f"{1:064}", late.content_hash}
            if left:
                catalogue.delete_dataset(session, ANNE, "loans")


def test_one_of_two_who_delete_finds_it_gone(database):
    for _ in range(ROUNDS):
        add_version(database, 1)()
        add_model(database)
        outcomes = at_once(
            *[in_transaction(database, catalogue.delete_dataset, "loans")] * 2,
            *[in_transaction(database, registry.delete_model, "loans")] * 2,
        )
        assert sorted(isinstance(one, NotFound) for one in outcomes[:2]) == [False, True]
        assert sorted(isinstance(one, NotFound) for one in outcomes[2:]) == [False, True]


def test_an_alias_never_points_at_a_version_that_is_deleted(database):
    for number in range(ROUNDS):
        name = f"loans-{number}"
        add_model(database, name)
        promoted, deleted = at_once(
            in_transaction(database, aliases.promote, name, 2),
            in_transaction(database, registry.delete_version, name, 2),
        )
        assert isinstance(promoted, NotFound) != isinstance(deleted, Conflict)


def test_a_model_is_deleted_while_its_aliases_move(database):
    for _ in range(ROUNDS):
        add_model(database)
        with database.transaction() as session:
            aliases.promote(session, ANNE, "loans", 1)
        outcomes = at_once(
            in_transaction(database, aliases.promote, "loans", 2),
            in_transaction(database, registry.delete_model, "loans"),
            in_transaction(database, aliases.set_alias, "loans", "challenger", 1),
        )
        assert {type(one) for one in outcomes if isinstance(one, RowcastError)} <= {NotFound}
        assert len(outcomes[1]) == 2


def test_moves_of_an_alias_are_recorded_one_after_the_other(database):
    add_model(database)

    events = at_once(*(in_transaction(database, aliases.promote, "loans", number) for number in (1, 2) * 4))

    with database.reading() as session:
        history, _ = aliases.history(session, ANNE, "loans")
        model = session.scalars(select(ModelRow)).one()
        assert aliases_of(session, model) == {"champion": history[0].number}
    assert len(history) == len(events)
    assert [event.previous for event in history] == [event.number for event in history[1:]] + [None]


def test_a_table_is_not_deleted_under_an_import_of_the_same_bytes(database, tmp_path: Path):
    storage = LocalStorage(tmp_path / "storage")
    key = f"{folder_key('f' * 64)}/source"

    for number in range(ROUNDS):

        def begin(session, principal, number=number):
            imports.submit_import(
                session, principal, task_id=f"{number:032}", name="loans", filename="x", content_hash="f" * 64
            )
            storage.put(key, b"x")  # as its worker would, which is later still

        at_once(
            in_transaction(database, begin),
            lambda: imports.delete_unused_content(database, storage, "f" * 64),
        )
        assert storage.read(key) == b"x"
        with database.transaction() as session:
            cancel(session, f"{number:032}")


def test_two_administrators_who_demote_each_other_leave_one(database):
    def by(who, name):
        def call():
            with database.transaction() as session:
                return users.change_user(session, who, name, UserChanges(role=Role.USER))

        return call

    for number in range(ROUNDS):
        names = [f"{letter}{number}" for letter in "xy"]
        with database.transaction() as session:
            session.execute(update(UserRow).values(role=Role.USER.value))
            session.add_all(UserRow(id=f"{name:>032}", name=name, role=Role.ADMIN.value) for name in names)
        first, second = (Principal(f"{name:>032}", name, Role.ADMIN) for name in names)
        outcomes = at_once(by(first, second.name), by(second, first.name))
        assert sorted([type(outcome) for outcome in outcomes], key=str) == sorted([Conflict, User], key=str)
        with database.reading() as session:
            admins = session.scalars(select(UserRow).where(UserRow.role == Role.ADMIN.value)).all()
        assert len(admins) == 1


def test_the_last_seat_is_taken_once(database):
    standing = Standing(Licence("1", "a customer", seats=4, expires_at=now() + timedelta(days=1)))

    def join(number):
        def call():
            with database.transaction() as session:
                return register(session, f"user {number}", standing=standing)

        return call

    joined = at_once(*[join(number) for number in range(16)])
    refused = [one.code for one in joined if isinstance(one, RowcastError)]
    assert refused == ["licence_seats"] * 13, "anne has one of the four"


def test_one_way_in_stays_when_both_are_given_up_at_once(database):
    with database.transaction() as session:
        for subject in "ab":
            session.add(IdentityRow(id=subject, user_id=ANNE.id, provider="oidc", issuer="i", subject=subject, name=""))
    identities = Identities(database, sign_up=SignUp.OPEN)
    given_up = at_once(*[partial(identities.unlink, ANNE, each) for each in "ab"])
    assert sorted(getattr(one, "code", "") for one in given_up) == ["", "last_way_in"]
    with database.reading() as session:
        assert len(linked_of(session, ANNE)) == 1
