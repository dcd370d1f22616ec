"""What of a call's inputs is kept: all, all but some fields, or nothing. Their hash always is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from rowcast.scoring.answers import Answer, Answers

Kept = Literal["all", "redacted", "none"]


class KeptInputs(NamedTuple):
    """``rows`` is the JSON of the rows as they are kept, ``hash`` tells the rows as they were sent."""

    kept: Kept
    hash: str
    rows: bytes | None


@dataclass(frozen=True, slots=True)
class Keeping:
    """The policy of an installation.

    ``redacted`` are fields, in any case of their letters, whose values are never written down. The hash of inputs that
    are kept whole is the SHA-256 of their canonical JSON: sorted keys, no spaces. Of others it is the HMAC-SHA-256
    with ``key``: from a plain hash and the fields that are kept, a value of few possibilities could be found by trying
    them all.
    """

    store_inputs: bool = True
    redacted: Collection[str] = frozenset()
    key: bytes = field(default=b"", repr=False)

    @staticmethod
    def of(store_inputs: bool, redacted: Iterable[str], key: bytes) -> Keeping:
        return Keeping(store_inputs, frozenset(name.casefold() for name in redacted), key)

    def inputs(self, rows: Sequence[Any], answers: Answers) -> KeptInputs:
        """What is kept of these rows, which were answered so."""
        canonical = msgspec.json.encode(rows, order="sorted")
        if self.store_inputs and not (self.redacted and self._hides(rows, answers)):
            return KeptInputs("all", hashlib.sha256(canonical).hexdigest(), canonical)
        keyed = hmac.digest(self.key, canonical, "sha256").hex()
        if not self.store_inputs:
            return KeptInputs("none", keyed, None)
        shown = [self._shown(row, answer) for row, answer in zip(rows, answers.predictions, strict=True)]
        return KeptInputs("redacted", keyed, msgspec.json.encode(shown, order="sorted"))

    def reply(self, kept: Kept, answers: Answers, encoded: bytes) -> bytes:
        """What is kept of the reply: its very bytes, or, where inputs are to be hidden, without whatever could repeat
        them: the answers to the rows and nothing about why."""
        if kept == "all":
            return encoded
        bare = [None if one is None else _bare(one) for one in answers.predictions]
        return msgspec.json.encode(msgspec.structs.replace(answers, predictions=bare))

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


def _bare(answer: Answer) -> Answer:
    return Answer(answer.value, answer.probability, answer.probabilities, answer.interval)
