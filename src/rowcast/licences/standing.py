"""What an installation may do now, by its licence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rowcast.errors import Forbidden
from rowcast.licences.licence import Licence
from rowcast.licences.views import State

SOON = timedelta(days=30)


def now() -> datetime:
    return datetime.now(UTC)


class Standing:
    """``licence`` is None where none is needed. Costs a comparison: for use on the hot path."""

    def __init__(
        self, licence: Licence | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.licence = licence
        self._clock = clock

    @property
    def state(self) -> State:
        if self.licence is None:
            return State.FREE
        moment = self._clock()
        if moment < self.licence.expires_at:
            return State.VALID
        return State.GRACE if moment < self.licence.ends_at else State.ENDED

    def require_model(self, name: str) -> None:
        """Pass when a model of that name may train or predict now.

        Raises:
            Forbidden: the licence has ended, grace and all, or does not name the model.
        """
        licence = self.licence
        if licence is None:
            return
        if self._clock() >= licence.ends_at:
            message = (
                f"The licence ended on {licence.expires_at:%Y-%m-%d}, and its {licence.grace_days} days of grace are "
                "over. What was made can still be seen and exported. An administrator sets a new licence."
            )
            raise Forbidden("licence_ended", message)
        if not licence.allows(name):
            raise Forbidden("licence_model", f"The licence covers these models only: {', '.join(licence.models)}.")

    def require_seat(self, taken: int) -> None:
        """Pass when one account more than ``taken``, those that are not blocked, may be used.

        Raises:
            Forbidden: the licence has no more seats.
        """
        if self.licence is not None and taken >= self.licence.seats:
            message = f"The licence has {self.licence.seats} seats, and all are taken: block an account, or get more."
            raise Forbidden("licence_seats", message)

    def warning(self, taken: int = 0) -> str:
        """What the administrator should do soon, with so many seats taken; empty when there is nothing."""
        return " ".join(part for part in (self._end_warning, self._seats_warning(taken)) if part)

    def _seats_warning(self, taken: int) -> str:
        if self.licence is None or taken <= self.licence.seats:
            return ""
        seats = self.licence.seats
        noun = "seat" if seats == 1 else "seats"
        return (
            f"The licence has {seats} {noun}, and {taken} accounts are not blocked: block {taken - seats}, or get more."
        )

    @property
    def _end_warning(self) -> str:
        licence = self.licence
        match self.state:
            case State.VALID if licence and licence.expires_at - self._clock() < SOON:
                return f"The licence ends on {licence.expires_at:%Y-%m-%d}."
            case State.GRACE if licence:
                return f"The licence has ended. Predictions go on until {licence.ends_at:%Y-%m-%d}."
            case State.ENDED:
                return "The licence has ended, and so has its grace. Nothing is trained or predicted."
            case _:
                return ""
