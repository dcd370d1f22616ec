"""A prediction with its receipt: scored once, put on record, and only then answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from rowcast.accounts.principal import Principal
from rowcast.credits.allowances import Use, uses_of
from rowcast.credits.ledger import KeyLimit, key_limit_of
from rowcast.credits.tariff import Tariff, cost
from rowcast.errors import RowcastError
from rowcast.identifiers import new_timed_id, new_timed_ids
from rowcast.monitoring.allowing import Limited
from rowcast.monitoring.journal import Journal
from rowcast.monitoring.keeping import Keeping, Kept
from rowcast.monitoring.packing import packed, unpacked
from rowcast.monitoring.recording import Entry
from rowcast.monitoring.repeats import once_of
from rowcast.scoring.answers import Answers, Outputs, encode
from rowcast.scoring.loaded import Served
from rowcast.scoring.predict import Run, answered
from rowcast.scoring.requests import RowsToScore
from rowcast.traces import Traces, Untraced


class Scored(msgspec.Struct, frozen=True, gc=False):
    """The reply to a call, to be sent once its entry is on disk; ``uses`` is for whom its rows are counted,
    ``key`` what it is paid with if that has a limit, ``before`` whether an earlier call was answered so. ``body`` is
    the request as it was sent."""

    reply: bytes
    entry: Entry
    body: bytes
    uses: tuple[Use, ...] = ()
    key: KeyLimit | None = None
    before: bool = False

    def at(self, rate: int) -> Scored:
        """The same for the price of the rows that were answered, at so many thousandths of a credit a row."""
        if not rate:
            return self
        entry = self.entry
        return Scored(self.reply, entry._replace(price=cost(rate, entry.row_count - entry.skipped)), self.body)


class Small(msgspec.Struct, frozen=True, gc=False):
    """A call of few rows, from ``start`` to ``end`` among those that are scored together; ``inputs`` are what is kept
    of its body."""

    principal: Principal
    body: bytes
    inputs: bytes
    start: int
    end: int


class Receipts:
    """Scores calls and keeps their receipts. Safe to use from any thread and any event loop."""

    def __init__(
        self, journal: Journal, keeping: Keeping, tariff: Tariff | None = None, traces: Traces | None = None
    ) -> None:
        self._journal = journal
        self._keeping = keeping
        self._tariff = tariff or Tariff()
        self._traces = traces or Untraced()

    def score(
        self,
        principal: Principal,
        served: Served,
        body: bytes,
        asked: RowsToScore[Any],
        inputs: bytes | None = None,
        run: Run | None = None,
    ) -> Scored:
        """The reply to a call, whose body this is, and the entry of its receipt; writes nothing yet. ``inputs`` are
        what is kept of a body in another form: see ``Keeping.kept``.

        Raises:
            InvalidInput, TooLarge, Unavailable: see ``scoring.predict``.
        """
        made = scored(self._keeping, new_timed_id(), principal, served, asked, body, inputs, run)
        made = made.at(self._tariff.rate(served.price, reasons=bool(asked.explain)))
        if principal.limits is None:
            return made
        uses = uses_of(principal, made.entry.row_count - made.entry.skipped)
        return replace(made, uses=uses, key=key_limit_of(principal))

    def score_together(self, served: Served, calls: Sequence[Small], rows: Sequence[Any], run: Run) -> list[Scored]:
        """What ``score`` gives for each of these calls to one model, whose rows were read and run together. None of
        the callers has limits.

        Raises:
            InvalidInput: to some row there is no answer.
        """
        answers, outputs = answered(served, RowsToScore(cast(list[Any], rows)), run)
        rate = self._tariff.rate(served.price)
        # What the replies have in common is written once; no text in JSON holds such quotes.
        before, after = encode(replace(answers, predictions=[])).split(b'"predictions":[]')
        made = []
        for id_, call in zip(new_timed_ids(len(calls)), calls, strict=True):
            predictions = answers.predictions[call.start : call.end]
            own = Answers(answers.model, answers.version, answers.alias, predictions, answers.errors, answers.policy)
            reply = with_receipt(b'%b"predictions":%b%b' % (before, msgspec.json.encode(predictions), after), id_)
            kept = self._keeping.kept(call.body, own, reply, call.inputs)
            entry = _entry(id_, call.principal, served, own, outputs[call.start : call.end], kept)
            made.append(Scored(reply, entry, call.body).at(rate))
        return made

    async def keep(self, scored: Scored, key: str | None = None) -> Scored:
        """What to answer once the receipt is on disk, and paid: see ``Journal.record``. That is what the first call was
        answered, where this repeats one under the caller's idempotency ``key``."""
        if not self._traces.on:
            return _settled(scored, await self._journal.record(_request(scored, key)))
        with self._traces.span("journal", rows=scored.entry.row_count):
            return _settled(scored, await self._journal.record(_request(scored, key)))

    def keep_all(
        self,
        several: Sequence[Scored],
        told: Callable[[Sequence[Entry | RowcastError | None]], None],
        over: Callable[[int], bool],
    ) -> None:
        """Put several on record that nobody repeats: see ``Journal.record_all``."""
        self._journal.record_all([_request(scored, None) for scored in several], told, over)

    def keep_now(self, scored: Scored, key: str | None = None) -> Scored:
        """The same for threads: see ``Journal.record_now``."""
        return _settled(scored, self._journal.record_now(_request(scored, key)))


