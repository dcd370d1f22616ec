"""Where the server is and with which key to call it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rowcast.errors import InvalidInput

DEFAULT_URL = "http://127.0.0.1:8000"
FILE = "credentials.json"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """An address and a key, which never shows in a repr; ``key_id`` is that of a key that ``rowcast login`` made. Or,
    in place of a key, the token of a browser's session."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    key_id: str | None = None
    session: str | None = field(default=None, repr=False)
    visitor: str = field(default="", repr=False)


def resolve(
    url: str | None = None, api_key: str | None = None, environment: Mapping[str, str] | None = None
) -> Credentials:
    """The address and the key: as given, else from ROWCAST_URL and ROWCAST_API_KEY, else as ``rowcast up`` left them
    in ``credentials.json``, else the default address and no key.

    The key of the file is only ever sent to the address of the file, so naming another server does not hand it over.

    Raises:
        InvalidInput: the address is not one of HTTP, the key cannot be one, or the file cannot be read.
    """
    environment = os.environ if environment is None else environment
    saved = load(data_folder(environment))
    chosen = _checked((url or environment.get("ROWCAST_URL") or saved.url).rstrip("/"))
    key = api_key or environment.get("ROWCAST_API_KEY") or (saved.api_key if _same(chosen, saved.url) else None)
    if key and not (key.isascii() and key.isprintable()):
        raise InvalidInput("key_invalid", "The API key holds characters that no key has. Copy it again.")
    return Credentials(chosen, key)


def of_session(url: str, token: str, visitor: str = "") -> Credentials:
    """The address with the token of a browser's session, and nobody's key; ``visitor`` as ``Client`` has it.

    Raises:
        InvalidInput: the address is not one of HTTP, or the token cannot be one.
    """
    if not (token.isascii() and token.isprintable()) or set(token) & set(" ;,"):
        raise InvalidInput("session_invalid", "The session's token holds characters that no token has. Sign in again.")
    return Credentials(_checked(url.rstrip("/")), session=token, visitor=visitor)


def data_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the embedded server, which is where it leaves its credentials."""
    return Path(environment.get("ROWCAST_DATA_DIR") or "rowcast-data").expanduser()


def load(folder: Path) -> Credentials:
    """What ``save`` wrote in the folder; the default address and no key when there is nothing."""
    path = folder / FILE
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(str(saved["url"]).rstrip("/"), saved.get("api_key"), saved.get("key_id"))
    except FileNotFoundError:
        return Credentials(DEFAULT_URL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(
            "credentials_unreadable", f"{path} cannot be read. Delete it, or set ROWCAST_URL and ROWCAST_API_KEY."
        ) from None


def save(folder: Path, url: str, api_key: str | None) -> Path:
    """Write ``credentials.json``, readable by its owner alone; without a key the one that is there stays."""
    kept = load(folder)
    return write(folder, Credentials(url, api_key or kept.api_key, None if api_key else kept.key_id))


def write(folder: Path, credentials: Credentials) -> Path:
    """The same for all of it. The file is replaced whole, so a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    known = {"url": credentials.url, "api_key": credentials.api_key, "key_id": credentials.key_id}
    content = json.dumps({name: value for name, value in known.items() if value is not None or name == "api_key"})
    draft = folder / f".credentials-{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    draft.replace(path)
    return path


def is_local(url: str) -> bool:
    """Whether the address is this machine, which no proxy leads to."""
    return urlsplit(url).hostname in LOOPBACK


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("url_invalid", f"The server's address must look like {DEFAULT_URL}.")
    return url


def _same(url: str, other: str) -> bool:
    return _origin(url) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in LOOPBACK else parts.hostname
    return parts.scheme, host, parts.port, parts.path
