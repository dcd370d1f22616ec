"""Letters: sent by a real mail server of the tests' own, followed as people follow them."""

from __future__ import annotations

import email
import email.policy
import re
import socket
import sys
from pathlib import Path
from queue import Empty, Queue

import httpx2
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from services.processes import free_port

sys.path.insert(0, str(Path(__file__).parent))

from browsing import Browser, said

from rowcast.adapters.mail.smtp import MOST_WAITING, Address, SmtpMail

PASSWORD = "lemon river stone"
OTHER = "copper window april"
API = "/api/v1"
USER, SECRET = "app@example.org", "s3cret/pass word"


class Post:
    """A mail server that keeps what it gets, and can be made to refuse."""

    def __init__(self):
        self.letters = Queue()
        self.refusals = []
        self.senders = []
        self.port = free_port()
        self.controller = Controller(
            self, hostname="127.0.0.1", port=self.port, auth_require_tls=False, authenticator=self.authenticate
        )
        self.controller.start()

    def authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        known = (data.login.decode(), data.password.decode()) == (USER, SECRET)
        return AuthResult(success=known, handled=known)

    async def handle_DATA(self, server, session, envelope):
        if self.refusals:
            return self.refusals.pop(0)
        self.senders.append(session.authenticated)
        self.letters.put((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"

    def next(self, to=None, seconds=60):
        """The next letter, or the next one to that address: others may be late ones of earlier tests."""
        while (letter := self.letters.get(timeout=seconds)[1])["To"] != (to or letter["To"]):
            pass
        return letter

    def nothing(self, seconds=1.5):
        with pytest.raises(Empty):
            self.letters.get(timeout=seconds)


@pytest.fixture(scope="module")
def post_office():
    server = Post()
    yield server
    server.controller.stop()


@pytest.fixture
def post(post_office):
    """The mail server, with no letters of earlier tests."""
    while not post_office.letters.empty():
        post_office.letters.get()
    post_office.refusals = []
    return post_office


@pytest.fixture(scope="module")
def mailing(server_class, tmp_path_factory, post_office):
    settings = {
        "sign_up": "open",
        "trusted_proxies": "127.0.0.1",
        "smtp_url": f"smtp://app%40example.org:s3cret%2Fpass%20word@127.0.0.1:{post_office.port}",
        "public_url": "http://rowcast.example.org",
        "mail_from": "Rowcast <rowcast@example.org>",
    }
    running = server_class(tmp_path_factory.mktemp("mailing") / "data", **settings).start()
    yield running
    running.stop()


@pytest.fixture
def url(mailing, post):
    return mailing.url


def link_in(letter):
    """The path of the link in a letter, which leads to the public address."""
    [found] = re.findall(r"http\S+", letter.get_content())
    assert found.startswith("http://rowcast.example.org/")
    return found.removeprefix("http://rowcast.example.org")


def joined(url, post, name, **options):
    """Somebody who signed up and confirmed their address."""
    browser = Browser(url, **options)
    answer = browser.fill_in("/sign-up", name=name, email=f"{name}@example.org", password=PASSWORD)
    assert answer.headers["location"] == "/account?done=email_asked"
    assert browser.get(f"{API}/account").json()["email"] is None
    path = link_in(post.next(f"{name}@example.org"))
    for _ in range(2):
        assert f"{name}@example.org" in browser.get(path).text
    assert browser.fill_in(path).headers["location"] == "/account?done=email"
    assert browser.get(f"{API}/account").json()["email"] == f"{name}@example.org"
    return browser


def test_an_address_counts_once_it_is_confirmed(url, post):
    browser = joined(url, post, "anna")
    assert "anna@example.org" in browser.get("/account").text
    assert Browser(url).sign_in("Anna@Example.org", PASSWORD).status_code == 303
    assert post.senders[-1] is True


def test_the_letter_is_one_as_it_should_be(url, post):
    browser = Browser(url)
    browser.fill_in("/sign-up", name="Bea", email="Bea@Example.org", password=PASSWORD)
    letter = post.next()
    assert letter["From"] == "Rowcast <rowcast@example.org>"
    assert letter["To"] == "bea@example.org"
    assert letter["Subject"] == "Rowcast: confirm your e-mail address"
    assert letter["Date"] and letter["Message-ID"].endswith("@example.org>")
    assert letter.get_content().startswith("Hello Bea,")


def test_letters_are_in_the_language_of_who_gets_them(url, post):
    browser = joined(url, post, "olga", language="ru")
    assert said(browser.get("/account?done=email")) == "Адрес электронной почты подтверждён."
    Browser(url, language="en").post("/forgot", name="olga")
    letter = post.next()
    assert letter["Subject"] == "Rowcast: новый пароль"
    assert "Здравствуйте, olga!" in letter.get_content()


def test_a_forgotten_password_is_set_anew_by_letter(url, post):
    before = joined(url, post, "carl")
    forgetful = Browser(url)
    assert said(forgetful.fill_in("/forgot", name="carl@example.org")).startswith("If there is such an account")
    path = link_in(post.next())
    assert path.startswith("/reset?token=")
    assert 'value="carl"' in forgetful.get(path).text
    assert forgetful.fill_in(path, password=OTHER).status_code == 303
    assert (forgetful.who, before.who) == ("carl", None)
    assert Browser(url).get(path).status_code == 422
    assert Browser(url).sign_in("carl", PASSWORD).status_code == 401
    assert Browser(url).sign_in("carl", OTHER).status_code == 303


def test_nobody_learns_who_has_an_account_by_forgetting(url, post):
    joined(url, post, "dana")
    answers = [Browser(url).post("/forgot", name=name) for name in ("dana", "nobody", "nobody@example.org")]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert post.next()["To"] == "dana@example.org"
    post.nothing()
    programs = [Browser(url).http.post(f"{API}/password-reset", json={"name": name}) for name in ("dana", "nobody")]
    assert {(answer.status_code, answer.text) for answer in programs} == {(202, "null")}
    assert post.next()["To"] == "dana@example.org"


def test_nobody_learns_whose_address_has_an_account_by_signing_up(url, post):
    joined(url, post, "emil")
    free, taken = (
        Browser(url).post("/sign-up", name=name, email=address, password=PASSWORD)
        for name, address in (("emil2", "emil2@example.org"), ("emil3", "emil@example.org"))
    )
    assert free.headers["location"] == taken.headers["location"]
    letters = {letter["To"]: letter for letter in (post.next(), post.next())}
    assert letters["emil@example.org"]["Subject"] == "Rowcast: you have an account already"
    assert link_in(letters["emil@example.org"]) == "/forgot"


def test_nobody_s_mailbox_is_filled(url, post):
    joined(url, post, "fred")
    answers = [Browser(url).post("/forgot", name="fred").status_code for _ in range(4)]
    assert answers[:3] == [200] * 3
    for _ in range(3):
        post.next()
    # The fourth has to wait a second after the third, however fast they came.
    assert answers[3] in (200, 429)


def test_another_address_is_confirmed_before_it_counts(url, post):
    browser = joined(url, post, "gina")
    assert browser.post("/account/email", email="new@example.org").headers["location"] == "/account?done=email_asked"
    assert browser.get(f"{API}/account").json()["email"] == "gina@example.org"
    token = link_in(post.next()).partition("token=")[2]
    own = {"Origin": url}
    assert browser.http.post(f"{API}/email-confirmation", json={"token": token}, headers=own).status_code == 204
    assert browser.get(f"{API}/account").json()["email"] == "new@example.org"
    assert browser.http.put(f"{API}/account/email", json={"email": "x@y\r\nBcc: a@b"}, headers=own).status_code == 422
    assert browser.http.put(f"{API}/account/email", json={"email": "x@example.org"}, headers=own).status_code == 202


def test_nobody_confirms_an_address_for_a_stranger_s_account(url, post):
    victim, stranger = joined(url, post, "judy"), Browser(url)
    stranger.fill_in("/sign-up", name="mallory", email="judy2@example.org", password=PASSWORD)
    path = link_in(post.next("judy2@example.org"))
    assert Browser(url).get(path).headers["location"].startswith("/sign-in?next=%2Fconfirm%3Ftoken")
    answer = victim.fill_in(path)
    assert (answer.status_code, said(answer)) == (403, "Another account asked for this. Sign in with that one first.")
    assert stranger.get(f"{API}/account").json()["email"] is None
    assert stranger.fill_in(path).status_code == 303  # what was refused did not use the link up


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}])
def test_the_link_in_a_letter_leads_here_whatever_the_request_says(url, post, header):
    name = f"harry-{next(iter(header)).lower()}"
    joined(url, post, name)
    # A forged Host would make the form a stranger's own, so this comes as a program would send it.
    answer = httpx2.post(f"{url}{API}/password-reset", json={"name": name}, headers=header)
    assert answer.status_code == 202
    assert link_in(post.next()).startswith("/reset?token=")


