"""Whose account an identity is, and how somebody is awaited back, on every database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from rowcast.accounts import authorizations
from rowcast.accounts.access import Visitor
from rowcast.accounts.callers import caller_of
from rowcast.accounts.identities import Identities
from rowcast.accounts.links import Purpose, make_link, use_invitation_for
from rowcast.accounts.principal import Role
from rowcast.accounts.providers import Identity
from rowcast.accounts.registration import SignUp
from rowcast.accounts.tables import AuthorizationRow, IdentityRow, LinkRow, UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Conflict, RowcastError, Unauthenticated
from rowcast.tables import now

GITHUB = SimpleNamespace(name="github", title="GitHub", issuer="https://api.example.org")
VISITOR = Visitor("192.0.2.1", "a browser")
ANNA = Identity("7", "anna", "anna@example.org")
BACK = "https://rowcast.example.org/sign-in/github/callback"


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def identities(database):
    return Identities(database, sign_up=SignUp.OPEN)


def at_once(*calls):
    """What each of the calls gives or raises, all begun at the same moment."""
    ready = threading.Barrier(len(calls))

    def call(one):
        ready.wait(timeout=30)
        try:
            return one()
        except RowcastError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_the_first_time_at_once_is_one_account(database, identities):
    opened = at_once(*[lambda: identities.sign_in(GITHUB, ANNA, VISITOR)] * 4)
    assert len({each.user.id for each in opened}) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(IdentityRow)) == 1


def test_the_same_subject_at_another_server_is_somebody_else(identities):
    elsewhere = SimpleNamespace(name="github", title="GitHub", issuer="https://github.example.org/api/v3")
    one = identities.sign_in(GITHUB, ANNA, VISITOR)
    other = identities.sign_in(elsewhere, Identity("7", "boris", "boris@example.org"), VISITOR)
    assert one.user.id != other.user.id


def test_odd_names_are_made_plain(database, identities):
    opened = identities.sign_in(GITHUB, Identity("8", "an\x00na\ud800/\u202eb@x", "a@example.org"), VISITOR)
    assert opened.user.name == "anna b"
    with database.reading() as session:
        assert session.scalar(select(IdentityRow.name)) == "anna/b@x"


def test_an_account_whose_address_was_never_confirmed_is_not_given_away(database, identities):
    with database.transaction() as session:
        session.add(UserRow(name="somebody", role=Role.ADMIN.value, email=ANNA.email))
    with pytest.raises(Conflict, match="Sign in to it") as refused:
        identities.sign_in(GITHUB, ANNA, VISITOR)
    assert refused.value.code == "email_unconfirmed"
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(IdentityRow)) == 0


def test_what_is_refused_uses_up_no_invitation(database):
    with database.transaction() as session:
        make_link(session, Purpose.INVITATION, email=ANNA.email, hours=1)
    with pytest.raises(RowcastError) as refused:
        Identities(database, sign_up=SignUp.CLOSED).sign_in(GITHUB, ANNA, VISITOR)
    assert refused.value.code == "sign_up_closed"
    with database.reading() as session:
        assert session.scalars(select(LinkRow.used_at)).all() == [None]


def test_an_invitation_holds_for_its_address_and_time_and_once(database):
    with database.transaction() as session:
        make_link(session, Purpose.INVITATION, email="Anna@example.org", role=Role.ANALYST, hours=1)
        make_link(session, Purpose.INVITATION, hours=1)
        make_link(session, Purpose.RESET, email="boris@example.org", hours=1)
        assert use_invitation_for(session, "boris@example.org") is None
        assert use_invitation_for(session, "anna@example.org", now() + timedelta(hours=2)) is None
        assert use_invitation_for(session, "anna@example.org").role == "analyst"
        assert use_invitation_for(session, "anna@example.org") is None


def test_of_two_ways_in_one_stays_also_when_both_go_at_once(database, identities):
    user = identities.sign_in(GITHUB, ANNA, VISITOR).user
    principal = caller_of(user)
    identities.link(principal, SimpleNamespace(name="oidc", title="X", issuer="https://x.example"), ANNA)
    with database.reading() as session:
        ids = session.scalars(select(IdentityRow.id)).all()
    results = at_once(*[lambda one=one: identities.unlink(principal, one) for one in ids])
    assert sorted(getattr(each, "code", "gone") for each in results) == ["gone", "last_way_in"]


def leave(database, browser="b" * 43):
    with database.transaction() as session:
        return authorizations.leave(session, "github", browser, redirect_uri=BACK, following="/x")


def come_back(database, state, browser="b" * 43, *, provider="github", moment=None):
    with database.transaction() as session:
        return authorizations.come_back(session, provider, browser, state, redirect_uri=BACK, moment=moment)


def test_who_left_comes_back_as_they_left_and_once(database):
    left = leave(database)
    arrival = come_back(database, left.state)
    assert (arrival.authorization, arrival.following, arrival.user_id) == (left, "/x", None)
    with pytest.raises(Unauthenticated):
        come_back(database, left.state)


def test_of_several_who_come_back_at_once_one_does(database):
    state = leave(database).state
    results = at_once(*[lambda: come_back(database, state)] * 4)
    assert sorted(getattr(each, "code", "back") for each in results) == ["back"] + ["sign_in_not_begun"] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"browser": "c" * 43},
        {"browser": ""},
        {"provider": "oidc"},
        {"moment": now() + timedelta(days=1)},
    ],
)
def test_what_is_wrong_is_refused_and_leaves_the_right_one_awaited(database, wrong):
    left = leave(database)
    with pytest.raises(Unauthenticated):
        come_back(database, left.state, **wrong)
    assert come_back(database, left.state).authorization == left


def test_those_who_never_come_back_are_forgotten(database):
    leave(database)
    with database.transaction() as session:
        session.query(AuthorizationRow).one().expires_at = now() - timedelta(seconds=1)
    leave(database)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(AuthorizationRow)) == 1


def test_each_time_has_secrets_of_its_own_that_nobody_is_shown(database):
    one, other = leave(database), leave(database)
    secrets = [secret for each in (one, other) for secret in (each.state, each.verifier, each.nonce)]
    assert len(set(secrets)) == 6
    assert {len(secret) for secret in secrets} == {43}
    assert not any(secret in repr(one) for secret in secrets)


@pytest.mark.parametrize(("cookie", "kept"), [("a" * 43, True), ("", False), ("a" * 42, False), ("é" * 43, False)])
def test_a_browser_keeps_its_secret_for_its_other_tabs(cookie, kept):
    secret = authorizations.browser_secret(cookie)
    assert (secret == cookie) == kept
    assert len(secret) == 43
