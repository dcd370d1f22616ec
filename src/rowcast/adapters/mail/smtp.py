"""Mail by SMTP: letters wait for a thread that hands them to the mail server."""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from functools import cached_property
from queue import Empty, Full, Queue
from urllib.parse import unquote, urlsplit

PAUSES = (2.0, 10.0, 60.0)
"""Seconds before a letter is tried again; after that it is given up."""

TIMEOUT_SECONDS = 20.0
MOST_WAITING = 1000
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Of a mail server: ``smtp://`` is encrypted when the server can, ``smtps://`` from the start."""

    host: str
    port: int
    encrypted: bool
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @staticmethod
    def of(url: str) -> Address:
        """The address in a URL that was checked before: ``smtp://user:password@host:587``."""
        parts = urlsplit(url)
        encrypted = parts.scheme == "smtps"
        port = parts.port or (465 if encrypted else 587)
        return Address(
            parts.hostname or "", port, encrypted, unquote(parts.username or ""), unquote(parts.password or "")
        )


class SmtpMail:
    """Sends letters one after the other. What waits when the process ends is lost: people ask again."""

    def __init__(self, address: Address, sender: str, *, pauses: Sequence[float] = PAUSES) -> None:
        self._address = address
        self._sender = sender
        self._pauses = pauses
        self._letters: Queue[EmailMessage | None] = Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mail", daemon=True)

    def start(self) -> None:
        """Begin. To be called once."""
        self._thread.start()

    def close(self) -> None:
        """Return when the letter in hand is sent or given up, and those that wait were tried once."""
        self._stopping.set()
        self._letters.put(None)
        self._thread.join()

    def send(self, to: str, subject: str, text: str) -> None:
        """Take a letter to be sent; returns at once."""
        letter = EmailMessage(policy=SMTP)
        letter["From"], letter["To"], letter["Subject"] = self._sender, to, subject
        letter["Date"], letter["Message-ID"] = (
            formatdate(),
            make_msgid(domain=self._sender.rpartition("@")[2].strip("> ")),
        )
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(text)
        try:
            self._letters.put_nowait(letter)
        except Full:
            log.error("too many letters wait to be sent; one is dropped")

    def _work(self) -> None:
        while (letter := self._next()) is not None:
            self._deliver(letter)

    def _next(self) -> EmailMessage | None:
        if not self._stopping.is_set():
            return self._letters.get()
        try:
            return self._letters.get_nowait()
        except Empty:
            return None

    def _deliver(self, letter: EmailMessage) -> None:
        """Send the letter, trying again where that may help. The log tells no address: they are people's."""
        for pause in (*self._pauses, None):
            try:
                self._hand_over(letter)
            except (smtplib.SMTPException, OSError) as error:
                if pause is None or _hopeless(error):
                    log.error("a letter could not be sent: %s", _said(error))
                    return
                log.warning("a letter is tried again in %g s: %s", pause, _said(error))
            else:
                return
            if self._stopping.wait(pause):
                return

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made once: reading the system's authorities takes longer than a letter."""
        return ssl.create_default_context()

    def _hand_over(self, letter: EmailMessage) -> None:
        address, context = self._address, self._context
        with self._connected(context) as server:
            server.ehlo()
            secret = address.encrypted
            if not secret and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                secret = True
            if address.user:
                if not secret and address.host not in LOOPBACK:
                    raise smtplib.SMTPNotSupportedError("the server offers no encryption, so it gets no password")
                server.login(address.user, address.password)
            server.send_message(letter)

    def _connected(self, context: ssl.SSLContext) -> smtplib.SMTP:
        host, port = self._address.host, self._address.port
        if self._address.encrypted:
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)


def _hopeless(error: Exception) -> bool:
    """Whether the server's answer is for good: its code begins with 5."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500


def _said(error: Exception) -> str:
    """The kind of error and the server's code: its words may repeat the address."""
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return f"{type(error).__name__}{code}"