def test_the_log_tells_no_address_and_no_secret(mailing, url, post):
    joined(url, post, "ivan")
    said_ = mailing.log.read_text()
    assert "ivan@example.org" not in said_
    assert SECRET not in said_ and "token=" not in said_.replace("/link?token=", "")


def deliver(post, *, url=None, pauses=(0.05, 0.05), letters=1):
    mail = SmtpMail(Address.of(url or f"smtp://127.0.0.1:{post.port}"), "rowcast@example.org", pauses=pauses)
    mail.start()
    for number in range(letters):
        mail.send("anna@example.org", f"Letter {number}", "Text\n")
    return mail


def test_a_letter_is_tried_again_when_that_may_help(post, caplog):
    post.refusals = ["451 later", "451 later"]
    mail = deliver(post)
    assert post.next()["Subject"] == "Letter 0"
    mail.close()
    assert "anna" not in caplog.text


@pytest.mark.parametrize("refusals", [["550 no"], ["451 later"] * 3])
def test_a_letter_that_cannot_be_delivered_is_given_up(post, caplog, refusals):
    post.refusals = list(refusals)
    mail = deliver(post, letters=2)
    assert post.next()["Subject"] == "Letter 1"
    mail.close()
    assert "could not be sent" in caplog.text
    assert "anna" not in caplog.text


