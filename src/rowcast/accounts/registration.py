"""New accounts: who may open one, under which name and e-mail address."""

from __future__ import annotations

import re
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.links import Purpose, use_link
from rowcast.accounts.principal import Role
from rowcast.accounts.scripts import is_mixed, same_form
from rowcast.accounts.seats import require_seat
from rowcast.accounts.tables import UserRow
from rowcast.errors import Conflict, Forbidden, InvalidInput
from rowcast.licences.standing import Standing
from rowcast.tables import now

LONGEST_NAME = 100
LONGEST_EMAIL = 254

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class SignUp(StrEnum):
    """Who may open an account."""

    OPEN = "open"
    INVITATION = "invitation"
    CLOSED = "closed"


def admit(policy: SignUp, *, invited: bool) -> None:
    """Pass when an account may be opened by oneself.

    Raises:
        Forbidden: only by invitation, or not at all.
    """
    if policy is SignUp.CLOSED:
        raise Forbidden("sign_up_closed", "Accounts are opened by an administrator here. Ask one.")
    if policy is SignUp.INVITATION and not invited:
        raise Forbidden(
            "invitation_needed", "An account is opened with an invitation here. Ask an administrator for one."
        )


def register(
    session: Session,
    name: str,
    *,
    email: str | None = None,
    verified: bool = False,
    password_hash: str | None = None,
    role: Role = Role.USER,
    invitation: str | None = None,
    standing: Standing | None = None,
) -> UserRow:
    """A new account. With the secret of an ``invitation`` it gets the role and the address that this was made for. An
    address that is not ``verified`` is not kept: it may be someone else's.

    Raises:
        Forbidden: the licence, as ``standing`` has it, leaves no seat.
        InvalidInput: the name or the address cannot be one, or the invitation does not hold.
        Conflict: the name or the address is taken.
    """
    name = checked_name(name)
    if invitation is not None:
        link = use_link(session, Purpose.INVITATION, invitation)
        role, email, verified = Role(link.role or role), link.email or email, bool(link.email) or verified
    email = checked_email(email) if email and verified else None
    if find_user(session, name) is not None:
        raise _name_taken()
    if email and find_user(session, email) is not None:
        raise email_taken()
    require_seat(session, standing or Standing())
    user = UserRow(
        name=name,
        role=role.value,
        email=email,
        email_verified_at=now() if email else None,
        password_hash=password_hash,
    )
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:  # another was a moment faster
        raise _name_taken() from None
    audit.record(session, "user.registered", name, user_id=user.id, role=role.value, invited=invitation is not None)
    return user


def set_email(session: Session, user: UserRow, email: str) -> None:
    """Give the user an address that was proven to be theirs.

    Raises:
        Conflict: it is another account's.
    """
    other = find_user(session, email)
    if other is not None and other.id != user.id:
        raise email_taken()
    user.email, user.email_verified_at = email, now()


def find_user(session: Session, typed: str) -> UserRow | None:
    """The account that someone means by what they typed: its name, exactly or but for capitals, or its address."""
    typed = same_form(typed)
    small = typed.lower()
    alike = or_(UserRow.name == typed, func.lower(UserRow.name) == small, UserRow.email == small)
    found = list(session.scalars(select(UserRow).where(alike)))
    exact = (user for user in found if user.name == typed)
    return next(exact, found[0] if found else None)


def checked_name(name: str) -> str:
    """The name as it is kept: in the form in which names are compared, with single spaces in it.

    Raises:
        InvalidInput: it is empty, too long, or has signs that no name has, ``@`` is kept for addresses; or it could be
            taken for another, for it has letters of several alphabets.
    """
    name = " ".join(same_form(name).split())
    if not name or len(name) > LONGEST_NAME or "@" in name or "/" in name or not name.isprintable():
        message = f"A name has 1 to {LONGEST_NAME} letters, digits, spaces and other signs, but no @ and no /."
        raise InvalidInput("user_name_invalid", message)
    if is_mixed(name):
        message = "A name has the letters and digits of one alphabet: those of others may look the same."
        raise InvalidInput("user_name_mixed", message)
    return name


def checked_email(email: str) -> str:
    """The address in small letters.

    Raises:
        InvalidInput: no mail can be sent there.
    """
    email = email.strip().lower()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidInput("email_invalid", "This is no e-mail address, such as anna@example.org.")
    return email


def email_taken() -> Conflict:
    return Conflict("email_taken", "There is an account with this e-mail address already.")


def _name_taken() -> Conflict:
    return Conflict("user_name_taken", "This name is taken. Choose another.")
