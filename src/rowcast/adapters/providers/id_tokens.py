"""ID tokens of OpenID Connect: read when all that makes them one was looked at (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

import jwt

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key that only the provider has: with the others, whoever can check a token could make it."""

LEEWAY_SECONDS = 60
"""By so much the provider's clock may differ."""

REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


class UnknownKey(Exception):
    """The token is signed with a key that is not among the given ones: it may have come since."""


def claims_in(token: str, keys: Sequence[dict[str, Any]], *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """What the token says. ``keys`` are the provider's, as JSON Web Keys.

    Raises:
        UnknownKey: none of the keys can have signed it.
        jwt.InvalidTokenError: it is not theirs, not for us, not from this time, or not valid now.
    """
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError("algorithm")
    claims = jwt.decode(
        token,
        key=_key(header, keys),
        algorithms=[header["alg"]],
        audience=client_id,
        issuer=issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": REQUIRED, "enforce_minimum_key_length": True},
    )
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise jwt.InvalidAudienceError("authorized party")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise jwt.InvalidTokenError("nonce")
    if not 0 < len(claims["sub"]) <= 255 or not claims["sub"].isprintable():
        raise jwt.InvalidTokenError("subject")
    return claims


def _key(header: dict[str, Any], keys: Sequence[dict[str, Any]]) -> jwt.PyJWK:
    algorithm, key_id = header["alg"], header.get("kid")
    fitting = [key for key in keys if _fits(key, algorithm, key_id)]
    if len(fitting) != 1:  # without a name there may only be one
        raise UnknownKey
    return jwt.PyJWK(fitting[0], algorithm)


def _fits(key: dict[str, Any], algorithm: str, key_id: object) -> bool:
    kinds = {"R": "RSA", "P": "RSA", "E": "EC"}
    kind = "OKP" if algorithm == "EdDSA" else kinds[algorithm[0]]
    named = key_id is None or key.get("kid") == key_id
    signs = key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
    return key.get("kty") == kind and named and signs
