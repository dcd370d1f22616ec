"""Signing in with GitHub and OpenID Connect, over HTTP on both sides: with a provider that is strict, or lies."""

from __future__ import annotations

import json
import re
import socket
import sys
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from services.provider import CLIENT_ID, CLIENT_SECRET, Person, StrictProvider

sys.path.insert(0, str(Path(__file__).parent))

from browsing import Browser, said

from rowcast.client import Client
from rowcast.client.grpc import GrpcClient
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import Conflict, NotFound
from rowcast.v1 import rowcast_pb2 as v1

API = "/api/v1"
PASSWORD = "lemon river stone"
GITHUB, OIDC = "github", "oidc"
WAYS = [GITHUB, OIDC]

numbers = count(1000)


@pytest.fixture(scope="module")
def provider():
    running = StrictProvider().start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def honest(provider):
    provider.honest()


def settings_for(provider, **settings):
    """Both ways to the provider, and a proxy on this machine that is believed."""
    return {
        "github_client_id": CLIENT_ID,
        "github_client_secret": CLIENT_SECRET,
        "github_authorize_url": f"{provider.url}/login/oauth/authorize",
        "github_token_url": f"{provider.url}/login/oauth/access_token",
        "github_api_url": f"{provider.url}/api",
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_issuer": provider.url,
        "oidc_name": "Example Login",
        "trusted_proxies": "127.0.0.1",
    } | settings


@pytest.fixture(scope="module")
def start(server_class, provider, tmp_path_factory):
    """Starts servers that the provider knows."""
    running = []

    def begin(**settings):
        data_dir = tmp_path_factory.mktemp("elsewhere") / "data"
        running.append(server_class(data_dir, **settings_for(provider, **settings)).start())
        provider.redirect_uris |= {callback(running[-1].url, way) for way in WAYS}
        return running[-1]

    yield begin
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def grpc_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def open_server(start, grpc_port):
    return start(sign_up="open", grpc_port=str(grpc_port))


@pytest.fixture(scope="module")
def url(open_server):
    return open_server.url


@pytest.fixture
def person(provider):
    """Somebody new, who sits at the browser."""
    number = next(numbers)
    provider.person = Person(f"person{number}", number, f"person{number}@example.org")
    return provider.person


def callback(url, way):
    return f"{url}/sign-in/{way}/callback"


def leave(browser, way, following="/"):
    """To the provider; its address, with what is asked."""
    answer = browser.get(f"/sign-in/{way}?{urlencode({'next': following})}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agree(address):
    """At the provider: the address that it sends the browser back to."""
    answer = httpx2.get(address)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def come_back(browser, address):
    return browser.get(address.removeprefix(browser.url))


def sign_in(browser, way, following="/"):
    return come_back(browser, agree(leave(browser, way, following)))


def headers_of(server):
    return {"Authorization": f"Bearer {server.key}"}


def is_refused(answer, browser, words, status=401):
    """A page that says what to do, and nobody is signed in."""
    assert (answer.status_code, browser.who) == (status, None), answer.text
    assert words in said(answer), said(answer)
    assert answer.headers["content-type"].startswith("text/html")
    assert "/sign-in/github?" in answer.text


# Signing in


@pytest.mark.parametrize("way", WAYS)
def test_somebody_new_comes_back_signed_in_and_comes_again(url, open_server, provider, person, way):
    browser = Browser(url)
    answer = sign_in(browser, way, "/api/docs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/docs")
    account = browser.get(f"{API}/account").json()
    assert (account["name"], account["email"], account["role"]) == (person.login, person.email, "user")
    assert account["has_password"] is False
    [session] = browser.get(f"{API}/account/sessions").json()
    assert session["how"] == way
    person.login, person.email, person.verified = "renamed", "elsewhere@example.org", False
    again = Browser(url)
    assert sign_in(again, way).status_code == 303
    assert again.get(f"{API}/account").json()["id"] == account["id"]
    assert provider.refusals == []
    deeds = httpx2.get(f"{url}{API}/audit?user={account['name']}", headers=headers_of(open_server)).json()["items"]
    assert [deed["action"] for deed in deeds][-3:] == ["session.opened", "identity.linked", "user.registered"]


def test_both_ways_lead_to_the_account_with_the_same_address(url, person):
    browsers = [Browser(url), Browser(url)]
    for browser, way in zip(browsers, WAYS, strict=True):
        assert sign_in(browser, way).status_code == 303
    one, other = (browser.get(f"{API}/account").json()["id"] for browser in browsers)
    assert one == other
    assert person.login in browsers[0].get("/account").text


def test_what_is_asked_has_a_state_and_a_challenge_and_no_secret(url, provider):
    for way in WAYS:
        asked = dict(parse_qsl(urlsplit(leave(Browser(url), way)).query))
        assert asked["code_challenge_method"] == "S256"
        assert (len(asked["state"]), len(asked["code_challenge"])) == (43, 43)
        assert asked["redirect_uri"] == callback(url, way)
        assert ("nonce" in asked) == (way == OIDC)
        assert CLIENT_SECRET not in asked.values()
    assert asked["scope"] == "openid email profile"


def test_the_cookie_of_the_way_there_is_for_minutes_and_for_this_server(url, person):
    browser = Browser(url)
    answer = browser.get("/sign-in/github")
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith("rowcast_sign_in=")]
    assert {"HttpOnly", "SameSite=lax", "Max-Age=600"} <= set(cookie.split("; "))
    assert answer.headers["cache-control"] == "no-store"
    come_back(browser, agree(answer.headers["location"]))
    assert "rowcast_sign_in" not in browser.http.cookies