def test_a_server_that_is_away_holds_nobody_up(caplog):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        mail = SmtpMail(Address.of(f"smtp://127.0.0.1:{reserved.getsockname()[1]}"), "rowcast@example.org", pauses=())
        for _ in range(MOST_WAITING + 1):
            mail.send("anna@example.org", "Hello", "Text\n")
        mail.start()
        mail.close()
    assert "too many letters wait" in caplog.text
    assert "could not be sent" in caplog.text


def test_a_password_is_not_sent_over_an_open_line_to_another_machine(post, caplog, monkeypatch):
    monkeypatch.setattr("rowcast.adapters.mail.smtp.LOOPBACK", frozenset())
    mail = deliver(post, url=f"smtp://app%40example.org:x@127.0.0.1:{post.port}", pauses=())
    mail.close()
    assert post.letters.empty()
    assert "SMTPNotSupportedError" in caplog.text


def test_addresses_of_mail_servers():
    secret = Address.of("smtps://a%40b:p%3Aw%2F@mail.example.org")
    assert (secret.host, secret.port, secret.encrypted, secret.user, secret.password) == (
        "mail.example.org", 465, True, "a@b", "p:w/",
    )  # fmt: skip
    assert "p:w/" not in repr(secret)
    assert Address.of("smtp://mail.example.org").port == 587
