"""The authorization code grant of OAuth 2 (RFC 6749) with PKCE (RFC 7636): there with a question, back with a code, and
the code for a token. What is sent and how it is read is oauthlib's; this is when, and what it is held against."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from oauthlib.oauth2 import AccessDeniedError, OAuth2Error, WebApplicationClient

from rowcast.accounts.providers import Authorization
from rowcast.adapters.providers.web import Web
from rowcast.errors import Unauthenticated

_NAME = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Registration:
    """Rowcast as a provider knows it."""

    client_id: str
    client_secret: str = field(repr=False)


def question(
    endpoint: str, registration: Registration, authorization: Authorization, *, scope: str, **more: str
) -> str:
    """The address by which a browser asks the provider for a code."""
    client = WebApplicationClient(registration.client_id)
    # oauthlib knows https alone. That http is on this machine only was seen to before.
    scheme, _, rest = endpoint.partition("://")
    asked: str = client.prepare_request_uri(
        f"https://{rest}",
        redirect_uri=authorization.redirect_uri,
        scope=scope,
        state=authorization.state,
        code_challenge=client.create_code_challenge(authorization.verifier, "S256"),
        code_challenge_method="S256",
        **more,
    )
    return scheme + asked.removeprefix("https")


def code_in(web: Web, registration: Registration, authorization: Authorization, answer: str) -> Mapping[str, str]:
    """What came back with the browser, the code among it.

    Raises:
        Unauthenticated: there is none, or they did not agree.
    """
    client = WebApplicationClient(registration.client_id)
    try:
        said: dict[str, str] = client.parse_request_uri_response(f"https://rowcast/?{answer}", authorization.state)
    except AccessDeniedError:
        message = f"You did not let {web.title} tell who you are. Begin again, or sign in another way."
        raise Unauthenticated("sign_in_declined", message, provider=web.title) from None
    except (OAuth2Error, ValueError) as error:
        raise web.doubtful(_reason(error)) from None
    return said


async def token_for(
    web: Web, endpoint: str, registration: Registration, authorization: Authorization, code: str, *, basic: bool
) -> Mapping[str, Any]:
    """What the provider gives for a code. ``basic`` is how it wants to know us: by a header, else in the form.

    Raises:
        Unauthenticated: it gives nothing for it.
    """
    client = WebApplicationClient(registration.client_id)
    secret = None if basic else registration.client_secret
    form = client.prepare_request_body(
        code=code,
        redirect_uri=authorization.redirect_uri,
        code_verifier=authorization.verifier,
        include_client_id=not basic,
        client_secret=secret,
    )
    answer = await web.ask(endpoint, headers=_basic(registration) if basic else None, form=form)
    if not isinstance(answer.content, dict):
        raise web.failed(f"status {answer.status}, and no token")
    try:
        given: Mapping[str, Any] = client.parse_request_body_response(json.dumps(answer.content))
    except (OAuth2Error, Warning, ValueError, TypeError, AttributeError) as error:
        raise web.doubtful(_reason(error)) from None
    if answer.status != 200 or str(given.get("token_type", "bearer")).lower() != "bearer":
        raise web.doubtful(f"status {answer.status}, or no bearer token")
    return given


def bearer(token: Mapping[str, Any]) -> str:
    return f"Bearer {token['access_token']}"


def _basic(registration: Registration) -> dict[str, str]:
    """Both are written as in a form first (RFC 6749, 2.3.1)."""
    pair = f"{quote_plus(registration.client_id)}:{quote_plus(registration.client_secret)}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _reason(error: Exception) -> str:
    """What the log may have of it: the name of the fault, not what was sent."""
    name = getattr(error, "error", None)
    return name if isinstance(name, str) and _NAME.fullmatch(name) else type(error).__name__
