"""Usage: receipts chained as they are written, so that a history from which something was taken, or in which something
was changed, does not verify. Only in licensed installations.

Each writer has a chain of its own, for writers do not wait for each other. A link stands for the receipts of one
transaction and holds an HMAC-SHA-256 over them and over the link before, with a key that the database does not have:
who can only write to the database cannot make a link. What was cut off from the end of a chain shows by the last
statement that names it: see ``usage_statements``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from sqlalchemy import Dialect, Select, Table, func, insert, select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import Session, aliased

from rowcast.identifiers import first_id_at, moment_of
from rowcast.licences.statement import Head
from rowcast.monitoring.insertion import Insertion
from rowcast.monitoring.tables import ReceiptRow, UsageLinkRow
from rowcast.tables import new_id, now

ID_BYTES = 16
_AT_ONCE = 500


class Used(Protocol):
    """What a receipt says of what was used."""

    @property
    def id(self) -> str: ...
    @property
    def principal_id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def row_count(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def inputs_hash(self) -> str: ...


class Link(NamedTuple):
    """The columns of ``UsageLinkRow`` in their order. ``ids`` are the receipts', 16 bytes each."""

    chain: str
    number: int
    moment: str
    receipts: int
    rows: int
    price: int
    ids: bytes
    seal: str


class UsageChain:
    """One writer's chain. For one thread, with a cursor of the dialect."""

    def __init__(self, dialect: Dialect, key: bytes) -> None:
        self._key = key
        self._chain = new_id()
        self._newest = str(_newest_of(self._chain).compile(dialect=dialect))
        self._insert = Insertion(cast(Table, UsageLinkRow.__table__), dialect)

    def extend(self, cursor: DBAPICursor, receipts: Sequence[Used]) -> None:
        """Add the link of receipts that are written in the same transaction.

        The link before is asked for each time: whether the last transaction was committed is not known here.
        """
        if receipts:
            cursor.execute(self._newest, (self._chain,))
            self._insert(cursor, [next_link(self._key, self._chain, cursor.fetchone(), receipts)])


def extend(session: Session, key: bytes, chain: str, receipts: Sequence[Used]) -> None:
    """The same in a session; one transaction at a time may extend a chain."""
    newest = session.execute(_newest_of(chain)).one_or_none()
    session.execute(insert(UsageLinkRow).values(next_link(key, chain, newest, receipts)._asdict()))


def next_link(key: bytes, chain: str, newest: Sequence[Any] | None, receipts: Sequence[Used]) -> Link:
    """The link after ``newest``, which is its (number, seal)."""
    number, before = (newest[0] + 1, newest[1]) if newest else (1, "")
    link = Link(
        chain=chain,
        number=number,
        moment=now().isoformat(),
        receipts=len(receipts),
        rows=sum(_rows(receipt) for receipt in receipts),
        price=sum(receipt.price for receipt in receipts),
        ids=b"".join(bytes.fromhex(receipt.id) for receipt in receipts),
        seal="",
    )
    return link._replace(seal=_seal(key, before, link, receipts))


class History(NamedTuple):
    """What the chains say, and what is wrong with them: a line for each fault, none when all is as it was written."""

    heads: dict[str, Head]
    receipts: int
    rows: int
    price: int
    faults: list[str]


def verify(session: Session, key: bytes, *, days_kept: float = 0) -> History:
    """Walk all chains and look at all receipts. Receipts older than ``days_kept``, if that is not 0, may be gone,
    for they are deleted by age; what their links say still counts."""
    heads: dict[str, Head] = {}
    faults: list[str] = []
    total = [0, 0, 0]
    oldest = first_id_at(now() - timedelta(days=days_kept)) if days_kept else ""
    for links in _in_parts(_links(session)):
        known = _receipts(session, links)
        for link in links:
            head = heads.get(link.chain, Head(0, ""))
            faults += _faults(key, head, link, known, oldest)
            heads[link.chain] = Head(link.number, link.seal)
            total = [total[0] + link.receipts, total[1] + link.rows, total[2] + link.price]
    return History(heads, total[0], total[1], total[2], faults)


def _faults(key: bytes, head: Head, link: Link, known: dict[str, Any], oldest: str) -> Iterator[str]:
    name = f"link {link.number} of chain {link.chain}"
    if link.number != head.number + 1:
        yield f"{head.number + 1} is missing before {name}"
    ids = [link.ids[start : start + ID_BYTES].hex() for start in range(0, len(link.ids), ID_BYTES)]
    gone = [id_ for id_ in ids if id_ not in known]
    if any(id_ >= oldest for id_ in gone):
        yield f"{len(gone)} of {len(ids)} receipts of {name} are gone"
    elif not gone and _seal(key, head.seal, link, [known[id_] for id_ in ids]) != link.seal:
        yield f"{name}, or a receipt of it from {moment_of(ids[0]):%Y-%m-%d %H:%M}, was changed"


def _seal(key: bytes, before: str, link: Link, receipts: Iterable[Used]) -> str:
    """Everything is JSON of fixed shape, so that no two histories look the same to the hash."""
    sealed = hmac.new(key, msgspec.json.encode([before, *link[:-2]]), hashlib.sha256)
    for one in receipts:
        sealed.update(
            msgspec.json.encode(
                [
                    one.id,
                    one.principal_id,
                    one.model,
                    one.number,
                    one.row_count,
                    one.skipped,
                    one.price,
                    one.inputs_hash,
                ]
            )
        )
    return sealed.hexdigest()


def _rows(receipt: Used) -> int:
    """Rows that were answered."""
    return receipt.row_count - receipt.skipped


def _newest_of(chain: str) -> Select[int, str]:
    link, other = UsageLinkRow, aliased(UsageLinkRow)
    last = select(func.max(other.number)).where(other.chain == link.chain).scalar_subquery()
    return select(link.number, link.seal).where(link.chain == chain, link.number == last)


def _links(session: Session) -> Iterator[Link]:
    table = UsageLinkRow.__table__
    query = select(table).order_by(table.c.chain, table.c.number)
    return (Link(*row) for row in session.execute(query.execution_options(yield_per=_AT_ONCE)))


def _in_parts(links: Iterator[Link]) -> Iterator[list[Link]]:
    part: list[Link] = []
    for link in links:
        part.append(link)
        if len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _receipts(session: Session, links: Sequence[Link]) -> dict[str, Any]:
    joined = b"".join(link.ids for link in links)
    ids = [joined[start : start + ID_BYTES].hex() for start in range(0, len(joined), ID_BYTES)]
    row = ReceiptRow
    columns = select(
        row.id, row.principal_id, row.model, row.number, row.row_count, row.skipped, row.price, row.inputs_hash
    )
    found: dict[str, Any] = {}
    for start in range(0, len(ids), _AT_ONCE):
        for receipt in session.execute(columns.where(row.id.in_(ids[start : start + _AT_ONCE]))):
            found[receipt.id] = receipt
    return found
