"""The licence: a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037) that says who may use an installation, how
much and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from rowcast.errors import InvalidInput

ALGORITHM = "EdDSA"
KIND = "rowcast-licence+jwt"
"""The token's ``typ``: a statement of usage is never taken for a licence (RFC 8725, 3.11)."""

GRACE_DAYS = 14
ANY = "*"


@dataclass(frozen=True, slots=True)
class Licence:
    """``seats`` is the most accounts that are not blocked; ``models`` are names, or ``*`` for any. From ``expires_at``
    on there are ``grace_days`` in which all still works."""

    id: str
    customer: str
    seats: int
    expires_at: datetime
    models: tuple[str, ...] = (ANY,)
    grace_days: int = GRACE_DAYS

    @property
    def ends_at(self) -> datetime:
        """When the days of grace are over."""
        return self.expires_at + timedelta(days=self.grace_days)

    def allows(self, model: str) -> bool:
        """Whether a model of that name may be used."""
        return ANY in self.models or model in self.models


def issue(
    private_key: bytes,
    customer: str,
    *,
    seats: int,
    expires_at: datetime,
    models: Sequence[str] = (ANY,),
    grace_days: int = GRACE_DAYS,
) -> str:
    """A signed licence, as text. ``private_key`` is PEM.

    Raises:
        InvalidInput: the key is not an Ed25519 key, or nobody could use such a licence.
    """
    if not customer.strip():
        raise InvalidInput("licence_invalid", "A licence names its customer.")
    if seats < 1 or grace_days < 0 or not models:
        raise InvalidInput("licence_invalid", "A licence has at least one seat and one model, and no negative days.")
    claims: dict[str, Any] = {
        "jti": uuid4().hex,
        "sub": customer.strip(),
        "iat": datetime.now(UTC),
        "exp": expires_at,
        "seats": seats,
        "models": list(models),
        "grace_days": grace_days,
    }
    return jwt.encode(claims, private_key_of(private_key), algorithm=ALGORITHM, headers={"typ": KIND})


def read(text: str, public_key: bytes) -> Licence:
    """The licence, if it was signed by the holder of the key; also one that has expired. ``public_key`` is PEM.

    Raises:
        InvalidInput: it was not, or it is no licence.
    """
    claims = verified(text, public_key_of(public_key), KIND, ["jti", "sub", "exp", "seats", "models", "grace_days"])
    try:
        return Licence(
            id=str(claims["jti"]),
            customer=str(claims["sub"]),
            seats=int(claims["seats"]),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            models=tuple(str(name) for name in claims["models"]),
            grace_days=int(claims["grace_days"]),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput("licence_invalid", "This licence is signed, but not as Rowcast writes them.") from error


def verified(text: str, key: Ed25519PublicKey, kind: str, required: Sequence[str]) -> dict[str, Any]:
    """The claims of a token of that kind, if it was signed with the key; its expiry is left to the caller.

    Raises:
        InvalidInput: it was not, or it is something else.
    """
    options: Any = {"require": list(required), "verify_exp": False, "verify_iat": False}
    try:
        decoded = jwt.decode_complete(text.strip(), key, algorithms=[ALGORITHM], options=options)
    except jwt.InvalidSignatureError:
        message = "It was not signed with this key, or it was changed since. Ask the supplier for the right one."
        raise InvalidInput("signature_wrong", message) from None
    except jwt.InvalidTokenError:
        raise InvalidInput("token_invalid", "This is not a complete licence or statement of Rowcast.") from None
    if decoded["header"].get("typ") != kind:
        raise InvalidInput("token_invalid", f"This is signed, but it is no {kind.partition('+')[0]}.")
    claims: dict[str, Any] = decoded["payload"]
    return claims


def new_private_key() -> bytes:
    """A new Ed25519 key, as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_half(private_key: bytes) -> bytes:
    """The public key, as PEM, of a private one."""
    return private_key_of(private_key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_key_of(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput("key_invalid", "This is not an Ed25519 private key in PEM. `rowcast licence key` makes one.")
    return key


def public_key_of(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(
            "key_invalid", "This is not an Ed25519 public key in PEM, as `rowcast licence key` writes it."
        )
    return key
