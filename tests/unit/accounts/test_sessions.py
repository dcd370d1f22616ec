"""Sessions: opened, remembered, idle, ended; with clocks of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.sessions import Sessions, delete_old_sessions, end_session, end_sessions, open_session
from rowcast.accounts.tables import AuditRow, SessionRow, UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import NotFound, Unauthenticated
from rowcast.tables import now


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


class Clocks:
    """The one that measures and the one on the wall, moved together."""

    def __init__(self):
        self.seconds = 0.0
        self.start = datetime.now(UTC)

    def monotonic(self):
        return self.seconds

    def today(self):
        return self.start + timedelta(seconds=self.seconds)

    def move(self, *, minutes=0.0, seconds=0.0):
        self.seconds += 60 * minutes + seconds


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def sessions(database, clocks):
    return Sessions(database, clock=clocks.monotonic, today=clocks.today)


@pytest.fixture
def anna(database):
    with database.transaction() as session:
        session.add(user := UserRow(name="anna", role="analyst", requests_per_second=3))
    return user


def signed_in(database, user, **options):
    given = {"address": "192.0.2.1", "agent": "a browser", "how": "password"} | options
    with database.transaction() as session:
        return open_session(session, user.id, **given)


def refused(sessions, token):
    with pytest.raises(Unauthenticated) as caught:
        sessions.authenticate(token)
    return caught.value.code


def statements(database):
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    return seen


def test_a_token_is_random_and_only_its_hash_is_kept(database, anna):
    tokens = {signed_in(database, anna) for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) == 43 for token in tokens)
    with database.reading() as session:
        rows = list(session.scalars(select(SessionRow)))
    assert not any(token in str(vars(row)) for token in tokens for row in rows)


def test_it_is_the_user_s(database, anna, sessions):
    token = signed_in(database, anna)
    principal = sessions.authenticate(token)

    assert (principal.id, principal.name, principal.role) == (anna.id, "anna", Role.ANALYST)
    assert principal.session_id and not principal.key_id and principal.scopes is None
    assert principal.limits.user_requests_per_second == 3
    assert refused(sessions, "") == refused(sessions, token + "x") == refused(sessions, "\udcff") == "session_ended"


def test_opening_is_in_the_audit_log_without_the_token(database, anna):
    token = signed_in(database, anna, how="link")
    with database.reading() as session:
        row = session.scalars(select(AuditRow)).one()
    assert (row.action, row.user_id, row.details) == ("session.opened", anna.id, {"how": "link"})
    assert token not in str(vars(row))


def test_using_it_costs_no_database_for_some_seconds(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    assert sessions.remembered(token) is None
    principal = sessions.authenticate(token)
    seen = statements(database)
    for _ in range(100):
        assert sessions.remembered(token) is sessions.authenticate(token) is principal
    assert seen == []
    clocks.move(seconds=4.1)
    assert sessions.remembered(token) is None
    assert sessions.authenticate(token) == principal


def test_it_ends_after_ten_idle_minutes(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    clocks.move(minutes=9.9)
    sessions.authenticate(token)
    clocks.move(minutes=9.9)
    sessions.authenticate(token)
    clocks.move(minutes=10.1)
    assert sessions.remembered(token) is None
    assert refused(sessions, token) == "session_ended"


def test_one_that_is_used_all_the_time_goes_on(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    for _ in range(200):
        clocks.move(seconds=9)
        sessions.authenticate(token)
    with database.reading() as session:
        row = session.scalars(select(SessionRow)).one()
    assert clocks.today() - row.seen_at < timedelta(seconds=40)


def test_use_is_written_down_at_most_every_half_minute(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    seen = statements(database)
    for _ in range(100):
        clocks.move(seconds=3)
        sessions.authenticate(token)
    assert 1 <= sum(statement.startswith("UPDATE") for statement in seen) <= 10


def test_minutes_are_as_set(database, anna, clocks):
    sessions = Sessions(database, idle_minutes=0.1, clock=clocks.monotonic, today=clocks.today)
    token = signed_in(database, anna)
    for _ in range(10):
        clocks.move(seconds=4)
        sessions.authenticate(token)
    clocks.move(seconds=6.5)
    assert refused(sessions, token) == "session_ended"


def test_one_that_is_ended_is_refused_everywhere_within_five_seconds(database, anna, clocks):
    here, there = (Sessions(database, clock=clocks.monotonic, today=clocks.today) for _ in range(2))
    token = signed_in(database, anna)
    principal = here.authenticate(token)
    assert there.authenticate(token) == principal
    with database.transaction() as session:
        end_session(session, principal, principal.session_id)
    here.forget()
    assert refused(here, token) == "session_ended"
    clocks.move(seconds=5)
    assert there.remembered(token) is None
    assert refused(there, token) == "session_ended"


def test_all_others_can_be_ended(database, anna, sessions):
    tokens = [signed_in(database, anna) for _ in range(3)]
    kept = sessions.authenticate(tokens[0])
    with database.transaction() as session:
        assert end_sessions(session, anna.id, but=kept.session_id) == 2
    sessions.forget()
    assert sessions.authenticate(tokens[0]) == kept
    assert [refused(sessions, token) for token in tokens[1:]] == ["session_ended"] * 2


def test_strangers_cannot_end_it_and_do_not_learn_of_it(database, anna, sessions):
    principal = sessions.authenticate(signed_in(database, anna))
    stranger = Principal("f" * 32, "boris", Role.ANALYST)
    with pytest.raises(NotFound) as theirs, database.transaction() as session:
        end_session(session, stranger, principal.session_id)
    with pytest.raises(NotFound) as nobodys, database.transaction() as session:
        end_session(session, stranger, "0" * 32)
    assert theirs.value.message == nobodys.value.message
    with database.transaction() as session:
        end_session(session, Principal("e" * 32, "root", Role.ADMIN), principal.session_id)


def test_a_blocked_account_is_out_within_five_seconds_and_cannot_come_in(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    sessions.authenticate(token)
    with database.transaction() as session:
        session.get(UserRow, anna.id).blocked_at = now()
    clocks.move(seconds=5)
    assert refused(sessions, token) == "account_blocked"
    with pytest.raises(Unauthenticated) as caught:
        signed_in(database, anna)
    assert caught.value.code == "account_blocked"


def test_another_role_holds_within_five_seconds(database, anna, sessions, clocks):
    token = signed_in(database, anna)
    assert sessions.authenticate(token).role is Role.ANALYST
    with database.transaction() as session:
        session.get(UserRow, anna.id).role = "user"
    clocks.move(seconds=5)
    assert sessions.authenticate(token).role is Role.USER


def test_the_list_has_those_that_live_and_what_is_safe_to_show(database, anna, sessions, clocks):
    signed_in(database, anna)
    clocks.move(minutes=11)
    with database.transaction() as session:
        token = open_session(session, anna.id, address="a" * 100, agent="x\r\n\x1b[2J" + "y" * 500, how="password")
        session.scalars(select(SessionRow).where(SessionRow.address != "192.0.2.1")).one().seen_at = clocks.today()
    principal = sessions.authenticate(token)
    with database.reading() as session:
        [listed] = sessions.of(session, anna.id)
    assert listed.id == principal.session_id
    assert (len(listed.address), len(listed.agent)) == (64, 200)
    assert listed.agent.isprintable()


def test_only_so_many_are_remembered(database, anna, clocks):
    sessions = Sessions(database, capacity=3, clock=clocks.monotonic, today=clocks.today)
    tokens = [signed_in(database, anna) for _ in range(5)]
    for token in tokens:
        sessions.authenticate(token)
    assert [sessions.remembered(token) is not None for token in tokens] == [False, False, True, True, True]


def test_old_ones_are_deleted(database, anna):
    signed_in(database, anna)
    with database.transaction() as session:
        assert delete_old_sessions(session, now() - timedelta(hours=1)) == 0
        assert delete_old_sessions(session, now() + timedelta(hours=1)) == 1
