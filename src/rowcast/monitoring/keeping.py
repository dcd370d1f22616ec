"""What of a call's inputs is kept: all, all but some fields, or nothing. Their hash always is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from rowcast.monitoring.packing import unpacked
from rowcast.scoring.answers import Answer, Answers, Decision


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What a receipt says of the inputs, with the JSON of the request and of the reply as they are kept."""

    inputs: Literal["all", "redacted", "none"]
    hash: str
    request: bytes | None
    reply: bytes


@dataclass(frozen=True, slots=True)
class Keeping:
    """The policy of an installation.

    ``redacted`` are fields, in any case of their letters, whose values are never written down. The hash of inputs that
    are kept whole is the SHA-256 of the request's body as it was sent. Of others it is the HMAC-SHA-256 with ``key``:
    from a plain hash and the fields that are kept, a value of few possibilities could be found by trying them all.
    """

    store_inputs: bool = True
    redacted: Collection[str] = frozenset()
    key: bytes = field(default=b"", repr=False)

    @staticmethod
    def of(store_inputs: bool, redacted: Iterable[str], key: bytes) -> Keeping:
        return Keeping(store_inputs, frozenset(name.casefold() for name in redacted), key)

    def kept(self, body: bytes, answers: Answers, reply: bytes, inputs: bytes | None = None) -> Kept:
        """What is kept of this call, which was answered so; ``inputs`` are the rows of one that came in another form
        than REST's, as ``{"rows": [...]}`` or ``Columns.to_bytes``.

        Of a reply to inputs that are not kept whole only the answers are, and nothing about why: that could repeat
        them.
        """
        if self.store_inputs and not self.redacted:
            return Kept("all", hashlib.sha256(body).hexdigest(), inputs or body, reply)
        request = msgspec.json.decode(unpacked(inputs or body))
        rows = request["rows"]
        if self.store_inputs and not self._hides(rows, answers):
            # Written anew, for a name that comes twice in the body hides what it had the first time.
            return Kept("all", hashlib.sha256(body).hexdigest(), msgspec.json.encode(request), reply)
        keyed = hmac.digest(self.key, body, "sha256").hex()
        bare = msgspec.json.encode(msgspec.structs.replace(answers, predictions=[*map(_bare, answers.predictions)]))
        if not self.store_inputs:
            return Kept("none", keyed, None, bare)
        shown = [self._shown(row, answer) for row, answer in zip(rows, answers.predictions, strict=True)]
        # Of the rest of the request only this can hold no value of the rows.
        on_error = {name: request[name] for name in ("on_error",) if name in request}
        return Kept("redacted", keyed, msgspec.json.encode({"rows": shown, **on_error}), bare)

    def _hides(self, rows: Sequence[Any], answers: Answers) -> bool:
        """Whether a row holds a field that is to be hidden; one that could not be read may hold it anywhere."""
        return None in answers.predictions or any(self._secret(name) for row in rows for name in row)

    def _shown(self, row: Any, answer: Answer | None) -> Any:
        """The row without its secrets; None for one that could not be read."""
        if answer is None:
            return None
        return {name: None if self._secret(name) else value for name, value in row.items()}

    def _secret(self, name: str) -> bool:
        return name.casefold() in self.redacted


def _bare(answer: Answer | None) -> Answer | None:
    """The answer with its interval and colour; an expected profit could tell the amount that it was made of."""
    if answer is None:
        return None
    color = None if answer.decision is None else Decision(answer.decision.color)
    return Answer(answer.value, answer.probability, answer.probabilities, answer.interval, color)
