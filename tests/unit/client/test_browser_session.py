"""A client with the session of a browser: it calls as whoever is signed in there, and with nobody's key."""

import httpx2
import pytest

from rowcast.client import Client
from rowcast.errors import InvalidInput


def called_with(session):
    """The headers of a call."""
    seen = []

    def answer(request):
        seen.append(request.headers)
        return httpx2.Response(200, json={"name": "loans"})

    with Client("http://127.0.0.1:9", session=session, transport=httpx2.MockTransport(answer)) as client:
        client.datasets.dictionary("loans")
    return seen[0]


@pytest.mark.parametrize("session", ["token", ""])
def test_no_key_is_sent_whatever_lies_about(session, monkeypatch):
    monkeypatch.setenv("ROWCAST_API_KEY", "rc_of_the_administrator")
    headers = called_with(session)
    assert "authorization" not in headers
    assert headers.get("cookie") == ("rowcast_session=token" if session else None)


def test_it_shows_that_no_page_elsewhere_sent_the_call():
    assert called_with("token")["x-rowcast-client"]


@pytest.mark.parametrize("session", ["a; other=b", "a\r\nX: y", "ы"])
def test_what_is_no_token_is_refused_and_not_repeated(session):
    with pytest.raises(InvalidInput) as refused:
        Client("http://127.0.0.1:9", session=session)
    assert refused.value.code == "session_invalid"
    assert session not in refused.value.message
