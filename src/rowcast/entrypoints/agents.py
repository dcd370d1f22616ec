"""Browsers by name: what they say of themselves, as people know them."""

from __future__ import annotations

_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("YaBrowser", "Yandex"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
"""What browsers say of themselves, those first that say the others too."""


def browser_of(agent: str) -> str:
    """``Firefox · Windows``, as far as a ``User-Agent`` header tells; nothing where it tells neither."""
    found = (next((name for sign, name in known if sign in agent), "") for known in (_PROGRAMS, _SYSTEMS))
    return " · ".join(filter(None, found))
