"""What a command works with: the shared options, the client, and where its words go.

Answers go to stdout; notes, progress and errors go to stderr. With ``--json`` stdout holds one JSON document and
nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from rowcast.client import Client

PIPE_WIDTH = 160


@dataclass
class Session:
    """One run of one command."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    json: bool = False
    yes: bool = False

    @cached_property
    def client(self) -> Client:
        from rowcast.client import Client

        return Client(self.url, self.api_key)

    @cached_property
    def out(self) -> Console:
        return console(sys.stdout)

    @cached_property
    def notes(self) -> Console:
        return console(sys.stderr)

    def answer(self, data: Any, render: Callable[[], RenderableType]) -> None:
        """The command's answer: ``data`` for machines, what ``render`` makes of it for people."""
        if self.json:
            self.emit(data)
        else:
            self.out.print(render(), soft_wrap=False)

    def emit(self, data: Any) -> None:
        """One JSON document on stdout."""
        sys.stdout.write(json.dumps(jsonable(data), ensure_ascii=False, indent=2) + "\n")
        sys.stdout.flush()

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line for people beside the answer: on stdout, or on stderr when stdout is for machines."""
        target = self.notes if self.json else self.out
        target.print(clean(text), style=style, soft_wrap=True)

    def tell(self, text: str, style: str | None = None) -> None:
        """The same for prose, which a screen breaks between words; a line to copy must not be broken."""
        prose(self.notes if self.json else self.out, text, style)

    def note(self, text: str) -> None:
        """A remark that is not part of the answer."""
        self.notes.print(clean(text), soft_wrap=True, style="dim")

    def confirm(self, question: str) -> None:
        """Go on only if the user agrees: by ``--yes``, or asked when there is someone to ask."""
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{question} Say --yes to confirm.")
        typer.confirm(question, abort=True, err=True)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()


def console(stream: Any) -> Console:
    """A console that prints text as it is: no markup in data, no guessing of colours; wide when it is not a screen."""
    from rich.console import Console

    screen = stream.isatty()
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=None if screen else PIPE_WIDTH)


def prose(target: Console, text: str, style: str | None = None) -> None:
    """Print sentences: broken between words on a screen, one line elsewhere."""
    target.print(clean(text), style=style, soft_wrap=not target.is_terminal)


def jsonable(data: Any) -> Any:
    """Views, and lists and dicts of them, as plain JSON data."""
    from pydantic import BaseModel

    if isinstance(data, BaseModel):
        return data.model_dump(mode="json", by_alias=True)
    if isinstance(data, dict):
        return {str(key): jsonable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [jsonable(value) for value in data]
    return data


def clean(text: object) -> str:
    """Text safe for a terminal: what is not printable could move the cursor or change colours."""
    written = str(text)
    if written.isprintable():
        return written
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in written
    )