def test_two_tabs_both_come_back(url, person):
    browser = Browser(url)
    one, other = leave(browser, GITHUB, "/account"), leave(browser, OIDC, "/api/docs")
    assert dict(parse_qsl(urlsplit(one).query))["state"] != dict(parse_qsl(urlsplit(other).query))["state"]
    there = agree(one), agree(other)
    secret = browser.http.cookies["rowcast_sign_in"]
    assert come_back(browser, there[0]).headers["location"] == "/account"
    browser.http.cookies.set("rowcast_sign_in", secret)
    assert come_back(browser, there[1]).headers["location"] == "/api/docs"


def test_who_is_signed_in_already_goes_on(url, person):
    browser = Browser(url)
    sign_in(browser, GITHUB)
    assert browser.get("/sign-in/github?next=/account").headers["location"] == "/account"


@pytest.mark.parametrize("next", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "x"])
def test_it_goes_on_to_this_server_alone(url, person, next):
    assert sign_in(Browser(url), GITHUB, next).headers["location"] == "/"


def test_a_taken_name_gets_a_number(url, provider):
    numbered = [Person("Twin/of @x", next(numbers), f"twin{n}@example.org") for n in range(3)]
    names = []
    for provider.person in numbered:
        browser = Browser(url)
        assert sign_in(browser, GITHUB).status_code == 303
        names.append(browser.who)
    assert names == ["Twin of", "Twin of-2", "Twin of-3"]
    for name in ("@/\x00", "mixed Имя"):
        provider.person = Person(name, next(numbers), f"odd{next(numbers)}@example.org")
        sign_in(odd := Browser(url), GITHUB)
        assert odd.who.startswith("user")


@pytest.mark.parametrize(("language", "words"), [("en", "Sign in with GitHub"), ("ru", "Войти через GitHub")])
def test_the_sign_in_page_offers_both(url, language, words):
    page = Browser(url, language=language).get("/sign-in?next=/account").text
    assert words in page
    assert "Example Login" in page
    assert 'href="/sign-in/oidc?next=/account"' in page


def test_a_server_without_providers_offers_and_knows_none(server):
    browser = Browser(server.url)
    assert "/sign-in/github" not in browser.get("/sign-in").text
    for path in ("/sign-in/github", "/sign-in/github/callback?code=x&state=y", "/sign-in/nonsense"):
        answer = browser.get(path)
        assert (answer.status_code, "sign-in page" in said(answer)) == (404, True)


