"""Errors as lines and as exit codes."""

from __future__ import annotations

from collections.abc import Iterator

from rowcast import errors
from rowcast.entrypoints.cli.exit_codes import FAILED, INVALID, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE
from rowcast.errors import RowcastError

CODES: dict[type[RowcastError], int] = {
    errors.NotFound: NOT_FOUND,
    errors.InvalidInput: INVALID,
    errors.TooLarge: INVALID,
    errors.Unauthenticated: NOT_ALLOWED,
    errors.Forbidden: NOT_ALLOWED,
    errors.PaymentRequired: NOT_ALLOWED,
    errors.Unavailable: UNAVAILABLE,
    errors.TooMany: UNAVAILABLE,
    errors.Conflict: FAILED,
    errors.TimedOut: FAILED,
    errors.Cancelled: FAILED,
    errors.Internal: FAILED,
}

_ADDRESS = "Is this the address of a Rowcast server, and nothing more? See --url and ROWCAST_URL."
_SIGN_IN = "Sign in again with `rowcast login`, or give another key with --api-key or ROWCAST_API_KEY."
HINTS = {
    "key_missing": "Sign in with `rowcast login`, or give a key with --api-key or ROWCAST_API_KEY; `rowcast up` leaves "
    "one in its data folder.",
    "key_unknown": _SIGN_IN,
    "key_expired": _SIGN_IN,
    "key_revoked": _SIGN_IN,
    "sign_in_refused": "Try again. An administrator makes a link for a new password: rowcast users link NAME. "
    "With a key, sign in by `rowcast login --key`.",
    **dict.fromkeys(("not_found", "http_404", "http_405", "unexpected_answer", "connection_lost"), _ADDRESS),
}
"""What to do next on a command line, by the codes of errors that do not know that they are shown on one."""


def exit_code(error: RowcastError) -> int:
    return CODES[type(error)]


def lines(error: RowcastError) -> Iterator[str]:
    """The error for a person: what happened, then one line for each place at fault."""
    yield from f"error: {error}".split("\n")
    if error.code in HINTS:
        yield f"  {HINTS[error.code]}"


def as_json(error: RowcastError) -> dict[str, object]:
    return {"error": error.to_dict()}
