"""Names of columns, cleaned so that each can be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from rowcast.datasets.views import TableWarning


def clean_header(header: Sequence[str]) -> tuple[list[str], list[TableWarning]]:
    """Names stripped, empty ones called ``column_<n>`` and repeated ones ``name_2``, ``name_3``, with warnings."""
    names: list[str] = []
    warnings: list[TableWarning] = []
    taken = {name.strip() for name in header}
    for position, written in enumerate(header, 1):
        name = written.strip()
        if not name:
            name = _free(f"column_{position}", taken)
            warnings.append(_nameless(name, position))
        elif name in names:
            name, original = _numbered(name, taken), name
            warnings.append(_repeated(name, original))
        taken.add(name)
        names.append(name)
    return names, warnings


def _numbered(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _free(name: str, taken: set[str]) -> str:
    return _numbered(name, taken) if name in taken else name


def _nameless(name: str, position: int) -> TableWarning:
    message = f"Column {position} has no name in the header; it is called {name} here."
    return TableWarning(code="empty_header", column=name, message=message, values={"position": position})


def _repeated(name: str, original: str) -> TableWarning:
    message = f"The header has the name {original} more than once; this one is called {name} here."
    return TableWarning(code="duplicate_header", column=name, message=message, values={"original": original})
