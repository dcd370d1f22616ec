"""Statements of usage: what was used so far, signed by the installation, each naming the one before. The supplier keeps
them; a later history must still contain what an earlier statement says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import jwt

from rowcast.errors import InvalidInput
from rowcast.licences.licence import ALGORITHM, private_key_of, public_key_of, verified

KIND = "rowcast-usage+jwt"
_REQUIRED = ["jti", "sub", "iat", "licence", "number", "before", "seats", "receipts", "rows", "price", "heads"]


class Head(NamedTuple):
    """Where a chain of receipts ends."""

    number: int
    seal: str


@dataclass(frozen=True, slots=True)
class Statement:
    """``before`` is the SHA-256 of the statement before; ``rows`` were answered since a licence was first set;
    ``seats`` were in use."""

    licence: str
    customer: str
    number: int
    made_at: datetime
    seats: int
    receipts: int
    rows: int
    price: int
    before: str
    heads: dict[str, Head]


def sign(statement: Statement, private_key: bytes) -> str:
    """The statement as text. ``private_key`` is PEM."""
    claims: dict[str, Any] = {
        "jti": uuid4().hex,
        "sub": statement.customer,
        "iat": statement.made_at,
        "licence": statement.licence,
        "number": statement.number,
        "before": statement.before,
        "seats": statement.seats,
        "receipts": statement.receipts,
        "rows": statement.rows,
        "price": statement.price,
        "heads": {chain: list(head) for chain, head in statement.heads.items()},
    }
    return jwt.encode(claims, private_key_of(private_key), algorithm=ALGORITHM, headers={"typ": KIND})


def read(text: str, public_key: bytes, *, after: str | None = None) -> Statement:
    """What a statement says, if the installation with that key signed it; and, if ``after`` is one that was received
    earlier, whether it follows on it.

    Raises:
        InvalidInput: it does not verify; the message says why.
    """
    statement = _statement(verified(text, public_key_of(public_key), KIND, _REQUIRED))
    if after is not None:
        _require_follows(statement, read(after, public_key), after)
    return statement


def hash_of(text: str) -> str:
    """The SHA-256 by which the next statement names this one."""
    return hashlib.sha256(text.strip().encode()).hexdigest()


def _require_follows(statement: Statement, earlier: Statement, text: str) -> None:
    if statement.number <= earlier.number:
        raise InvalidInput("statement_order", f"Statement {statement.number} does not come after {earlier.number}.")
    if statement.number == earlier.number + 1 and statement.before != hash_of(text):
        raise InvalidInput("statement_order", "It does not name the statement before it: one of the two was changed.")
    shrunk = [chain for chain, head in earlier.heads.items() if _length(statement, chain) < head.number]
    if shrunk or statement.receipts < earlier.receipts:
        raise InvalidInput("statement_shrunk", "It has less in it than the statement before: history was cut off.")


def _length(statement: Statement, chain: str) -> int:
    return statement.heads[chain].number if chain in statement.heads else 0


def _statement(claims: dict[str, Any]) -> Statement:
    try:
        return Statement(
            licence=str(claims["licence"]),
            customer=str(claims["sub"]),
            number=int(claims["number"]),
            made_at=datetime.fromtimestamp(claims["iat"], UTC),
            seats=int(claims["seats"]),
            receipts=int(claims["receipts"]),
            rows=int(claims["rows"]),
            price=int(claims["price"]),
            before=str(claims["before"]),
            heads={str(chain): Head(int(number), str(seal)) for chain, (number, seal) in claims["heads"].items()},
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InvalidInput("token_invalid", "This statement is signed, but not as Rowcast writes them.") from error
