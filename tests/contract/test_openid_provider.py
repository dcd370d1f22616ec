"""What an OpenID Connect provider is asked and when: against one of the tests' own."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest
from services.provider import CLIENT_ID, CLIENT_SECRET, Person, StrictProvider

from rowcast.accounts.providers import Authorization
from rowcast.adapters.providers.code import Registration
from rowcast.adapters.providers.id_tokens import UnknownKey, claims_in
from rowcast.adapters.providers.oidc import ANEW_SECONDS, KEPT_SECONDS, OpenIdProvider
from rowcast.errors import Unauthenticated
from rowcast.settings import is_safe

BACK = "https://rowcast.example.org/back"
AUTHORIZATION = Authorization("s" * 43, "v" * 43, "n" * 43, BACK)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def there():
    running = StrictProvider(BACK).start()
    running.person = Person("anna", 7, "anna@example.org")
    yield running
    running.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def provider(there, clock):
    registration = Registration(CLIENT_ID, CLIENT_SECRET)
    named = {"issuer": there.url, "title": "Example", "scopes": "openid email"}
    return OpenIdProvider(registration, **named, may_be_asked=is_safe, clock=clock)


def identify(provider):
    asked = asyncio.run(provider.address(AUTHORIZATION))
    answer = httpx2.get(asked).headers["location"]
    return asyncio.run(provider.identify(AUTHORIZATION, urlsplit(answer).query))


def test_description_and_keys_are_kept_for_an_hour(there, provider, clock):
    for _ in range(3):
        assert identify(provider).email == "anna@example.org"
    about = ("/keys", "/.well-known/openid-configuration")
    assert [there.asked.count(path) for path in about] == [1, 1]
    clock.now += KEPT_SECONDS + 1
    identify(provider)
    assert [there.asked.count(path) for path in about] == [2, 2]


def test_a_new_key_is_asked_for_but_not_at_each_unknown_one(there, provider, clock):
    identify(provider)
    there.change_key("second")
    with pytest.raises(Unauthenticated):
        identify(provider)
    clock.now += ANEW_SECONDS + 1
    assert identify(provider).subject == "7"
    there.lie = "unknown key"
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            identify(provider)
    assert there.asked.count("/keys") == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_endpoint", "http://elsewhere.example/token"),
        ("token_endpoint", None),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("jwks_uri", ["https://x.example"]),
    ],
)
def test_a_description_that_leads_to_unsafe_addresses_is_refused(there, provider, monkeypatch, name, value):
    described = there.description() | {name: value}
    monkeypatch.setattr(there, "description", lambda: described)
    with pytest.raises(Unauthenticated, match="does not answer as it should"):
        identify(provider)


def test_an_answer_that_has_to_name_its_issuer_does(there, provider):
    asyncio.run(provider.address(AUTHORIZATION))
    with pytest.raises(Unauthenticated, match="beyond doubt"):
        asyncio.run(provider.identify(AUTHORIZATION, f"state={AUTHORIZATION.state}&code=x"))


def test_user_info_of_somebody_else_is_refused(there, provider, monkeypatch):
    there.lie = "email elsewhere"
    assert identify(provider).email == "anna@example.org"
    answers = there.api
    monkeypatch.setattr(there, "api", lambda path, token: (200, answers(path, token)[1] | {"sub": "1"}))
    with pytest.raises(Unauthenticated, match="beyond doubt"):
        identify(provider)


ODD_KEYS = [
    [],
    [{"kty": "RSA", "n": 5, "e": None}],
    [{"kty": "RSA", "n": "", "e": "AQAB"}],
    [{"kty": "RSA"}],
    [{"kty": "RSA", "kid": "first", "use": "enc"}],
    [{"kty": "RSA", "kid": "first", "alg": "RS512"}],
    [{"kty": "oct", "k": "AAAA", "kid": "first"}],
    [{"kty": "RSA", "kid": "first"}, {"kty": "RSA", "kid": "first"}],
]


@pytest.mark.parametrize("keys", ODD_KEYS)
def test_odd_keys_believe_nobody(there, keys):
    token = jwt.encode({"sub": "7"}, there.key, algorithm="RS256", headers={"kid": "first"})
    with pytest.raises((UnknownKey, jwt.PyJWTError)):
        claims_in(token, keys, issuer="x", client_id="y", nonce="z")


@pytest.mark.parametrize("token", ["", "a.b.c", "e30.e30.", "eyJhbGciOlsiUlMyNTYiXX0.e30.AA", "é.é.é"])
def test_what_is_no_token_is_refused(there, token):
    with pytest.raises((UnknownKey, jwt.PyJWTError)):
        claims_in(token, there.keys()["keys"][:1], issuer="x", client_id="y", nonce="z")