# What is wrong on the way back


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["", "x", "y" * 43, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
def test_a_wrong_state_is_refused(url, provider, person, way, state):
    browser = Browser(url)
    code = dict(parse_qsl(urlsplit(agree(leave(browser, way))).query))["code"]
    tokens = provider.asked.count("/login/oauth/access_token")
    answer = browser.get(f"/sign-in/{way}/callback?{urlencode({'code': code, 'state': state})}")
    is_refused(answer, browser, "Another browser left")
    assert provider.asked.count("/login/oauth/access_token") == tokens, "the code was sent on"


def test_a_state_that_is_not_there_is_refused(url, person):
    browser = Browser(url)
    leave(browser, GITHUB)
    is_refused(browser.get("/sign-in/github/callback"), browser, "Another browser left")


def test_another_browser_with_the_right_state_is_refused_and_spoils_nothing(url, provider, person):
    """Somebody who is lured to the address that another came back with would be in the other's account."""
    browser, victim = Browser(url), Browser(url)
    leave(victim, GITHUB)
    back = agree(leave(browser, GITHUB))
    is_refused(come_back(victim, back), victim, "Another browser left")
    is_refused(come_back(lone := Browser(url), back), lone, "Another browser left")
    assert come_back(browser, back).status_code == 303


def test_the_same_address_a_second_time_is_refused(url, provider, person):
    browser = Browser(url)
    secret_before = leave(browser, GITHUB)
    back, secret = agree(secret_before), browser.http.cookies["rowcast_sign_in"]
    assert come_back(browser, back).status_code == 303
    browser.http.cookies.clear()
    browser.http.cookies.set("rowcast_sign_in", secret)
    is_refused(come_back(browser, back), browser, "done before")
    assert provider.refusals == []


@pytest.mark.parametrize("way", WAYS)
def test_a_replayed_code_is_refused(url, provider, person, way):
    """One that was stolen and used, put into a way back that is right in all else."""
    code = dict(parse_qsl(urlsplit(agree(leave(first := Browser(url), way))).query))["code"]
    back = agree(leave(browser := Browser(url), way))
    own = dict(parse_qsl(urlsplit(back).query))
    provider.spent.add(provider.codes.pop(code) and code)
    answer = come_back(browser, callback(url, way) + "?" + urlencode(own | {"code": code}))
    is_refused(answer, browser, "did not confirm beyond doubt")
    assert (first.who, provider.refusals) == (None, ["code replayed"])


@pytest.mark.parametrize("way", WAYS)
def test_a_code_that_was_asked_for_with_another_verifier_is_refused(url, provider, person, way):
    """An attacker puts their code into somebody's way back: the verifier of that browser does not go with it."""
    stolen = dict(parse_qsl(urlsplit(agree(leave(Browser(url), way))).query))["code"]
    own = dict(parse_qsl(urlsplit(agree(leave(browser := Browser(url), way))).query))
    answer = come_back(browser, callback(url, way) + "?" + urlencode(own | {"code": stolen}))
    is_refused(answer, browser, "did not confirm beyond doubt")
    assert provider.refusals == ["code_verifier"]


def test_a_code_for_another_address_is_refused(url, provider, person):
    """A code that was given for one way back does not do for the other."""
    other = dict(parse_qsl(urlsplit(agree(leave(browser := Browser(url), OIDC))).query))["code"]
    own = dict(parse_qsl(urlsplit(agree(leave(browser, GITHUB))).query))
    answer = come_back(browser, callback(url, GITHUB) + "?" + urlencode(own | {"code": other}))
    is_refused(answer, browser, "did not confirm beyond doubt")
    assert provider.refusals == ["redirect_uri of token"]


def test_a_state_of_one_provider_does_not_do_for_another(url, person):
    browser = Browser(url)
    query = urlsplit(agree(leave(browser, OIDC))).query
    is_refused(browser.get(f"/sign-in/github/callback?{query}"), browser, "Another browser left")


def test_a_foreign_way_back_is_refused_by_the_provider(url, provider, person):
    """A server is told by the request what it is called: another name is not registered."""
    answer = Browser(url).get("/sign-in/github", headers={"Host": "elsewhere.example"})
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"] == "http://elsewhere.example/sign-in/github/callback"
    assert httpx2.get(answer.headers["location"]).status_code == 400
    assert provider.refusals == ["redirect_uri"]


@pytest.mark.parametrize("way", WAYS)
def test_who_declines_is_asked_kindly(url, provider, way):
    provider.person = None
    browser = Browser(url)
    is_refused(sign_in(browser, way), browser, "You did not let")
    russian = Browser(url, language="ru")
    assert "Вы не разрешили" in said(sign_in(russian, way))


@pytest.mark.parametrize("query", ["error=server_error", "error=<script>", "error=" + "x" * 5000, "code=", ""])
def test_other_answers_are_refused(url, provider, person, query):
    browser = Browser(url)
    state = dict(parse_qsl(urlsplit(leave(browser, GITHUB)).query))["state"]
    answer = browser.get(f"/sign-in/github/callback?state={state}&{query}")
    is_refused(answer, browser, "did not confirm beyond doubt")
    assert "<script" not in answer.text


def test_the_language_of_a_refusal_can_be_changed(url, provider):
    provider.person = None
    browser = Browser(url)
    page = sign_in(browser, GITHUB, "/account")
    here = re.search(r'name="next" value="([^"]+)"', page.text)[1].replace("&amp;", "&")
    assert here == "/sign-in?next=%2Faccount&how=password"
    assert browser.get(here).status_code == 200


# What a provider may say


@pytest.mark.parametrize("way", WAYS)
def test_an_address_that_is_not_verified_is_refused(url, provider, person, way):
    person.verified = False
    browser = Browser(url)
    is_refused(sign_in(browser, way), browser, "Verify one there", status=403)
    person.email, person.verified = None, True
    is_refused(sign_in(browser, way), browser, "Verify one there", status=403)


LIES = [
    *("nonce", "no nonce", "aud", "azp", "no azp", "iss", "expired", "from the future", "no exp", "subject no text"),
    "subject unprintable",
    *("long subject", "alg none", "HS256 with the public key", "HS256 with the secret", "another key", "unknown key"),
    *("changed", "no token", "answer of another", "token refused"),
]


@pytest.mark.parametrize("lie", LIES)
def test_an_id_token_that_is_not_right_in_all_is_refused(url, provider, person, lie):
    provider.lie = lie
    browser = Browser(url)
    is_refused(sign_in(browser, OIDC), browser, "did not confirm beyond doubt")


def test_an_address_that_is_verified_in_words_is_not(url, provider, person):
    provider.lie = "verified in words"
    is_refused(sign_in(browser := Browser(url), OIDC), browser, "Verify one there", status=403)


def test_an_address_may_be_told_when_asked_in_addition(url, provider, person):
    provider.lie = "email elsewhere"
    assert sign_in(browser := Browser(url), OIDC).status_code == 303
    assert browser.get(f"{API}/account").json()["email"] == person.email


def test_a_token_with_an_unknown_key_makes_nobody_ask_each_time(start, provider, person):
    server = start(sign_up="open")
    assert sign_in(Browser(server.url), OIDC).status_code == 303
    asked = provider.asked.count("/keys")
    provider.lie = "unknown key"
    for _ in range(3):
        assert sign_in(Browser(server.url), OIDC).status_code == 401
    assert provider.asked.count("/keys") == asked


TROUBLES = ["broken", "huge", "no JSON", "deep", "a list", "elsewhere", "cut off", "odd token", "membership pending"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", TROUBLES[:-1])
def test_a_provider_in_trouble_is_a_page_that_says_so(url, provider, person, way, trouble):
    provider.lie = trouble
    browser = Browser(url)
    answer = sign_in(browser, way)
    assert (answer.status_code, browser.who) == (401, None)
    assert re.search("does not answer as it should|beyond doubt", said(answer))
    assert "/elsewhere" not in provider.asked


def test_a_provider_that_is_slow_is_given_up(url, provider, person):
    provider.lie = "slow"
    is_refused(sign_in(browser := Browser(url), GITHUB), browser, "does not answer as it should")
    provider.released.set()


def test_a_provider_that_is_not_there_is_a_page_that_says_so(start, provider):
    (gone := StrictProvider().start()).stop()
    browser = Browser(start(oidc_issuer=gone.url).url)
    is_refused(browser.get("/sign-in/oidc"), browser, "does not answer as it should")


def test_a_description_of_another_issuer_is_refused(start, provider, person):
    server = start(sign_up="open")
    provider.lie = "description of another"
    browser = Browser(server.url)
    is_refused(browser.get("/sign-in/oidc"), browser, "does not answer as it should")
    provider.honest()
    assert sign_in(browser, OIDC).status_code == 303, "the wrong description is not kept"


# Which account that is


def test_an_account_whose_address_was_confirmed_is_linked_and_keeps_its_role(url, open_server, person):
    made = {"name": f"known {person.number}", "email": person.email, "role": "analyst"}
    httpx2.post(f"{url}{API}/users", json=made, headers=headers_of(open_server)).raise_for_status()
    sign_in(browser := Browser(url), GITHUB)
    assert browser.get(f"{API}/account").json()["name"] == made["name"]
    assert browser.get(f"{API}/account").json()["role"] == "analyst"


def test_a_blocked_account_stays_out(url, open_server, person):
    assert sign_in(browser := Browser(url), GITHUB).status_code == 303
    path = f"{url}{API}/users/{person.login}"
    httpx2.patch(path, json={"blocked": True}, headers=headers_of(open_server)).raise_for_status()
    for way in WAYS:
        is_refused(sign_in(browser := Browser(url), way), browser, "blocked")
    httpx2.patch(path, json={"blocked": False}, headers=headers_of(open_server)).raise_for_status()
    assert sign_in(Browser(url), GITHUB).status_code == 303


@pytest.fixture(scope="module")
def by_invitation(start):
    return start()


def test_a_stranger_needs_an_invitation_for_their_address(by_invitation, person):
    url, headers = by_invitation.url, headers_of(by_invitation)
    browser = Browser(url)
    httpx2.post(f"{url}{API}/invitations", json={"email": "other@example.org"}, headers=headers).raise_for_status()
    httpx2.post(f"{url}{API}/invitations", json={}, headers=headers).raise_for_status()
    is_refused(sign_in(browser, GITHUB), browser, "invitation", status=403)
    invitation = {"email": person.email, "role": "analyst"}
    link = httpx2.post(f"{url}{API}/invitations", json=invitation, headers=headers).json()["url"]
    assert sign_in(browser, GITHUB).status_code == 303
    assert browser.get(f"{API}/account").json()["role"] == "analyst"
    assert "used before" in said(Browser(url).get(link.removeprefix(url)))


def test_where_sign_up_is_closed_only_those_who_have_an_account_come_in(start, person):
    server = start(sign_up="closed")
    url, headers = server.url, headers_of(server)
    httpx2.post(f"{url}{API}/invitations", json={"email": person.email}, headers=headers).raise_for_status()
    is_refused(sign_in(browser := Browser(url), OIDC), browser, "opened by an administrator", status=403)
    made = {"name": "known", "email": person.email}
    httpx2.post(f"{url}{API}/users", json=made, headers=headers).raise_for_status()
    assert sign_in(browser, OIDC).status_code == 303
    assert browser.who == "known"


@pytest.fixture(scope="module")
def for_members(start):
    return start(sign_up="open", sign_in="github", github_organisations="tea, coffee")


def test_the_first_visit_leads_to_the_provider_and_back_signed_in(for_members, person):
    person.organisations = ("coffee",)
    browser = Browser(for_members.url)
    path = "/api/docs"
    for _ in range(3):
        answer = browser.get(path)
        assert answer.status_code in (303, 307), answer.text
        path = answer.headers["location"]
    assert "read:org" in parse_qs(urlsplit(path).query)["scope"][0]
    answer = come_back(browser, agree(path))
    assert answer.headers["location"] == "/api/docs"
    assert browser.get("/api/docs").status_code == 200


def test_who_signed_out_or_asks_for_it_sees_the_page(for_members, person):
    browser = Browser(for_members.url)
    assert browser.get("/sign-in?done=signed_out").status_code == 200
    assert browser.get("/sign-in?how=password").status_code == 200
    assert browser.post("/account/password", new="x").headers["location"].endswith("how=password")


def test_members_of_other_organisations_are_refused(for_members, provider, person):
    person.organisations = ("milk",)
    is_refused(sign_in(browser := Browser(for_members.url), GITHUB), browser, "members of certain", status=403)
    person.organisations, provider.lie = ("tea",), "membership pending"
    is_refused(sign_in(browser, GITHUB), browser, "members of certain", status=403)
    provider.honest()
    assert sign_in(browser, GITHUB).status_code == 303
    person.organisations = ()
    is_refused(sign_in(browser := Browser(for_members.url), GITHUB), browser, "members of certain", status=403)


# Linking and unlinking


@pytest.fixture
def member(url):
    """Somebody with a password who is signed in."""
    browser, name = Browser(url), f"member{next(numbers)}"
    assert browser.fill_in("/sign-up", name=name, password=PASSWORD).status_code == 303
    browser.name = name
    return browser


def link(browser, way):
    """Through the page that goes on by itself, back to the account."""
    page = browser.post(f"/account/identities/{way}")
    assert page.status_code == 200, page.text
    address = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)[1].replace("&amp;", "&")
    return come_back(browser, agree(address))


def unlink(browser, number=0):
    found = re.findall(r'action="(/account/identities/[0-9a-f]{32}/remove)"', browser.get("/account").text)
    return browser.post(found[number])


def test_an_identity_is_linked_signs_in_and_is_unlinked(url, member, person):
    person.verified = False
    answer = link(member, GITHUB)
    assert answer.headers["location"] == "/account?done=linked"
    page = member.get("/account?done=linked")
    assert "is linked" in said(page)
    assert person.login in page.text
    assert 'action="/account/identities/github"' not in page.text
    assert member.get(f"{API}/account").json()["email"] is None, "only a letter confirms an address"
    assert sign_in(again := Browser(url), GITHUB).status_code == 303
    assert again.who == member.name
    assert unlink(member).headers["location"] == "/account?done=unlinked"
    is_refused(sign_in(browser := Browser(url), GITHUB), browser, "Verify one there", status=403)


def test_the_last_way_in_cannot_be_unlinked(url, person):
    sign_in(browser := Browser(url), GITHUB)
    answer = unlink(browser)
    assert (answer.status_code, "Choose a password first" in said(answer)) == (409, True)
    assert link(browser, OIDC).status_code == 303
    assert unlink(browser, 1).status_code == 303
    assert unlink(browser).status_code == 409
    assert browser.post("/account/password", new=PASSWORD).status_code == 303
    assert unlink(browser).status_code == 303


def test_programs_list_and_unlink_what_pages_link(url, grpc_port, member, person, capsys):
    link(member, GITHUB)
    link(member, OIDC)
    key = member.http.post(f"{API}/keys", json={"name": "a program"}).json()["key"]

    def rowcast(*arguments):
        code = run(
            Servers(*[lambda *_: 0] * len(Servers.__annotations__)), ["--url", url, "--api-key", key, *arguments]
        )
        return code, capsys.readouterr().out

    with Client(url, key) as client, GrpcClient(f"127.0.0.1:{grpc_port}", key) as other:
        github, oidc = client.account.identities()
        assert [(one.provider, one.name) for one in (github, oidc)] == [(GITHUB, person.login), (OIDC, person.login)]
        listed = other.call("ListIdentities", v1.ListIdentitiesRequest(), v1.ListIdentitiesResponse)
        assert [one.id for one in listed.items] == [github.id, oidc.id]
        assert [one["id"] for one in json.loads(rowcast("account", "identities", "list", "--json")[1])] == [
            github.id,
            oidc.id,
        ]
        assert rowcast("account", "identities", "unlink", "github") == (0, "Unlinked github.\n")
        with pytest.raises(NotFound):
            client.account.unlink(github.id)
        client.account.unlink(oidc.id)
    assert "Nothing is linked" in rowcast("account", "identities", "list")[1]
    sign_in(only := Browser(url), GITHUB)
    key = only.http.post(f"{API}/keys", json={"name": "a program"}).json()["key"]
    with Client(url, key) as client, pytest.raises(Conflict) as refused:
        client.account.unlink(client.account.identities()[0].id)
    assert refused.value.code == "last_way_in"


def test_what_is_anothers_cannot_be_linked_or_unlinked(url, member, person):
    sign_in(browser := Browser(url), GITHUB)
    answer = link(member, GITHUB)
    assert (answer.status_code, "belongs to another account" in said(answer)) == (409, True)
    assert sign_in(again := Browser(url), GITHUB).status_code == 303
    assert again.who == browser.who
    theirs = re.search(r"/account/identities/([0-9a-f]{32})/remove", browser.get("/account").text)[0]
    assert member.post(theirs).status_code == 404


def test_only_who_began_to_link_can_end_it(url, member, provider, person):
    """Else an attacker could link what they are elsewhere to somebody's account, and sign in to it."""
    page = member.post("/account/identities/github")
    address = re.search(r'content="0;url=([^"]+)"', page.text)[1].replace("&amp;", "&")
    back = agree(address)
    victim = Browser(url)
    assert victim.fill_in("/sign-up", name=f"victim{person.number}", password=PASSWORD).status_code == 303
    victim.http.cookies.set("rowcast_sign_in", member.http.cookies["rowcast_sign_in"])
    tokens = provider.asked.count("/login/oauth/access_token")
    answer = come_back(victim, back)
    assert (answer.status_code, "not signed in any more" in said(answer)) == (401, True)
    assert provider.asked.count("/login/oauth/access_token") == tokens
    assert person.login not in victim.get("/account").text


def test_who_signed_out_meanwhile_links_nothing(url, member, person):
    page = member.post("/account/identities/github")
    address = re.search(r'content="0;url=([^"]+)"', page.text)[1].replace("&amp;", "&")
    member.post("/sign-out")
    is_refused(come_back(member, agree(address)), member, "not signed in any more")


def test_a_page_elsewhere_can_neither_link_nor_unlink(member):
    for path in ("/account/identities/github", f"/account/identities/{'0' * 32}/remove"):
        assert member.post(path, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    for path in ("/account/identities/github", f"/account/identities/{'0' * 32}/remove"):
        assert Browser(member.url).post(path).headers["location"].startswith("/sign-in?")


# What stays


def test_nothing_secret_is_written_down(start, provider, person):
    server = start(sign_up="open", log_level="debug")
    secrets = []
    for way, lie in ((GITHUB, ""), (OIDC, ""), (GITHUB, "token refused"), (OIDC, "nonce"), (GITHUB, "broken")):
        provider.lie = lie
        back = agree(leave(browser := Browser(server.url), way))
        secrets += parse_qs(urlsplit(back).query)["code"] + [browser.http.cookies["rowcast_sign_in"]]
        secrets += parse_qs(urlsplit(back).query)["state"]
        come_back(browser, back)
    secrets += [*provider.tokens, CLIENT_SECRET]
    server.stop()
    written = b"".join(path.read_bytes() for path in server.data_dir.rglob("*") if path.is_file())
    log = server.log.read_text()
    assert "was not believed" in log
    for secret in secrets:
        assert secret not in log
        assert secret.encode() not in written


def test_too_many_from_one_address_have_to_wait(url, provider):
    provider.person = None
    browser = Browser(url, address="203.0.113.77")
    answers = [browser.get("/sign-in/github") for _ in range(62)]
    assert {answer.status_code for answer in answers[:60]} == {303}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "Too many" in said(answers[-1])
