"""API keys: shown once, kept as a hash, remembered for a moment."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event, select

from rowcast.accounts.keys import Keyring, create_key, first_administrator, new_key, revoke_key
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import ApiKeyRow, UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import InvalidInput, NotFound, Unauthenticated


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def key(database):
    with database.transaction() as session:
        return first_administrator(session)


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def statements(database):
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    return seen


def test_keys_are_long_random_and_tell_themselves_apart():
    keys = {new_key() for _ in range(100)}

    assert len(keys) == 100
    assert all(re.fullmatch(r"rc_[0-9a-z]{8}_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_the_first_start_makes_an_administrator_and_the_second_does_not(database, key):
    with database.transaction() as session:
        assert first_administrator(session) is None
        assert first_administrator(session, "another-key-that-is-long") is None
        stored = session.scalars(select(ApiKeyRow)).one()

    principal = Keyring(database).authenticate(key)
    assert (principal.name, principal.role) == ("admin", Role.ADMIN)
    assert stored.prefix == key.split("_")[1]
    assert key not in str(vars(stored))


def test_the_first_administrators_key_can_be_given(database):
    with database.transaction() as session:
        assert first_administrator(session, "a-key-of-my-own-choice") == "a-key-of-my-own-choice"

    assert Keyring(database).authenticate("a-key-of-my-own-choice").name == "admin"
    with database.reading() as session:
        assert session.scalars(select(ApiKeyRow.prefix)).one() == "own"


@pytest.mark.parametrize("weak", ["short", "with spaces in the key", "ключ-не-для-заголовка", "x" * 201])
def test_a_given_key_that_is_weak_or_no_header_is_refused(database, weak):
    with pytest.raises(InvalidInput), database.transaction() as session:
        first_administrator(session, weak)

    with database.reading() as session:
        assert session.scalars(select(UserRow)).all() == []


@pytest.mark.parametrize("wrong", ["", "rc_", "rc_00000000_" + "x" * 43, "\udc80", "ключ", "x" * 100_000])
def test_nobody_knows_a_wrong_key(database, key, wrong):
    with pytest.raises(Unauthenticated) as caught:
        Keyring(database).authenticate(wrong)
    assert caught.value.code == "key_unknown"


def test_a_key_in_use_costs_no_database_access(database, key):
    clock = Clock()
    keyring = Keyring(database, ttl_seconds=5, clock=clock)
    assert keyring.remembered(key) is None
    principal = keyring.authenticate(key)
    seen = statements(database)

    for _ in range(100):
        assert keyring.authenticate(key) is keyring.remembered(key) is principal
    assert seen == []

    clock.seconds = 5.1
    assert keyring.remembered(key) is None
    assert keyring.authenticate(key) == principal
    assert seen


def test_a_revoked_key_ends_within_its_time_or_at_once(database, key):
    clock = Clock()
    keyring, other = (Keyring(database, ttl_seconds=5, clock=clock) for _ in range(2))
    principal = keyring.authenticate(key)
    other.authenticate(key)

    with database.transaction() as session:
        revoke_key(session, principal, session.scalars(select(ApiKeyRow.id)).one())
    keyring.forget()

    clock.seconds = 5.1
    for ring in (keyring, other):
        with pytest.raises(Unauthenticated) as caught:
            ring.authenticate(key)
        assert caught.value.code == "key_revoked"


def test_keys_are_revoked_by_their_owner_or_an_administrator(database, key):
    with database.transaction() as session:
        user = UserRow(name="ann", role="analyst")
        session.add(user)
        session.flush()
        create_key(session, user.id)
        key_id = session.scalars(select(ApiKeyRow.id).where(ApiKeyRow.user_id == user.id)).one()
        with pytest.raises(NotFound):
            revoke_key(session, Principal("stranger", "bob", Role.ANALYST), key_id)
        revoke_key(session, Principal(user.id, "ann", Role.ANALYST), key_id)


def test_only_so_many_keys_are_remembered(database, key):
    with database.transaction() as session:
        user_id = session.scalars(select(UserRow.id)).one()
        keys = [create_key(session, user_id) for _ in range(5)]
    keyring = Keyring(database, capacity=3)
    for each in keys:
        keyring.authenticate(each)

    assert [keyring.remembered(each) is not None for each in keys] == [False, False, True, True, True]
