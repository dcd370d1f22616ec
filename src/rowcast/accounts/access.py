"""Getting in: signing in and up, links, passwords. What takes long, hashing, is done with no transaction open."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy.orm import Session

from rowcast.accounts import attempts, audit
from rowcast.accounts.links import Purpose, look_at, make_link, use_link, void_links
from rowcast.accounts.passwords import Passwords
from rowcast.accounts.principal import Principal
from rowcast.accounts.registration import (
    SignUp,
    admit,
    checked_email,
    checked_name,
    find_user,
    register,
    set_email,
)
from rowcast.accounts.sessions import BLOCKED, end_sessions, open_session
from rowcast.accounts.tables import UserRow
from rowcast.errors import Conflict, Forbidden, NotFound, Unauthenticated
from rowcast.licences.standing import Standing
from rowcast.tables import Database

RESET_HOURS = 1.0
EMAIL_HOURS = 24.0
SIGN_IN_HOURS = 0.25


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever calls before it is known who they are: network address, what the browser says of itself, language."""

    address: str
    agent: str = ""
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened, with the token for the browser."""

    token: str = field(repr=False)
    user: UserRow


class LetterKind(StrEnum):
    RESET = "reset"
    EMAIL = "email"
    KNOWN = "known"
    """The address is an account's already: only the one who reads its mail is told."""
    INVITATION = "invitation"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent by mail: with ``secret`` in the address of the link that it is about."""

    kind: LetterKind
    email: str
    name: str
    language: str | None
    secret: str = field(default="", repr=False)


class Access:
    """The ways in. For threads that may wait: see ``Passwords.run``."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        *,
        sign_up: SignUp,
        mails: bool,
        standing: Standing | None = None,
    ) -> None:
        self._standing = standing
        self._database = database
        self._passwords = passwords
        self._sign_up = sign_up
        self._mails = mails

    def sign_in(self, name: str, password: str, visitor: Visitor) -> Opened:
        """A session for who knows the password of the account with that name or e-mail address.

        Raises:
            Unauthenticated: name or password is wrong, and it is not said which; or the account is blocked.
            TooMany: there were too many attempts, at the account or from the address.
        """
        account, address = attempts.at_account(name), attempts.from_address(visitor.address)
        with self._database.transaction() as session:
            attempts.take(session, account, address)
            user = find_user(session, name)
        password_hash = user.password_hash if user else None
        if not self._passwords.matches(password_hash, password) or user is None or password_hash is None:
            self._refused(user)
            raise Unauthenticated("sign_in_refused", "The name or the password is wrong.")
        renewed = self._passwords.renewed(password_hash, password)
        with self._database.transaction() as session:
            attempts.forget(session, account)
            attempts.take_back(session, address)
            user = session.get_one(UserRow, user.id)
            if user.password_hash == password_hash:
                user.password_hash = renewed
            return _opened(session, user, visitor, "password")

    def follow(self, secret: str, visitor: Visitor) -> Opened:
        """A session for who has a link to sign in.

        Raises:
            InvalidInput: the link does not hold.
            Unauthenticated: the account is blocked.
        """
        with self._database.transaction() as session:
            link = use_link(session, Purpose.SIGN_IN, secret)
            return _opened(session, session.get_one(UserRow, link.user_id), visitor, "link")

    def sign_up(
        self, name: str, password: str, visitor: Visitor, *, email: str | None = None, invitation: str | None = None
    ) -> tuple[Opened, Letter | None]:
        """A new account with a session, and the letter to confirm the address, when one was given that may be kept.

        Raises:
            Forbidden: accounts are not opened by oneself here.
            InvalidInput: name, address, password or invitation will not do.
            Conflict: the name is taken.
            TooMany: too many accounts were opened from the network address.
        """
        admit(self._sign_up, invited=invitation is not None)
        name, email = checked_name(name), checked_email(email) if email and self._mails else None
        self._may_join(name, invitation, visitor)
        password_hash = self._passwords.accept(password, (name, email))
        with self._database.transaction() as session:
            user = register(session, name, password_hash=password_hash, invitation=invitation, standing=self._standing)
            user.language = visitor.language
            letter = _to_confirm(session, user, email) if email and email != user.email else None
            return _opened(session, user, visitor, "sign_up"), letter

    def ask_reset(self, name: str, visitor: Visitor) -> Letter | None:
        """The letter with a link to set a new password; None when there is nobody to send it to, which must not show.

        Raises:
            Conflict: this server sends no mail.
            TooMany: too much was asked for.
        """
        if not self._mails:
            raise Conflict("mail_missing", "This server sends no mail. Ask an administrator for a link.")
        with self._database.transaction() as session:
            attempts.take(session, attempts.asking_from(visitor.address), attempts.asking_for(name))
            user = find_user(session, name)
            if user is None or user.email is None or user.email_verified_at is None or user.blocked_at is not None:
                return None
            secret = make_link(session, Purpose.RESET, user_id=user.id, email=user.email, hours=RESET_HOURS)
            audit.record(session, "password.reset_asked", user.name, user_id=user.id)
            return Letter(LetterKind.RESET, user.email, user.name, user.language or visitor.language, secret)

    def reset(self, secret: str, password: str, visitor: Visitor) -> Opened:
        """Set a password by a link, end all sessions and open one.

        Raises:
            InvalidInput: the link does not hold, or the password will not do.
            Unauthenticated: the account is blocked.
        """
        with self._database.reading() as session:
            user = session.get_one(UserRow, look_at(session, Purpose.RESET, secret).user_id)
        password_hash = self._passwords.accept(password, (user.name, user.email))
        with self._database.transaction() as session:
            use_link(session, Purpose.RESET, secret)
            user = session.get_one(UserRow, user.id)
            user.password_hash = password_hash
            void_links(session, user.id, Purpose.RESET, Purpose.SIGN_IN)
            end_sessions(session, user.id)
            attempts.forget(session, *(attempts.at_account(name) for name in (user.name, user.email) if name))
            audit.record(session, "password.reset", user.name, user_id=user.id)
            return _opened(session, user, visitor, "reset")

    def change_password(self, principal: Principal, current: str, new: str, visitor: Visitor) -> None:
        """Set another password, or a first one, and end all other sessions.

        Raises:
            Forbidden: the current password is wrong.
            InvalidInput: the new one will not do.
            TooMany: there were too many attempts.
        """
        account = attempts.at_account(f"id:{principal.id}")
        with self._database.transaction() as session:
            user = _account(session, principal)
            if user.password_hash is not None:
                attempts.take(session, account)
        if user.password_hash is not None and not self._passwords.matches(user.password_hash, current):
            raise Forbidden("password_wrong", "The current password is wrong.")
        password_hash = self._passwords.accept(new, (user.name, user.email))
        with self._database.transaction() as session:
            _account(session, principal).password_hash = password_hash
            attempts.forget(session, account)
            void_links(session, principal.id, Purpose.RESET, Purpose.SIGN_IN)
            end_sessions(session, principal.id, but=principal.session_id)
            audit.record(session, "password.changed", user.name, principal=principal)

    def ask_email(self, principal: Principal, email: str, visitor: Visitor) -> Letter:
        """The letter with a link that confirms a new e-mail address; until then the old one stays.

        Raises:
            InvalidInput: it is no address.
            Conflict: this server sends no mail.
            TooMany: too much was asked for.
        """
        if not self._mails:
            raise Conflict("mail_missing", "This server sends no mail, so an address cannot be confirmed.")
        email = checked_email(email)
        with self._database.transaction() as session:
            attempts.take(session, attempts.asking_from(visitor.address), attempts.asking_for(email))
            return _to_confirm(session, _account(session, principal), email)

    def confirm_email(self, principal: Principal, secret: str) -> None:
        """Take an e-mail address as proven. By who asked for it alone: somebody else may have given the address of who
        reads the letter for their own account.

        Raises:
            Forbidden: another account asked for it.
            InvalidInput: the link does not hold.
            Conflict: the address has become another account's.
        """
        with self._database.transaction() as session:
            user = _account(session, principal)
            link = use_link(session, Purpose.EMAIL, secret)
            if link.user_id != user.id or link.email is None:
                raise Forbidden("link_of_another", "Another account asked for this. Sign in with that one first.")
            set_email(session, user, link.email)
            audit.record(session, "email.confirmed", user.name, principal=principal)

    def link_for(self, principal: Principal) -> str:
        """The secret of a link by which the caller signs in, once, within a quarter of an hour.

        Raises:
            Forbidden: they came with a key that may not do all that they may.
        """
        principal.require_whole()
        with self._database.transaction() as session:
            return make_link(session, Purpose.SIGN_IN, user_id=principal.id, hours=SIGN_IN_HOURS, made_by=principal.id)

    def _may_join(self, name: str, invitation: str | None, visitor: Visitor) -> None:
        """Refuse what would be refused in the end before anything long is done."""
        with self._database.transaction() as session:
            if invitation is None:
                attempts.take(session, attempts.asking_from(visitor.address))
            else:
                look_at(session, Purpose.INVITATION, invitation)
            taken = find_user(session, name) is not None
        if taken:
            raise Conflict("user_name_taken", "This name is taken. Choose another.")

    def _refused(self, user: UserRow | None) -> None:
        # Written for nobody's account too, or the time would tell; what was typed is not: it may be a password.
        with self._database.transaction() as session:
            audit.record(session, "session.refused", user.name if user else "", user_id=user.id if user else None)


def _opened(session: Session, user: UserRow, visitor: Visitor, how: str) -> Opened:
    token = open_session(session, user.id, address=visitor.address, agent=visitor.agent, how=how)
    return Opened(token, user)


def _to_confirm(session: Session, user: UserRow, email: str) -> Letter:
    language = user.language
    if find_user(session, email) is not None:
        return Letter(LetterKind.KNOWN, email, user.name, language)
    secret = make_link(session, Purpose.EMAIL, user_id=user.id, email=email, hours=EMAIL_HOURS)
    return Letter(LetterKind.EMAIL, email, user.name, language, secret)


def _account(session: Session, principal: Principal) -> UserRow:
    principal.require_whole()
    user = session.get(UserRow, principal.id)
    if user is None:
        raise NotFound("user_not_found", "The account that asked for this no longer exists.")
    if user.blocked_at is not None:
        raise Unauthenticated(*BLOCKED)
    return user
