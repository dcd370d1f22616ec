"""Accounts on the command line and in the client, on a real server: signing in, keys, users, sharing, limits, the audit
log."""

from __future__ import annotations

import io
import json
import sys
import time
from datetime import timedelta

import people
import pytest

from rowcast.client import Client
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import NotFound, TooMany, Unauthenticated
from rowcast.tables import now

ROW = {"city": "Reno", "amount": 50}


@pytest.fixture(scope="module")
def own(tmp_path_factory, server_class):
    """A server whose users are this module's."""
    running = server_class(tmp_path_factory.mktemp("accounts") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def boss(own):
    with own.client() as client:
        yield client


@pytest.fixture(scope="module")
def loans(boss, tmp_path_factory):
    """The administrator's own model, by its name."""
    table = tmp_path_factory.mktemp("table") / "loans.csv"
    lines = [f"{'Reno' if n % 3 else 'Ely'},{n * 7 % 100},{'yes' if n * 7 % 100 > 40 else 'no'}" for n in range(200)]
    table.write_text("\n".join(["city,amount,good", *lines]))
    boss.datasets.add(table, name="loans")
    boss.train_and_wait(dataset="loans", target="good", algorithms=["baseline"])
    return "loans"


@pytest.fixture
def rowcast(own, tmp_path, monkeypatch, capfd):
    """Runs a command on a machine where nobody is signed in; ``typed`` is what comes by standard input."""
    for name in ("ROWCAST_API_KEY", "ROWCAST_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROWCAST_DATA_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments, code=0, typed=""):
        capfd.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        given = [str(argument) for argument in arguments]
        ended = run(Servers(*[lambda *_: 0] * len(Servers.__annotations__)), ["--url", own.url, *given])
        out, err = capfd.readouterr()
        assert ended == code, err
        return err if code else out

    return call


@pytest.fixture
def anna(boss, own):
    """The name of a new user who has chosen a password, and a client of hers."""
    name = f"anna {len(boss.users.list())}"
    key = people.join(own.url, own.key, name, "analyst")
    with Client(own.url, key) as client:
        yield name, client


def test_signing_in_makes_a_key_for_this_machine_and_signing_out_revokes_it(rowcast, anna, tmp_path):
    name, _ = anna
    said = rowcast("login", "--user", name, typed=f"{people.PASSWORD}\n")
    assert f"You are {name} (analyst)" in said
    kept = json.loads((tmp_path / "mine" / "credentials.json").read_text())
    assert (tmp_path / "mine" / "credentials.json").stat().st_mode & 0o077 == 0
    assert kept["api_key"] not in said

    keys = json.loads(rowcast("keys", "list", "--json"))
    assert kept["key_id"] in [key["id"] for key in keys]
    assert "Signed out" in rowcast("logout")
    assert json.loads((tmp_path / "mine" / "credentials.json").read_text())["api_key"] is None
    with Client(kept["url"], kept["api_key"]) as client, pytest.raises(Unauthenticated) as caught:
        client.me()
    assert caught.value.code == "key_revoked"
    assert "holds no key" in rowcast("logout", code=4)


def test_a_wrong_password_signs_nobody_in(rowcast, anna, tmp_path):
    said = rowcast("login", "--user", anna[0], typed="something else\n", code=5)
    assert "name or the password is wrong" in said
    assert "rowcast users link NAME" in said
    assert not (tmp_path / "mine" / "credentials.json").exists()


def test_a_key_is_read_from_the_input_and_stays_when_signing_out(rowcast, own):
    assert "You are admin (admin)" in rowcast("login", "--key", typed=f"{own.key}\n")
    assert "was not made by 'rowcast login'" in rowcast("logout", code=4)
    assert "Say --yes" in rowcast("login", "--key", typed=f"{own.key}\n", code=2)
    rowcast("login", "--key", "--yes", typed=f"{own.key}\n")


def test_signing_in_that_fails_says_what_to_do(rowcast, own, anna):
    assert "Standard input holds no key" in rowcast("login", "--key", typed="\n", code=2)
    for key in ("rc_wrong", anna[1].keys.make("short", expires_at=now() - timedelta(seconds=-1)).key):
        while key != "rc_wrong" and not ended(own.url, key):
            time.sleep(0.1)
        assert "Sign in again with `rowcast login`" in rowcast("login", "--key", typed=f"{key}\n", code=5)
    elsewhere = rowcast("--url", f"{own.url}/elsewhere", "login", "--key", typed=f"{own.key}\n", code=3)
    assert "Is this the address of a Rowcast server" in elsewhere
    assert "Sign in with `rowcast login`" in rowcast("keys", "list", code=5)


def ended(url, key):
    with Client(url, key, retries=0) as client:
        try:
            client.me()
        except Unauthenticated:
            return True
        return False


def test_keys_are_made_listed_and_revoked(rowcast, own, anna):
    _, client = anna
    key = client.keys.make("for the commands").key
    made = json.loads(
        rowcast("--api-key", key, "keys", "make", "nightly", "--scope", "predict", "--days", 30, "--json")
    )
    assert made["scopes"] == ["predict"]
    with Client(own.url, made["key"]) as narrow:
        assert narrow.me().scopes == {"predict"}
        assert narrow.models.list() == []
    listed = rowcast("--api-key", key, "keys", "list")
    assert "nightly" in listed and made["prefix"] in listed and made["key"] not in listed
    assert "Revoked" in rowcast("--api-key", key, "keys", "revoke", made["prefix"])
    assert "nightly" not in rowcast("--api-key", key, "keys", "list")
    assert "nightly" in rowcast("--api-key", key, "keys", "list", "--revoked")
    rowcast("--api-key", key, "keys", "revoke", "deadbeef", code=3)


def test_users_are_added_changed_and_blocked(rowcast, own):
    def admin(*arguments, **options):
        return rowcast("--api-key", own.key, *arguments, **options)

    said = admin("users", "add", "dora", "--role", "analyst", "--email", "dora@example.org")
    assert f"{own.url}/reset?token=" in said
    assert f"{own.url}/link?token=" in admin("users", "link", "dora", "--sign-in")
    assert f"{own.url}/invitation?token=" in admin("users", "invite", "--role", "user")
    assert json.loads(admin("users", "role", "dora", "user", "--json"))["role"] == "user"
    assert json.loads(admin("users", "block", "dora", "--json"))["blocked_at"]
    assert json.loads(admin("users", "unblock", "dora", "--json"))["blocked_at"] is None
    limited = json.loads(admin("users", "limit", "dora", "--rows-per-day", 10, "--json"))
    assert (limited["rows_per_day"], limited["requests_per_second"]) == (10, None)
    assert json.loads(admin("users", "limit", "dora", "--json")) == limited
    assert json.loads(admin("users", "limit", "dora", "--none", "--json"))["rows_per_day"] is None
    assert "dora@example.org" in admin("users", "list")
    assert "last administrator" in admin("users", "block", "admin", code=1)
    admin("users", "role", "nobody", "user", code=3)

    deeds = json.loads(admin("audit", "--action", "user.", "--subject", "dora", "--json"))
    assert [deed["action"] for deed in deeds][-2:] == ["user.added", "user.registered"]
    assert json.loads(admin("audit", "--action", "user", "--subject", "dora", "--json")) == deeds
    assert {deed["action"] for deed in json.loads(admin("audit", "--action", "user.role", "--json"))} == {"user.role"}
    assert "Nothing" in admin("audit", "--action", "use")
    assert {deed["user"] for deed in deeds if deed["action"] == "user.role"} == {"admin"}
    assert {deed["address"] for deed in deeds} == {"127.0.0.1"}
    assert "user.blocked" in admin("audit", "--user", "admin")


def test_models_and_datasets_are_shared(rowcast, own, boss, loans, anna):
    name, client = anna

    def admin(*arguments, **options):
        return rowcast("--api-key", own.key, *arguments, **options)

    assert "shared with nobody" in admin("models", "share", loans)
    with pytest.raises(NotFound):
        client.predict(loans, ROW)
    assert f"shared with {name}" in admin("models", "share", loans, "--user", name)
    assert admin("models", "share", loans, "--user", "admin") == (
        f"{loans} is shared with admin, {name}. It was shared with {name} before.\n"
    )
    assert "shared with" in admin("models", "share", loans, "--remove", "admin", "--user", name)
    assert boss.models.sharing(loans).users == [name]
    assert "users who are named there" in admin("models", "share", loans, "--remove", "admin", code=2)
    assert client.predict(loans, ROW).predictions[0].value in ("yes", "no")
    assert [model.name for model in client.models.list()] == [loans]
    assert client.models.get(loans).visibility == "named"
    with pytest.raises(NotFound):
        client.datasets.get("loans")
    assert "shared with everyone" in admin("datasets", "share", "loans", "--everyone")
    assert client.datasets.get("loans").visibility == "everyone"
    assert json.loads(admin("models", "share", loans, "--nobody", "--json"))["visibility"] == "private"
    admin("models", "share", loans, "--nobody", "--everyone", code=2)
    admin("models", "share", loans, "--nobody", "--remove", name, code=2)
    admin("models", "share", loans, "--user", name)
    assert f"shared with nobody. It was shared with {name} before" in admin("models", "share", loans, "--remove", name)
    boss.datasets.share("loans", "private")
    with pytest.raises(NotFound):
        client.predict(loans, ROW)


def test_limits_hold_at_once_through_the_queue_and_for_files(own, boss, loans, anna, tmp_path):
    name, client = anna
    boss.models.share(loans, "named", [name])
    boss.datasets.share("loans", "named", [name])
    boss.users.change(name, rows_per_day=300)
    with Client(own.url, client.keys.make("small", rows_per_day=5).key, retries=0) as small:
        assert len(small.predict(loans, [ROW] * 4).predictions) == 4
        with pytest.raises(TooMany) as caught:
            small.predict(loans, [ROW] * 2)
        assert caught.value.code == "rows_limit"
        assert "this API key is 5 rows a day" in caught.value.message
        assert caught.value.details["retry_after"] > 0
        small.predict(loans, ROW)
        with pytest.raises(TooMany):
            small.tasks.submit(loans, json.dumps({"rows": [ROW]}).encode())
    with Client(own.url, client.keys.make("large").key, retries=0) as large:
        large.tasks.wait(large.tasks.submit(loans, json.dumps({"rows": [ROW] * 50}).encode()))
        with pytest.raises(TooMany) as caught:  # 200 rows, and 5 and 50 went before
            large.files.submit_dataset(loans, "loans")
            large.files.submit_dataset(loans, "loans")
        assert "your account is 300 rows a day" in caught.value.message
        boss.users.change(name, rows_per_day=None, requests_per_second=0.01)
        with pytest.raises(TooMany) as caught:
            for _ in range(3):
                large.me()
        assert caught.value.code == "rate_limit"
        assert caught.value.details["retry_after"] > 0
    boss.users.change(name, requests_per_second=None)
