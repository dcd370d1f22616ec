"""Any server that speaks OpenID Connect: found by its own description, believed by the signature of its ID tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from rowcast.accounts.providers import Authorization, Identity
from rowcast.adapters.providers.code import Registration, bearer, code_in, question, token_for
from rowcast.adapters.providers.id_tokens import UnknownKey, claims_in
from rowcast.adapters.providers.web import Web

DESCRIPTION = "/.well-known/openid-configuration"
KEPT_SECONDS = 3600.0
"""For how long the description and the keys are taken to be as they were."""

ANEW_SECONDS = 30.0
"""Keys are asked for again when one is missing, but not more often than that: anyone can make up a token."""


class OpenIdProvider:
    """Asks a server who somebody is: the subject of an ID token, and the e-mail address if it is verified. For one
    event loop."""

    name = "oidc"

    def __init__(
        self,
        registration: Registration,
        *,
        issuer: str,
        title: str,
        scopes: str,
        may_be_asked: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.issuer = issuer
        self._registration = registration
        self._scopes = scopes
        self._may_be_asked = may_be_asked
        self._clock = clock
        self._web = Web(title)
        self._kept: dict[str, tuple[dict[str, Any], float]] = {}

    async def address(self, authorization: Authorization) -> str:
        """Where to send the browser.

        Raises:
            Unauthenticated: the server does not describe itself.
        """
        endpoint = self._endpoint(await self._description(), "authorization_endpoint")
        asked = {"scope": self._scopes, "nonce": authorization.nonce}
        return question(endpoint, self._registration, authorization, **asked)

    async def identify(self, authorization: Authorization, answer: str) -> Identity:
        """Who came back.

        Raises:
            Unauthenticated: the server does not say so beyond doubt, or does not work.
        """
        said = code_in(self._web, self._registration, authorization, answer)
        description = await self._description()
        self._check_issuer(description, said)
        endpoint = self._endpoint(description, "token_endpoint")
        methods = description.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = "client_secret_basic" in methods
        token = await token_for(self._web, endpoint, self._registration, authorization, said["code"], basic=basic)
        claims = await self._claims(description, str(token.get("id_token", "")), authorization.nonce)
        if "email" not in claims and "userinfo_endpoint" in description:
            about = await self._about(description, token, claims["sub"])
            claims = {**claims, "email_verified": None, **about}
        return _identity(claims)

    async def _claims(self, description: dict[str, Any], token: str, nonce: str) -> dict[str, Any]:
        expected = {"issuer": self.issuer, "client_id": self._registration.client_id, "nonce": nonce}
        try:
            try:
                return claims_in(token, await self._keys(description, KEPT_SECONDS), **expected)
            except UnknownKey:
                return claims_in(token, await self._keys(description, ANEW_SECONDS), **expected)
        except (jwt.PyJWTError, UnknownKey) as error:
            raise self._web.doubtful(f"ID token, {type(error).__name__}") from None

    async def _about(self, description: dict[str, Any], token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """What some servers say of a person only when they are asked in addition."""
        endpoint = self._endpoint(description, "userinfo_endpoint")
        about = await self._web.get(endpoint, Authorization=bearer(token))
        if about.get("sub") != subject:
            raise self._web.doubtful("user info of another subject")
        return about

    async def _description(self) -> dict[str, Any]:
        description = await self._get(self.issuer.rstrip("/") + DESCRIPTION, KEPT_SECONDS)
        if description.get("issuer") != self.issuer:
            self._kept.clear()
            raise self._web.failed("its description names another issuer than ROWCAST_OIDC_ISSUER")
        return description

    async def _keys(self, description: dict[str, Any], kept_seconds: float) -> list[dict[str, Any]]:
        keys = (await self._get(self._endpoint(description, "jwks_uri"), kept_seconds)).get("keys")
        if not isinstance(keys, list):
            raise self._web.failed("no keys")
        return [key for key in keys if isinstance(key, dict)]

    async def _get(self, address: str, kept_seconds: float) -> dict[str, Any]:
        kept = self._kept.get(address)
        if kept is not None and self._clock() - kept[1] < kept_seconds:
            return kept[0]
        content = await self._web.get(address)
        self._kept[address] = (content, self._clock())
        return content

    def _endpoint(self, description: dict[str, Any], name: str) -> str:
        address = description.get(name)
        if not isinstance(address, str) or not self._may_be_asked(address):
            raise self._web.failed(f"its {name} is no https address")
        return address

    def _check_issuer(self, description: dict[str, Any], said: Mapping[str, str]) -> None:
        """Servers that can be mixed up with others say in the answer who they are (RFC 9207)."""
        required = description.get("authorization_response_iss_parameter_supported") is True
        if said.get("iss", None if required else self.issuer) != self.issuer:
            raise self._web.doubtful("the answer is another issuer's")


def _identity(claims: Mapping[str, Any]) -> Identity:
    email = claims.get("email")
    verified = isinstance(email, str) and claims.get("email_verified") is True
    names = (claims.get(key) for key in ("preferred_username", "name", "email"))
    name = next((each for each in names if isinstance(each, str) and each), "")
    return Identity(claims["sub"], name, email if verified else None)
