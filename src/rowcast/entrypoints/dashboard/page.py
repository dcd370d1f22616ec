"""What every page is given: the contract of ``pages/*.py``.

A page is a module ``pages/<name>.py`` with ``show(page: Page) -> None``, which is called at every run of the script,
and is listed in ``frame.PAGES``. It

- calls the server with ``page.client`` alone, which is the visitor's own session; it keeps no data but in
  ``page.recall`` and widget keys (both end with the visitor's tab), and never uses ``st.cache_data``, which all share;
- takes every word from ``page.t``: ``t("history.title")``, ``t("history.of", model=plain(name))``, and where words
  follow a number ``t.count("history.rows", 3, page.f.number(3))``; the words are in ``texts/en.toml`` and
  ``texts/ru.toml`` under the page's own heading, and a test finds what is missing or unused. Keys that are put together
  begin with a constant: ``t(f"kind.{kind}")``;
- writes every number, amount and moment with ``page.f``, and draws with ``charts``;
- lets errors go: the wall around all pages shows them, and leads to the sign-in page when the session is over. Where
  the rest of the page is still of use, ``with page.attempt():`` shows the error in that place;
- escapes what anyone typed before it is put into Markdown (``plain``) and never uses ``unsafe_allow_html``.

Widget keys begin with the page's name, so that two pages do not meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar, cast

import streamlit as st

from rowcast.accounts.principal import Principal, Role
from rowcast.client import Client
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.texts import Texts
from rowcast.errors import Problem, RowcastError, Unauthenticated

T = TypeVar("T")

RECALLED = "recalled"
"""Where a visitor's tab keeps what was asked for."""

USER_SECONDS = 30.0
"""How long it is not asked again who the visitor is and what they may do."""

_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]()<>#+-.!|~$:"})

Name = Literal["home", "data", "train", "tune", "models", "predict", "history", "account", "administration"]


@dataclass(frozen=True)
class Page:
    """A page for one visitor. ``client`` calls the server as them; ``t`` has the words and ``f`` the forms of numbers
    and dates of their language."""

    client: Client
    t: Texts
    f: Formats
    places: Mapping[str, st.Page]

    @property
    def user(self) -> Principal:
        """Who the visitor is."""
        return self.recall("user", self.client.me, seconds=USER_SECONDS)

    @property
    def may_train(self) -> bool:
        """Whether the visitor may change data and models."""
        return self.user.role in (Role.ANALYST, Role.ADMIN)

    @property
    def administers(self) -> bool:
        return self.user.role is Role.ADMIN

    def recall(self, name: str, load: Callable[[], T], *, seconds: float = 60.0) -> T:
        """What ``load`` answered, asked again when it is older than that. Of this visitor's tab alone."""
        kept: dict[str, tuple[float, Any]] = st.session_state.setdefault(RECALLED, {})
        now = time.monotonic()
        if name in kept and now - kept[name][0] < seconds:
            return cast(T, kept[name][1])
        value = load()
        kept[name] = (now, value)
        return value

    def knows(self, name: str) -> bool:
        """Whether something is recalled under that name, however old."""
        return name in st.session_state.get(RECALLED, {})

    def forget(self, *beginnings: str) -> None:
        """Have what is recalled under names that begin so asked again: after a change. Without any, all of it."""
        kept: dict[str, Any] = st.session_state.get(RECALLED, {})
        for name in [name for name in kept if not beginnings or name.startswith(beginnings)]:
            del kept[name]

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Show an error of what is done within in this place, and go on below it. A session that is over is for the
        wall."""
        try:
            yield
        except Unauthenticated:
            raise
        except RowcastError as error:
            self.tell(error)

    def tell(self, error: RowcastError) -> None:
        """Say what went wrong and what to do, with the places at fault."""
        st.error(message_of(error, self.t), icon=":material/error:")

    def go(self, name: Name, **query: str) -> NoReturn:
        """On to another page; ``query`` is what follows ? in its address, which it finds in ``st.query_params``."""
        st.switch_page(self.places[name], query_params=query)
        raise AssertionError("the line above never returns")

    def link(self, name: Name, label: str, *, icon: str | None = None, **query: str) -> None:
        """A link to another page; none to one that the visitor may not open."""
        if name in self.places:
            st.page_link(self.places[name], label=label, icon=icon, query_params=query)


def plain(text: object) -> str:
    """What anyone typed, so that Markdown shows it as it is."""
    return " ".join(str(text).split()).translate(_MARKS)


def fault_of(problem: Problem, t: Texts) -> str:
    """What is wrong in one place, as Markdown."""
    return t.get(f"fault.{problem.code}") or plain(problem.message)


def message_of(error: RowcastError, t: Texts) -> str:
    """An error as Markdown, in the visitor's language as far as there are words for it."""
    lines = [f"**{t(f'error.{error.kind}')}** {t.get(f'fault.{error.code}') or plain(error.message)}"]
    for problem in error.problems[:10]:
        where = [plain(problem.field)] if problem.field else []
        where += [t("error.row", row=problem.row)] if problem.row else []
        lines.append(f"- {', '.join(where)}{': ' if where else ''}{fault_of(problem, t)}")
    return "\n".join([lines[0], "", *lines[1:]])
