"""New accounts: names, addresses, invitations."""

from __future__ import annotations

import pytest

from rowcast.accounts.links import Purpose, make_link
from rowcast.accounts.principal import Role
from rowcast.accounts.registration import SignUp, admit, checked_email, find_user, register, set_email
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.errors import Conflict, Forbidden, InvalidInput, RowcastError


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


def registered(database, name, **options):
    """The account, or the code of what is wrong."""
    try:
        with database.transaction() as session:
            return register(session, name, **options)
    except RowcastError as error:
        return error.code


@pytest.mark.parametrize(
    ("policy", "invited", "code"),
    [
        (SignUp.OPEN, False, None),
        (SignUp.OPEN, True, None),
        (SignUp.INVITATION, True, None),
        (SignUp.INVITATION, False, "invitation_needed"),
        (SignUp.CLOSED, False, "sign_up_closed"),
        (SignUp.CLOSED, True, "sign_up_closed"),
    ],
)
def test_who_may_open_an_account(policy, invited, code):
    try:
        admit(policy, invited=invited)
    except Forbidden as error:
        assert error.code == code
    else:
        assert code is None


def test_it_is_a_user_s_with_no_address_unless_proven(database):
    user = registered(database, "  Anna   Ivanova ", email="anna@example.org")
    assert (user.name, user.role, user.email, user.email_verified_at) == ("Anna Ivanova", "user", None, None)
    other = registered(database, "boris", email="Boris@Example.org", verified=True, role=Role.ANALYST)
    assert (other.role, other.email) == ("analyst", "boris@example.org")
    assert other.email_verified_at is not None


@pytest.mark.parametrize("name", ["", "  ", "a@b", "a/b", "x" * 101, "a\x00b", "a\u202eb", "a\x1b[2Jb"])
def test_what_is_no_name(database, name):
    assert registered(database, name) == "user_name_invalid"


@pytest.mark.parametrize("name", ["анна", "Анна", "名前", "a.b-c_d", "O'Brien"])
def test_what_is_a_name_and_is_found_again(database, name):
    registered(database, name)
    with database.reading() as session:
        assert find_user(session, f" {name} ").name == name
    assert registered(database, name) == "user_name_taken"


@pytest.mark.parametrize("name", ["Ωмега", "аnna", "Аnna Иванова", "anna3٣", "Владимир II"])
def test_letters_of_several_alphabets_are_no_name(database, name):
    assert registered(database, name) == "user_name_mixed"


@pytest.mark.parametrize("name", ["山田 Taro 2", "김철수 Kim", "Łódź", "Ἀθηνᾶ", "佐々木", "٣ محمد"])
def test_letters_that_are_written_together_are_a_name(database, name):
    registered(database, name)
    with database.reading() as session:
        assert find_user(session, name).name == name


def test_what_unicode_writes_in_two_ways_is_one_name(database):
    registered(database, "Jose\u0301 ﬁnn")
    assert registered(database, "José finn") == "user_name_taken"
    with database.reading() as session:
        assert find_user(session, "José ｆｉｎｎ").name == "José finn"


def test_names_that_differ_by_capitals_are_one(database):
    registered(database, "Anna")
    assert registered(database, "aNNA") == "user_name_taken"
    with database.reading() as session:
        assert find_user(session, "ANNA").name == "Anna"


def test_an_address_is_one_account_s(database):
    registered(database, "anna", email="anna@example.org", verified=True)
    assert registered(database, "boris", email="ANNA@example.org", verified=True) == "email_taken"
    with database.reading() as session:
        assert find_user(session, "Anna@Example.ORG").name == "anna"
    boris = registered(database, "boris")
    with pytest.raises(Conflict), database.transaction() as session:
        set_email(session, session.get(UserRow, boris.id), "anna@example.org")


@pytest.mark.parametrize(
    "email",
    ["", "anna", "@example.org", "anna@", "a b@example.org", "a@b\r\nBcc: c@d", "<a@b>", "a@b,c@d", "a@" + "b" * 260],
)
def test_what_is_no_address(email):
    with pytest.raises(InvalidInput) as caught:
        checked_email(email)
    assert caught.value.code == "email_invalid"


def test_an_invitation_gives_role_and_address_once(database):
    with database.transaction() as session:
        secret = make_link(session, Purpose.INVITATION, email="anna@example.org", role=Role.ANALYST, hours=1)
    assert registered(database, "a@b", invitation=secret) == "user_name_invalid"
    user = registered(database, "anna", invitation=secret, email="other@example.org", role=Role.ADMIN)
    assert (user.role, user.email) == ("analyst", "anna@example.org")
    assert registered(database, "boris", invitation=secret) == "link_used"
    assert registered(database, "boris", invitation="nonsense") == "link_unknown"
    with database.reading() as session:
        assert find_user(session, "boris") is None