def _request(scored: Scored, key: str | None) -> Entry | Limited:
    """What the journal is asked for."""
    if not scored.uses and scored.key is None and key is None:
        return scored.entry
    once = None if key is None else once_of(key, scored.entry, scored.body)
    return Limited(scored.entry, scored.uses, scored.key, once)


def _settled(scored: Scored, first: Entry | None) -> Scored:
    """The answer, or that of the first call under the same key. Where receipts do not keep answers whole, that is made
    of this one if the same version and policy gave both, and else of the figures that are kept."""
    if first is None:
        return scored
    own = scored.entry
    if first.inputs_kept == "all":
        reply = unpacked(first.reply)
    elif (first.model_version_id, first.policy_version) == (own.model_version_id, own.policy_version):
        reply = b'%b"%b"}' % (scored.reply.removesuffix(b'"%b"}' % own.id.encode()), first.id.encode())
    else:
        reply = with_receipt(unpacked(first.reply), first.id)
    return Scored(reply, first, scored.body, before=True)


def scored(
    keeping: Keeping,
    receipt_id: str,
    principal: Principal,
    served: Served,
    asked: RowsToScore[Any],
    body: bytes,
    inputs: bytes | None = None,
    run: Run | None = None,
) -> Scored:
    """See ``Receipts.score``; for whoever has an id for the receipt, and writes it in a transaction of their own."""
    answers, outputs = answered(served, asked, run)
    reply = with_receipt(encode(answers), receipt_id)
    kept = keeping.kept(body, answers, reply, inputs)
    return Scored(reply, _entry(receipt_id, principal, served, answers, outputs, kept), body)


def _entry(
    receipt_id: str, principal: Principal, served: Served, answers: Answers, outputs: Outputs, kept: Kept
) -> Entry:
    key = served.model.key
    return Entry(  # by position: with names it takes three times as long
        receipt_id,
        principal.id,
        key.model,
        key.number,
        served.alias,
        key.id,
        key.bundle_hash,
        key.dataset_version_id,
        answers.policy,
        len(answers.predictions),
        len(answers.predictions) - len(outputs),
        0,  # its price, and the transfer that pays it: see ``Scored.at`` and ``charged``
        None,
        kept.hash,
        kept.inputs,
        outputs_bytes(outputs),
        None if kept.request is None else packed(kept.request),
        packed(kept.reply),
    )


def outputs_bytes(outputs: Outputs) -> bytes:
    """Float32, little-endian, row by row."""
    return outputs.astype("<f4", copy=False).tobytes()


def with_receipt(encoded: bytes, receipt_id: str) -> bytes:
    """The JSON object of an answer with its receipt as the last field."""
    return b'%b,"receipt":"%b"}' % (encoded[:-1], receipt_id.encode())
