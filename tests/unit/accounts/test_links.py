"""Links that work once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from rowcast.accounts.links import Purpose, delete_old_links, look_at, make_link, use_link, void_links
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import LinkRow, UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import InvalidInput
from rowcast.tables import now


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


def made(database, purpose=Purpose.INVITATION, **options):
    with database.transaction() as session:
        return make_link(session, purpose, **{"hours": 1} | options)


def used(database, secret, purpose=Purpose.INVITATION, **options):
    """What the link was for, or the code of what is wrong with it."""
    try:
        with database.transaction() as session:
            return use_link(session, purpose, secret, **options)
    except InvalidInput as error:
        assert not secret or secret not in error.message
        return error.code


def test_it_works_once_and_says_what_it_is_for(database):
    secret = made(database, email="Anna@Example.org", role=Role.ANALYST, made_by="0" * 32)
    row = used(database, secret)

    assert (row.email, row.role, row.user_id, row.made_by) == ("anna@example.org", "analyst", None, "0" * 32)
    assert used(database, secret) == "link_used"


def test_only_its_hash_is_kept(database):
    secret = made(database)
    with database.reading() as session:
        assert secret not in str(vars(session.scalars(select(LinkRow)).one()))
    assert len(secret) == 43


def test_looking_at_it_does_not_use_it_up(database):
    secret = made(database)
    for _ in range(3):
        with database.reading() as session:
            assert look_at(session, Purpose.INVITATION, secret).used_at is None
    assert used(database, secret).purpose == "invitation"


def test_it_is_for_one_purpose(database):
    secret = made(database)
    assert used(database, secret, Purpose.RESET) == "link_unknown"
    assert used(database, secret, Purpose.SIGN_IN) == "link_unknown"
    assert used(database, "") == "link_unknown"
    assert used(database, "\udcff") == "link_unknown"
    assert used(database, secret).purpose == "invitation"


def test_it_runs_out(database):
    secret = made(database, hours=1)
    assert used(database, secret, moment=now() + timedelta(minutes=61)) == "link_expired"
    assert used(database, secret, moment=now() + timedelta(minutes=59)).used_at is not None


def test_of_many_who_follow_it_at_once_one_succeeds(database):
    secret, answers, ready = made(database), [], threading.Barrier(8)

    def follow():
        ready.wait()
        answers.append(used(database, secret))

    threads = [threading.Thread(target=follow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer == "link_used" for answer in answers) == [False] + [True] * 7


def test_those_of_a_user_can_be_made_void(database):
    with database.transaction() as session:
        session.add(user := UserRow(name="anna", role="user"))
        session.flush()
        own, other = (
            make_link(session, purpose, user_id=user.id, hours=1) for purpose in (Purpose.RESET, Purpose.EMAIL)
        )
        void_links(session, user.id, Purpose.RESET, Purpose.SIGN_IN)
    assert used(database, own, Purpose.RESET) == "link_unknown"
    assert used(database, other, Purpose.EMAIL).user_id == user.id


def test_old_ones_are_deleted(database):
    made(database, hours=1), made(database, hours=3)
    with database.transaction() as session:
        assert delete_old_links(session, now() + timedelta(hours=2)) == 1
