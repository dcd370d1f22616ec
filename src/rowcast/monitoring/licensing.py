"""What a licensed installation is asked: how it stands, what was used, whether its history is whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from rowcast.accounts.seats import seats_taken
from rowcast.errors import Conflict
from rowcast.licences.licence import Licence, public_half
from rowcast.licences.standing import Standing
from rowcast.licences.views import LicenceStatus
from rowcast.monitoring.usage_statements import chain_key, faults_of, state_usage
from rowcast.tables import Database


@dataclass(frozen=True)
class Installation:
    """``private_key`` is PEM, its own; receipts go after ``days_kept``, if that is not 0."""

    standing: Standing = field(default_factory=Standing)
    private_key: bytes = b""
    days_kept: float = 0

    @property
    def usage_key(self) -> bytes:
        """The key that seals chains of receipts; empty where nothing is counted."""
        return b"" if self.standing.licence is None else chain_key(self.private_key)


def status(database: Database, installation: Installation) -> LicenceStatus:
    """What the installation may do now."""
    standing = installation.standing
    with database.reading() as session:
        taken = seats_taken(session)
    licence = standing.licence
    if licence is None:
        return LicenceStatus(state=standing.state, seats_taken=taken, warning=standing.warning())
    return LicenceStatus(
        state=standing.state,
        customer=licence.customer,
        licence=licence.id,
        seats=licence.seats,
        seats_taken=taken,
        models=list(licence.models),
        expires_at=licence.expires_at,
        ends_at=licence.ends_at,
        warning=standing.warning(taken),
        public_key=public_half(installation.private_key).decode(),
    )


def make_statement(database: Database, installation: Installation) -> str:
    """A new statement of usage.

    Raises:
        Conflict: there is no licence here, or the history does not verify.
    """
    licence = _licence(installation)
    with database.transaction() as session:
        seats = seats_taken(session)
        return state_usage(session, licence, installation.private_key, seats=seats, days_kept=installation.days_kept)


def check(database: Database, installation: Installation, statement: str = "") -> list[str]:
    """What is wrong with the history, a line each.

    Raises:
        Conflict: there is no licence here.
        InvalidInput: the statement is not one of this installation.
    """
    _licence(installation)
    with database.reading() as session:
        return faults_of(session, installation.private_key, statement, days_kept=installation.days_kept)


def _licence(installation: Installation) -> Licence:
    if installation.standing.licence is None:
        raise Conflict("licence_none", "This installation needs no licence, so its usage is not counted.")
    return installation.standing.licence
