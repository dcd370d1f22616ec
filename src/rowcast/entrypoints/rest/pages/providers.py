"""Signing in with GitHub or another provider: there, back, and the accounts there that are linked to one's own."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from rowcast.accounts.authorizations import MINUTES, Arrival, browser_secret
from rowcast.accounts.principal import Principal
from rowcast.accounts.providers import Provider
from rowcast.entrypoints.rest.browsers import base_of, own_path, visitor
from rowcast.entrypoints.rest.pages.account import show_account
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.rendering import SIGN_IN_AGAIN, PageRoute, go, show, who
from rowcast.entrypoints.rest.pages.signing import entered, show_sign_in
from rowcast.entrypoints.rest.security import services_of
from rowcast.errors import NotFound, RowcastError, Unauthenticated

router = APIRouter(route_class=PageRoute, include_in_schema=False)

COOKIE = "rowcast_sign_in"
"""The secret of a browser that was sent to a provider."""


@router.get("/sign-in/{name}")
async def leave(request: Request, name: str, next: str = "/") -> Response:
    """Send the browser to a provider, unless somebody is signed in."""
    provider, following = _provider(request, name), own_path(next)
    if await who(request) is not None:
        return go(following)
    try:
        address, browser = await _address(request, provider, following)
    except RowcastError as error:
        return show_sign_in(request, error=error, following=following)
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})
    return _remembering(request, response, browser)


@router.get("/sign-in/{name}/callback")
async def come_back(request: Request, name: str, state: str = "") -> Response:
    """Sign in whoever comes back from a provider, or link what they are there to their account."""
    provider, services = _provider(request, name), services_of(request)
    browser, redirect_uri = request.cookies.get(COOKIE, ""), _redirect_uri(request, provider)
    arrive = partial(services.identities.come_back, provider, browser, state, redirect_uri=redirect_uri)
    try:
        arrival = await to_thread.run_sync(arrive)
    except RowcastError as error:
        return await _refused(request, error, "/")
    try:
        response = await _welcome(request, provider, arrival)
    except RowcastError as error:
        await to_thread.run_sync(services.identities.refused, provider, error)
        return await _refused(request, error, arrival.following)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.post("/account/identities/{name}")
async def link(request: Request, name: str) -> Response:
    """Send who is signed in to a provider, to link what they are there."""
    principal = await who(request)
    if principal is None:
        return go(SIGN_IN_AGAIN)
    provider = _provider(request, name)
    try:
        address, browser = await _address(request, provider, "/account?done=linked", principal)
    except RowcastError as error:
        return await show_account(request, principal, error=error)
    # A page that goes on by itself: our policy lets no form lead elsewhere, not by a redirect either.
    response = show(request, "leave.html", here="/account", address=address, provider=provider.title)
    return _remembering(request, response, browser)


@router.post("/account/identities/{identity_id}/remove")
async def unlink(request: Request, identity_id: str) -> Response:
    """No longer let the caller sign in with that."""
    principal = await who(request)
    if principal is None:
        return go(SIGN_IN_AGAIN)
    try:
        await to_thread.run_sync(services_of(request).identities.unlink, principal, identity_id)
    except RowcastError as error:
        return await show_account(request, principal, error=error)
    return go("/account?done=unlinked")


async def _address(
    request: Request, provider: Provider, following: str, principal: Principal | None = None
) -> tuple[str, str]:
    """Where to send the browser, and its secret."""
    browser = browser_secret(request.cookies.get(COOKIE, ""))
    awaited = partial(
        services_of(request).identities.leave,
        provider,
        browser,
        visitor(request),
        redirect_uri=_redirect_uri(request, provider),
        following=following,
        principal=principal,
    )
    return await provider.address(await to_thread.run_sync(awaited)), browser


async def _welcome(request: Request, provider: Provider, arrival: Arrival) -> Response:
    """Let in who came back: into a session, or as one thing more that the caller is known by."""
    identities, answer = services_of(request).identities, request.url.query
    if arrival.user_id is None:
        identity = await provider.identify(arrival.authorization, answer)
        person = visitor(request, language_of(request))
        opened = await to_thread.run_sync(identities.sign_in, provider, identity, person)
        return await entered(request, opened, arrival.following)
    principal = await who(request)
    if principal is None or principal.id != arrival.user_id:
        raise Unauthenticated("session_ended", "You are not signed in any more. Sign in again.")
    identity = await provider.identify(arrival.authorization, answer)
    await to_thread.run_sync(identities.link, principal, provider, identity)
    return go(arrival.following)


async def _refused(request: Request, error: RowcastError, following: str) -> Response:
    principal = await who(request)
    if principal is not None:
        return await show_account(request, principal, error=error)
    return show_sign_in(request, error=error, following=following)


def _provider(request: Request, name: str) -> Provider:
    provider = services_of(request).providers.get(name)
    if provider is None:
        raise NotFound("provider_unknown", "Nobody signs in that way here. Choose another on the sign-in page.")
    return provider


def _redirect_uri(request: Request, provider: Provider) -> str:
    return f"{base_of(request, services_of(request).settings)}/sign-in/{provider.name}/callback"


def _remembering(request: Request, response: Response, browser: str) -> Response:
    secure = services_of(request).settings.secure or request.url.scheme == "https"
    response.set_cookie(COOKIE, browser, max_age=MINUTES * 60, path="/", secure=secure, httponly=True, samesite="lax")
    return response
