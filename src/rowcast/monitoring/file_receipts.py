"""The receipt of a whole file: who had how many rows answered by which model. Neither rows nor answers are in it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.monitoring.receipts import with_receipt
from rowcast.monitoring.tables import ReceiptRow
from rowcast.monitoring.usage import extend
from rowcast.scoring.answers import Answers, encode
from rowcast.scoring.version_key import VersionKey


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """``id`` is made by ``new_timed_id``; ``content_hash`` is the SHA-256 of the file."""

    id: str
    model: VersionKey
    alias: str | None
    policy: int | None
    row_count: int
    skipped: int
    content_hash: str
    price: int = 0
    transfer_id: str | None = None


def keep_receipt(session: Session, principal: Principal, scored: ScoredFile, usage_key: bytes = b"") -> None:
    """Put the receipt on record; with ``usage_key`` as a chain of its own: see ``usage``."""
    key = scored.model
    reply = encode(Answers(key.model, key.number, scored.alias, [], [], scored.policy))
    receipt = ReceiptRow(
        id=scored.id,
        principal_id=principal.id,
        model=key.model,
        number=key.number,
        alias=scored.alias,
        model_version_id=key.id,
        bundle_hash=key.bundle_hash,
        dataset_version_id=None,
        policy_version=scored.policy,
        row_count=scored.row_count,
        skipped=scored.skipped,
        price=scored.price,
        transfer_id=scored.transfer_id,
        inputs_hash=scored.content_hash,
        inputs_kept="file",
        outputs=b"",
        request=None,
        reply=with_receipt(reply, scored.id),
    )
    session.add(receipt)
    if usage_key:
        extend(session, usage_key, scored.id, [receipt])
