"""Stores of MLflow by their address, and whether one answers: for the server, which never imports MLflow."""

from __future__ import annotations

import hashlib
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from rowcast.errors import Unavailable
from rowcast.models.mirroring import Pages
from rowcast.tasks.mirroring import Tracking

_PING_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443}


def tracking_at(url: str) -> Tracking:
    """The store at an address: ``http(s)://`` is an MLflow server, ``sqlite:///`` a file with a folder beside it."""
    return Tracking(url, hashlib.sha256(without_password(url).encode()).hexdigest(), partial(_ping, url))


def pages_of(url: str, public_url: str) -> Pages:
    """The same store for people: by ``public_url`` where it is given, else by its own address if that is a server's."""
    shown = public_url or (url if urlsplit(url).scheme in _PORTS else "")
    return Pages(tracking_at(url).store, without_password(shown))


def without_password(url: str) -> str:
    """The address as it may be shown."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def file_of(url: str) -> Path | None:
    """The file that a store is; None of a server."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else None


def _ping(url: str) -> None:
    """Whether somebody listens there: a child process that finds nobody would cost seconds of work each time.

    Raises:
        Unavailable: nobody does.
    """
    address = urlsplit(url)
    if address.scheme not in _PORTS:
        return
    try:
        with socket.create_connection((address.hostname, address.port or _PORTS[address.scheme]), _PING_SECONDS):
            pass
    except OSError as error:
        raise Unavailable("mlflow_unavailable", "MLflow does not answer at ROWCAST_TRACKING_URL.") from error
