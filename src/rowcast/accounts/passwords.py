"""Passwords: which are good enough, and their argon2id hashes, made by a few threads at a time."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from rowcast.errors import InvalidInput, Unavailable

SHORTEST, LONGEST = 10, 200
"""Characters of a password."""

LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: what takes more than 10^8 guesses by someone who knows how people choose passwords."""

_JUDGED = 32
"""Characters that are looked at for how easily they are guessed. More can take the estimator seconds, if they are
chosen for that."""

_KEYBOARD = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбю", "qwertyuiop[]asdfghjkl;'zxcvbnm,.")
"""Russian letters as the keys they are on: words in Russian are known to the estimator as typed in Latin letters."""

T = TypeVar("T")


class Breaches(Protocol):
    """Passwords that were published."""

    def contains(self, password: str) -> bool:
        """Whether it is among them; also False when that cannot be told."""
        ...


class NoBreaches:
    """Nobody is asked."""

    def contains(self, password: str) -> bool:
        return False


class Passwords:
    """Checks and hashes passwords. A hash takes 64 MB and a fifth of a second, so few are made at once and nobody
    makes one on the event loop: see ``run``."""

    def __init__(
        self,
        breaches: Breaches | None = None,
        *,
        parameters: Parameters = RFC_9106_LOW_MEMORY,
        at_once: int = 2,
        most_waiting: int = 100,
    ) -> None:
        self._breaches = breaches or NoBreaches()
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._nobodys = _hash_of_nothing(parameters)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")
        self._most_waiting = most_waiting
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do something that hashes, in one of a few threads. To be called on one event loop.

        Raises:
            Unavailable: too many wait for their turn already.
        """
        if self._waiting >= self._most_waiting:
            raise Unavailable("sign_in_busy", "Very many people are signing in. Try again in a moment.")
        self._waiting += 1
        try:
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Return when what was begun is done."""
        self._threads.shutdown(cancel_futures=True)

    def accept(self, password: str, about: Sequence[str | None] = ()) -> str:
        """The hash of a new password; ``about`` is what others know of its owner, such as name and e-mail address.

        Raises:
            InvalidInput: it is too short or long, easily guessed, or was published.
        """
        password = _normal(password)
        if len(password) < SHORTEST:
            raise InvalidInput("password_short", f"The password needs at least {SHORTEST} characters.")
        if len(password) > LONGEST:
            raise InvalidInput("password_long", f"The password may have {LONGEST} characters at most.")
        if _score(password, about) < LEAST_SCORE:
            message = "This password is easily guessed. Take a few words that have nothing to do with each other."
            raise InvalidInput("password_guessable", message)
        if self._breaches.contains(password):
            message = "This password is in a published list of stolen ones. Take another, here and wherever you use it."
            raise InvalidInput("password_breached", message)
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether that is the password. Without a hash the answer is no, after the same work."""
        given = _normal(password)[:LONGEST].encode("utf-8", "surrogatepass")
        try:
            return self._hasher.verify(password_hash or self._nobodys, given) and len(password) <= LONGEST
        except (VerificationError, InvalidHashError):
            return False

    def renewed(self, password_hash: str, password: str) -> str:
        """The hash of a password that matched, as it would be made today: the given one if that is the same."""
        if not self._hasher.check_needs_rehash(password_hash):
            return password_hash
        return self._hasher.hash(_normal(password).encode("utf-8", "surrogatepass"))


def _normal(password: str) -> str:
    """The same characters however a keyboard writes them."""
    return unicodedata.normalize("NFKC", password)


def _score(password: str, about: Sequence[str | None]) -> int:
    from zxcvbn import zxcvbn  # 4 MB of words that nobody needs before someone chooses a password

    known = [
        "rowcast",
        *(part.lower() for each in about if each for part in (each, *each.replace("@", ".").split("."))),
    ]
    judged = password[:_JUDGED]
    typed = judged.lower().translate(_KEYBOARD)
    written = [judged] if typed == judged.lower() else [judged, typed]
    return min(int(zxcvbn(text, known, max_length=_JUDGED)["score"]) for text in written)


def _hash_of_nothing(parameters: Parameters) -> str:
    """A hash that no password has, and that takes as long to compare with as any."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (parameters.salt_len, parameters.hash_len)
    )
    costs = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${costs}${salt}${digest}"
