"""The model card of a version, line by line in the visitor's language. What people named stays as they wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.retelling import recognised, remark
from rowcast.entrypoints.dashboard.telling import why_left_out
from rowcast.models.views import LeftOut, ModelVersionDetail

_LEFT_OUT = "## Columns left out"
_NAMES = frozenset({"Feature", "Meaning"})
"""Columns of the card's tables whose cells are people's words."""

_CODE = re.compile(r"(`[^`]*`)")
_LIVELY = str.maketrans({mark: f"\\{mark}" for mark in "[]!:"})

_BETWEEN_CELLS = re.compile(r"(?<!\\)\|")


def card_of(page: Page, version: ModelVersionDetail) -> str:
    """The card as Markdown, without its title, and with headings that are smaller than those of the page."""
    lines = version.card.splitlines()[1:]
    return "\n".join(map(_still, _retold(page, lines, version.left_out))).replace("$", "\\$")


def _retold(page: Page, lines: Sequence[str], left_out: Sequence[LeftOut]) -> Iterator[str]:
    columns: list[str] = []
    reasons: Iterator[LeftOut] = iter(())
    for line in lines:
        if line.startswith("## "):
            reasons = iter(left_out if line == _LEFT_OUT else ())
            yield f"### {_told(page, line.removeprefix('## '))}"
        elif line.startswith("|"):
            cells = [cell.strip() for cell in _BETWEEN_CELLS.split(line)[1:-1]]
            columns = columns or cells
            yield f"| {' | '.join(_row(page, columns, cells))} |"
        elif line.startswith("- "):
            reason = None if _is_rest(line[2:]) else next(reasons, None)
            yield f"- {why_left_out(page, reason) if reason else _told(page, line[2:])}"
        else:
            columns = []
            yield _told(page, line) if line else ""


def _row(page: Page, columns: Sequence[str], cells: Sequence[str]) -> list[str]:
    """A line of a table; the first is that of the columns' titles."""
    if columns is cells:
        return [_cell(page, cell) for cell in cells]
    return [_cell(page, cell) if name not in _NAMES else _told(page, cell) if _is_rest(cell) else cell
            for name, cell in zip(columns, cells, strict=True)]  # fmt: skip


def _is_rest(text: str) -> bool:
    """Whether it stands for lines that are left away."""
    known = recognised("card", text)
    return known is not None and known[0] == "more"


def _cell(page: Page, cell: str) -> str:
    known = page.t.get(f"column_kind.{cell}") or page.t.get(f"metric.{cell}")
    if known or (found := recognised("card_cell", cell)) is None:
        return known or page.f.rewritten(cell)
    return page.t(f"card_cell.{found[0]}", **_rewritten(page, found[1]))


def _told(page: Page, line: str) -> str:
    """The line in the visitor's words, else what the training remarked."""
    if (found := recognised("card", line)) is None:
        return remark(page, line)
    return page.t(f"card.{found[0]}", **_rewritten(page, found[1]))


def _rewritten(page: Page, values: Mapping[str, str]) -> dict[str, str]:
    return {name: page.f.rewritten(value) for name, value in values.items()}


def _still(line: str) -> str:
    """A line of a card, whose tags and bars are escaped there, without links, pictures, icons and colours."""
    return "".join(part if part.startswith("`") else part.translate(_LIVELY) for part in _CODE.split(line))
