"""Who is calling, on REST: an API key in a header, or the session of a browser, becomes a Principal; each operation
names whom it admits."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from starlette.types import Scope as ASGIScope

from rowcast.accounts.audit import caller_address
from rowcast.accounts.principal import Principal, Role, Scope
from rowcast.accounts.profile import SESSION_COOKIE
from rowcast.entrypoints.rest.browsers import (
    SAFE_METHODS,
    Headers,
    address_of,
    first,
    require_own_site,
    token_of,
)
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.vouching import HEADER
from rowcast.errors import Unauthenticated
from rowcast.traces import request

RULE_ATTRIBUTE = "rule"


class Rule(NamedTuple):
    """Whom an operation admits: callers with one of the roles and one of the scopes."""

    roles: frozenset[Role]
    scopes: tuple[Scope, ...]

    def check(self, principal: Principal) -> None:
        """Pass when the caller is admitted.

        Raises:
            Forbidden: they are not.
        """
        if principal.scopes is None and principal.role in self.roles:
            return
        held = next((scope for scope in self.scopes if principal.has(scope)), self.scopes[0])
        principal.require(*self.roles, scope=held)


bearer = HTTPBearer(
    auto_error=False, description="Paste an API key alone: `rc_...`. It is sent as `Authorization: Bearer rc_...`."
)
api_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="The same key in another header: one of the two is enough."
)
session_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    description="The session of a browser that is signed in: it sends it by itself.",
)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def key_of(headers: Headers) -> str:
    """The key that a request carries, or nothing. As the password of a basic authorization it may have any user name:
    for clients that take no headers, but an address with a name and a password in it."""
    scheme, _, value = first(headers, b"authorization").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            return _password(value)
        case _:
            return first(headers, b"x-api-key")


def _password(value: str) -> str:
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


async def caller(services: Services, scope: ASGIScope) -> Principal:
    """Who is calling, by key or else by the session of a browser; one that was seen a moment ago costs neither a thread
    nor the database.

    Raises:
        Unauthenticated: there is neither, or it is not a valid one.
        Forbidden: a page elsewhere made the browser send this.
        TooMany: the caller has a limit of requests a second, and reached it.
    """
    principal = await identified(services, scope)
    if principal.limits is not None:
        services.rates.take(principal)
    return principal


async def identified(services: Services, scope: ASGIScope) -> Principal:
    """The same without counting it as a call: for a stream, which asks again while it lasts.

    Raises:
        Unauthenticated, Forbidden: as ``caller``.
    """
    headers: Headers = scope["headers"]
    caller_address.set(address_of(scope))
    request.set(scope)
    key = key_of(headers)
    if key:
        principal = services.keyring.remembered(key)
        return principal if principal is not None else await to_thread.run_sync(services.keyring.authenticate, key)
    token = token_of(headers)
    if not token:
        raise Unauthenticated(
            "key_missing", "An API key is needed: send it as 'Authorization: Bearer rc_...' or 'X-API-Key: rc_...'."
        )
    if word := first(headers, HEADER):
        caller_address.set(services.vouching.address(word, token) or address_of(scope))
    if scope["method"] not in SAFE_METHODS:
        require_own_site(scope, services.settings)
    principal = services.sessions.remembered(token)
    return principal if principal is not None else await to_thread.run_sync(services.sessions.authenticate, token)


READING = Rule(frozenset(Role), (Scope.READ,))
PREDICTING = Rule(frozenset(Role), (Scope.PREDICT,))
TRAINING = Rule(frozenset({Role.ANALYST, Role.ADMIN}), (Scope.TRAIN,))
ADMINISTERING = Rule(frozenset({Role.ADMIN}), (Scope.ADMIN,))


def _admit(rule: Rule) -> Callable[..., Awaitable[Principal]]:
    # The parameters that are not used declare the security schemes in the OpenAPI document.
    async def admit(
        request: Request,
        _bearer: object = Depends(bearer),
        _key: object = Depends(api_key_header),
        _session: object = Depends(session_cookie),
    ) -> Principal:
        principal = await caller(services_of(request), request.scope)
        rule.check(principal)
        return principal

    setattr(admit, RULE_ATTRIBUTE, rule)
    return admit


Anyone = Annotated[Principal, Depends(_admit(READING))]
"""Any signed-in caller, to look."""

Signed = Annotated[Principal, Depends(_admit(Rule(frozenset(Role), tuple(Scope))))]
"""Any signed-in caller, whatever their key is for."""

Predictor = Annotated[Principal, Depends(_admit(PREDICTING))]
"""Any signed-in caller, to predict."""

Submitter = Annotated[Principal, Depends(_admit(Rule(frozenset(Role), (Scope.PREDICT, Scope.TRAIN))))]
"""Any signed-in caller, to change tasks of their own."""

Analyst = Annotated[Principal, Depends(_admit(TRAINING))]
"""Callers who may change data and models."""

Account = Annotated[Principal, Depends(_admit(Rule(frozenset(Role), (Scope.ACCOUNT,))))]
"""Any signed-in caller, for what is about themselves: keys, password, sessions."""

Administrator = Annotated[Principal, Depends(_admit(ADMINISTERING))]
"""Those who run the server."""


async def wired(request: Request) -> Services:
    """The same as a dependency: one that is no coroutine would be called in a thread of its own."""
    return services_of(request)


Wired = Annotated[Services, Depends(wired)]
