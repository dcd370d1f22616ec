"""API keys: shown once, kept as a hash, remembered for a moment."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from rowcast.accounts import users
from rowcast.accounts.keyring import Keyring
from rowcast.accounts.keys import create_key, first_administrator, list_keys, make_key, new_key, revoke_key
from rowcast.accounts.links import Purpose
from rowcast.accounts.principal import Limits, Principal, Role, Scope
from rowcast.accounts.tables import ApiKeyRow, AuditRow, UserRow
from rowcast.accounts.views import NewInvitation, NewKey, NewUser, UserChanges
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from rowcast.tables import now


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


def ann(database, role=Role.ANALYST):
    """A new user as a caller."""
    with database.transaction() as session:
        user = UserRow(name="ann", role=role.value)
        session.add(user)
        session.flush()
        return Principal(user.id, "ann", role)


def made(database, principal, most_days=0, **wanted):
    with database.transaction() as session:
        return make_key(session, principal, NewKey(name="a machine", **wanted), most_days=most_days)


def test_a_key_is_made_shown_once_and_listed(database):
    principal = ann(database)
    key = made(database, principal, scopes=[Scope.PREDICT, Scope.READ], requests_per_second=2.5, rows_per_day=100)

    caller = Keyring(database).authenticate(key.key)
    assert (caller.id, caller.key_id, caller.scopes) == (principal.id, key.id, {Scope.PREDICT, Scope.READ})
    assert caller.limits == Limits(key_requests_per_second=2.5, key_rows_per_day=100)
    with database.reading() as session:
        (listed,), following = list_keys(session, principal)
        deed = session.scalars(select(AuditRow)).one()
    assert following is None
    assert listed.model_dump() == key.model_dump(exclude={"key"})
    assert (deed.action, deed.user_id) == ("key.made", principal.id)
    assert key.key not in repr((listed, deed.details, deed.subject))


def test_a_key_without_scopes_may_what_the_role_may(database):
    caller = Keyring(database).authenticate(made(database, ann(database)).key)
    assert caller.scopes is None
    assert caller.limits is None
    caller.require(Role.ANALYST, scope=Scope.TRAIN)


def test_scopes_narrow_and_bring_reading_along():
    anyone = Principal("a", "ann", Role.ADMIN, frozenset({Scope.TRAIN}))
    assert anyone.has(Scope.TRAIN) and anyone.has(Scope.READ)
    assert not (anyone.has(Scope.PREDICT) or anyone.has(Scope.ACCOUNT) or anyone.has(Scope.ADMIN))
    assert not anyone.owns("b")
    with pytest.raises(Forbidden) as caught:
        anyone.require(scope=Scope.ADMIN)
    assert caught.value.code == "scope_required"


def test_a_key_made_with_a_key_has_no_more_than_that(database):
    principal = ann(database)
    soon = now() + timedelta(days=1)
    first = made(database, principal, scopes=[Scope.PREDICT, Scope.ACCOUNT], expires_at=soon)
    caller = Keyring(database).authenticate(first.key)

    alike = made(database, caller)
    assert set(alike.scopes) == {Scope.PREDICT, Scope.ACCOUNT}
    assert alike.expires_at == soon
    lower = made(database, caller, scopes=[Scope.READ], rows_per_day=3)
    assert (lower.scopes, lower.rows_per_day) == ([Scope.READ], 3)
    with pytest.raises(Forbidden) as caught:
        made(database, caller, scopes=[Scope.TRAIN])
    assert caught.value.code == "scope_required"
    with pytest.raises(InvalidInput) as caught:
        made(database, caller, expires_at=soon + timedelta(days=1))
    assert caught.value.code == "expiry_invalid"


@pytest.mark.parametrize("limit", ["requests_per_second", "rows_per_day", "credits_per_month"])
def test_a_key_with_limits_makes_no_other_which_would_have_limits_of_its_own(database, limit):
    limited = made(database, ann(database), **{limit: 1})
    with pytest.raises(Forbidden) as caught:
        made(database, Keyring(database).authenticate(limited.key))
    assert caught.value.code == "key_bounded"


@pytest.mark.parametrize(
    "bounds",
    [{"scopes": [Scope.ADMIN, Scope.ACCOUNT]}, {"rows_per_day": 5}, {"expires_at": now() + timedelta(days=1)}],
    ids=["scopes", "limits", "end"],
)
def test_a_bounded_key_of_an_administrator_makes_nobody_and_no_way_in(database, bounds):
    caller = Keyring(database).authenticate(made(database, ann(database, Role.ADMIN), **bounds).key)
    assert caller.bounded
    with database.transaction() as session:
        for gain in (
            lambda: users.make_user_link(session, caller, caller.name, Purpose.SIGN_IN),
            lambda: users.invite(session, caller, NewInvitation(role=Role.ADMIN)),
            lambda: users.add_user(session, caller, NewUser(name="eve", role=Role.ADMIN)),
            lambda: users.change_user(session, caller, caller.name, UserChanges(role=Role.ANALYST)),
        ):
            with pytest.raises(Forbidden) as caught:
                gain()
            assert caught.value.code == "key_bounded"


def test_a_key_has_no_scope_that_the_role_has_no_use_for(database):
    principal = ann(database, Role.USER)
    for scope in (Scope.TRAIN, Scope.ADMIN):
        with pytest.raises(Forbidden) as caught:
            made(database, principal, scopes=[scope])
        assert caught.value.code == "role_required"


def test_a_key_ends_when_it_is_to_and_not_in_the_past_or_too_late(database):
    principal = ann(database)
    key = made(database, principal, expires_at=now() + timedelta(seconds=100))
    clock, later = Clock(), now() + timedelta(seconds=98)
    keyring = Keyring(database, clock=clock, today=lambda: later)
    assert keyring.authenticate(key.key) == keyring.remembered(key.key)
    clock.seconds = 2.1
    assert keyring.remembered(key.key) is None, "it is remembered no longer than it works"
    with pytest.raises(Unauthenticated) as caught:
        Keyring(database, today=lambda: now() + timedelta(seconds=101)).authenticate(key.key)
    assert caught.value.code == "key_expired"

    with pytest.raises(InvalidInput):
        made(database, principal, expires_at=now() - timedelta(seconds=1))
    with pytest.raises(InvalidInput):
        made(database, principal, most_days=30, expires_at=now() + timedelta(days=31))
    latest = made(database, principal, most_days=30).expires_at
    assert abs(latest - now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_blocked_user_has_no_keys_that_work(database):
    key = made(database, ann(database)).key
    with database.transaction() as session:
        session.scalars(select(UserRow)).one().blocked_at = now()
    with pytest.raises(Unauthenticated) as caught:
        Keyring(database).authenticate(key)
    assert caught.value.code == "account_blocked"


def test_the_last_use_is_written_down_apart_and_never_goes_back(database):
    principal = ann(database)
    key = made(database, principal)
    early, late = now() - timedelta(hours=1), now()
    keyrings = [Keyring(database, today=lambda moment=moment: moment) for moment in (late, early)]
    for keyring in keyrings:
        keyring.authenticate(key.key)

    def last_used():
        with database.reading() as session:
            return session.scalars(select(ApiKeyRow.last_used_at)).one()

    assert last_used() is None
    for keyring in keyrings:
        keyring.write_uses()
    assert last_used() == late


def test_uses_are_written_when_the_server_stops(database):
    key = made(database, ann(database))
    keyring = Keyring(database)
    keyring.start()
    keyring.authenticate(key.key)
    keyring.close()
    with database.reading() as session:
        assert session.scalars(select(ApiKeyRow.last_used_at)).one() is not None


def test_keys_of_others_are_for_administrators(database):
    principal = ann(database)
    key = made(database, principal)
    with database.reading() as session:
        boss = Principal("boss", "boss", Role.ADMIN)
        assert [each.id for each in list_keys(session, boss, user="ann")[0]] == [key.id]
        assert list_keys(session, boss)[0] == []
        with pytest.raises(NotFound):
            list_keys(session, boss, user="nobody")
        with pytest.raises(Forbidden):
            list_keys(session, Principal("x", "eve", Role.ANALYST), user="ann")
    with database.transaction() as session:
        revoke_key(session, boss, key.id)
        assert list_keys(session, principal)[0] == []
        assert len(list_keys(session, principal, revoked=True)[0]) == 1
