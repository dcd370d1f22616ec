"""Which addresses are the dashboard's: those of its pages, and those by which its pages talk to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAGES: Mapping[str, str] = MappingProxyType(
    {
        "home": "",
        "data": "data",
        "train": "train",
        "tune": "tune",
        "models": "models",
        "predict": "predict",
        "history": "history",
        "account": "profile",  # the page at /account is where people sign in
        "administration": "administration",
    }
)
"""Where each page is, below the front door."""

STREAM = "/_stcore/stream"
UPLOAD = "/_stcore/upload_file/"

_ADDRESSES = frozenset(f"/{address}" for address in PAGES.values())
_ASSETS = ("/static/", "/favicon.png", "/manifest.json", "/_stcore/health", "/_stcore/host-config")
_OWN = (STREAM, UPLOAD, "/media/", "/component/", "/_stcore/bidi-components/")


def is_page(path: str) -> bool:
    """Whether a person opens it."""
    return path in _ADDRESSES


def is_asset(path: str) -> bool:
    """Whether it is the same for everyone, signed in or not."""
    return path.startswith(_ASSETS)


def is_dashboard(path: str) -> bool:
    """Whether the dashboard answers it."""
    return is_page(path) or path.startswith((*_ASSETS, *_OWN))
