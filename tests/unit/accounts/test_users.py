"""Users as administrators see them, and what the audit log says of it."""

from __future__ import annotations

import pytest

from rowcast.accounts import audit, users
from rowcast.accounts.audit import DeedsWanted, list_deeds
from rowcast.accounts.keys import first_administrator
from rowcast.accounts.links import Purpose, look_at
from rowcast.accounts.principal import Principal, Role, Scope
from rowcast.accounts.sessions import open_session
from rowcast.accounts.tables import SessionRow, UserRow
from rowcast.accounts.views import NewInvitation, NewUser, UserChanges
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound


@pytest.fixture
def opened(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def boss(opened):
    with opened.transaction() as session:
        first_administrator(session)
        user = session.query(UserRow).one()
        return Principal(user.id, user.name, Role.ADMIN)


def add(database, boss, name="anna", **fields):
    with database.transaction() as session:
        return users.add_user(session, boss, NewUser(name=name, **fields))


def change(database, boss, name, **fields):
    with database.transaction() as session:
        return users.change_user(session, boss, name, UserChanges(**fields))


def deeds(database, principal, **wanted):
    with database.reading() as session:
        return [deed.action for deed in list_deeds(session, principal, DeedsWanted(**wanted))[0]]


def test_an_account_is_made_with_a_link_to_choose_a_password(opened, boss):
    user, secret = add(opened, boss, email="Anna@Example.org", role=Role.ANALYST)
    assert (user.name, user.email, user.role) == ("anna", "anna@example.org", Role.ANALYST)
    with opened.reading() as session:
        assert look_at(session, Purpose.RESET, secret).user_id == user.id
        assert [each.name for each in users.list_users(session, boss)[0]] == ["admin", "anna"]
    with pytest.raises(Conflict):
        add(opened, boss)
    with pytest.raises(InvalidInput):
        add(opened, boss, "an@na")


def test_roles_and_limits_change_alone_and_are_on_record(opened, boss):
    add(opened, boss)
    assert change(opened, boss, "anna", role=Role.ANALYST).role is Role.ANALYST
    limited = change(opened, boss, "anna", requests_per_second=5, rows_per_day=100)
    assert (limited.requests_per_second, limited.rows_per_day, limited.role) == (5, 100, Role.ANALYST)
    freed = change(opened, boss, "anna", rows_per_day=None)
    assert (freed.requests_per_second, freed.rows_per_day) == (5, None)
    assert change(opened, boss, "anna") == freed
    assert deeds(opened, boss, action="user.")[:3] == ["user.limits", "user.limits", "user.role"]


def test_who_is_blocked_is_signed_out_and_their_links_are_void(opened, boss):
    user, secret = add(opened, boss)
    with opened.transaction() as session:
        open_session(session, user.id, address="", agent="", how="test")
    assert change(opened, boss, "anna", blocked=True).blocked_at is not None
    with opened.transaction() as session:
        assert session.query(SessionRow).count() == 0
        with pytest.raises(InvalidInput):
            look_at(session, Purpose.RESET, secret)
        with pytest.raises(Conflict):
            users.make_user_link(session, boss, "anna", Purpose.SIGN_IN)
    assert change(opened, boss, "anna", blocked=False).blocked_at is None


@pytest.mark.parametrize("deed", [{"role": Role.USER}, {"blocked": True}])
def test_the_last_administrator_stays(opened, boss, deed):
    with pytest.raises(Conflict) as caught:
        change(opened, boss, "admin", **deed)
    assert caught.value.code == "last_administrator"
    add(opened, boss, role=Role.ADMIN)
    change(opened, boss, "admin", **deed)
    with pytest.raises(Conflict):
        change(opened, boss, "anna", **deed)


def test_a_link_and_an_invitation(opened, boss):
    user, _ = add(opened, boss)
    with opened.transaction() as session:
        secret = users.make_user_link(session, boss, "anna", Purpose.SIGN_IN)
        assert look_at(session, Purpose.SIGN_IN, secret).user_id == user.id
        invitation = users.invite(session, boss, NewInvitation(email="b@example.org", role=Role.ANALYST))
        link = look_at(session, Purpose.INVITATION, invitation)
        assert (link.email, link.role, link.made_by) == ("b@example.org", "analyst", boss.id)
        with pytest.raises(NotFound):
            users.make_user_link(session, boss, "nobody", Purpose.RESET)


@pytest.mark.parametrize(
    "principal",
    [Principal("x", "eve", Role.ANALYST), Principal("x", "eve", Role.ADMIN, frozenset({Scope.READ, Scope.ACCOUNT}))],
)
def test_only_administrators_administer(opened, boss, principal):
    add(opened, boss)
    with opened.transaction() as session:
        for deed in (
            lambda: users.list_users(session, principal),
            lambda: users.user_view(session, principal, "anna"),
            lambda: users.add_user(session, principal, NewUser(name="eve")),
            lambda: users.change_user(session, principal, "anna", UserChanges(role=Role.ADMIN)),
            lambda: users.make_user_link(session, principal, "anna", Purpose.SIGN_IN),
            lambda: users.invite(session, principal, NewInvitation()),
        ):
            with pytest.raises(Forbidden):
                deed()


def test_the_log_shows_everyone_their_own_deeds_and_an_administrator_all(opened, boss):
    user, _ = add(opened, boss)
    anna = Principal(user.id, "anna", Role.USER, key_id="k" * 32)
    token = audit.caller_address.set("192.0.2.7")
    try:
        with opened.transaction() as session:
            audit.record(session, "key.made", "a key", principal=anna, scopes=["read"])
    finally:
        audit.caller_address.reset(token)
    with opened.reading() as session:
        (own,), _ = list_deeds(session, anna, DeedsWanted())[0][:1], None
        everyones = list_deeds(session, boss, DeedsWanted())[0]
        some, following = list_deeds(session, boss, DeedsWanted(), limit=1)
        rest, _ = list_deeds(session, boss, DeedsWanted(), after=following)
    assert (own.action, own.user, own.address, own.key_id) == ("key.made", "anna", "192.0.2.7", "k" * 32)
    assert own.details == {"scopes": ["read"]}
    assert len(everyones) > 1
    assert [*some, *rest] == everyones
    assert deeds(opened, boss, user="anna", action="key.made", subject="a key") == ["key.made"]
    assert deeds(opened, boss, since=own.at, until=own.at) == []
    assert "user.added" not in deeds(opened, anna)
    assert deeds(opened, boss, mine=True, action="key.made") == []


def test_a_deed_that_is_rolled_back_is_not_on_record(opened, boss):
    with pytest.raises(RuntimeError), opened.transaction() as session:
        audit.record(session, "model.promoted", "loans", principal=boss)
        raise RuntimeError
    assert deeds(opened, boss, action="model.promoted") == []
