"""Who is calling, on REST: an API key in a header becomes a Principal; each operation names the roles it admits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from rowcast.accounts.principal import Principal, Role
from rowcast.entrypoints.services import Services
from rowcast.errors import Unauthenticated

ROLES_ATTRIBUTE = "admitted_roles"

bearer = HTTPBearer(
    auto_error=False, description="Paste an API key alone: `rc_...`. It is sent as `Authorization: Bearer rc_...`."
)
api_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="The same key in another header: one of the two is enough."
)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Headers = Sequence[tuple[bytes, bytes]]
"""Of a request, as ASGI has them: names in small letters."""


def key_of(headers: Headers) -> str:
    """The key that a request carries.

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, value = _first(headers, b"authorization").partition(" ")
    key = value.strip() if scheme.lower() == "bearer" else _first(headers, b"x-api-key")
    if not key:
        raise Unauthenticated(
            "key_missing", "An API key is needed: send it as 'Authorization: Bearer rc_...' or 'X-API-Key: rc_...'."
        )
    return key


def _first(headers: Headers, wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


async def caller(services: Services, headers: Headers) -> Principal:
    """Who is calling; a key that was seen a moment ago costs neither a thread nor the database.

    Raises:
        Unauthenticated: there is no key, or it is not a valid one.
    """
    key = key_of(headers)
    principal = services.keyring.remembered(key)
    return principal if principal is not None else await to_thread.run_sync(services.keyring.authenticate, key)


def _admit(*roles: Role) -> Callable[..., Awaitable[Principal]]:
    # The two parameters that are not used declare the security schemes in the OpenAPI document.
    async def admit(
        request: Request,
        _bearer: object = Depends(bearer),
        _key: object = Depends(api_key_header),
    ) -> Principal:
        principal = await caller(services_of(request), request.headers.raw)
        principal.require(*roles)
        return principal

    setattr(admit, ROLES_ATTRIBUTE, frozenset({*roles, Role.ADMIN}))
    return admit


Anyone = Annotated[Principal, Depends(_admit(Role.ANALYST, Role.USER))]
"""Any signed-in caller."""

Analyst = Annotated[Principal, Depends(_admit(Role.ANALYST))]
"""Callers who may change data and models."""


Administrator = Annotated[Principal, Depends(_admit())]
"""Those who run the server."""


async def wired(request: Request) -> Services:
    """The same as a dependency: one that is no coroutine would be called in a thread of its own."""
    return services_of(request)


Wired = Annotated[Services, Depends(wired)]
