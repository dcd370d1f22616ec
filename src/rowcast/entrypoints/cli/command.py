"""How a function becomes a command: the shared options, the session, and errors as exit codes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rowcast.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from rowcast.errors import RowcastError

SHARED = "Options of every command"
SHARED_NAMES = ("url", "api_key", "json", "yes")

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Address of the server.", rich_help_panel=SHARED, metavar="URL")
]
KeyOption = Annotated[
    str | None, typer.Option("--api-key", help="Key to call it with.", rich_help_panel=SHARED, metavar="KEY")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.", rich_help_panel=SHARED)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.", rich_help_panel=SHARED)]

Body = TypeVar("Body", bound=Callable[..., None])


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from rowcast import __version__

        typer.echo(f"rowcast {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", help="Show the version and leave.", is_eager=True, callback=show_version)
]


def shared(
    context: typer.Context,
    url: UrlOption = None,
    api_key: KeyOption = None,
    json: JsonOption = False,
    yes: YesOption = False,
    version: VersionOption = False,
) -> None:
    """Keep the options that were written before the command's name."""
    context.obj = {"url": url, "api_key": api_key, "json": json, "yes": yes}


def command(app: typer.Typer, name: str, **options: Any) -> Callable[[Body], Body]:
    """Make ``body(session, ...)`` the command ``name``: its other parameters are the command's own options, and the
    shared options may be written before or after the name."""

    def register(body: Body) -> Body:
        def run(context: typer.Context, **values: Any) -> None:
            _run(body, _session(context, values), values)

        run.__doc__ = body.__doc__
        run.__signature__ = _signature(body)  # type: ignore[attr-defined]
        app.command(name, **options)(run)
        return body

    return register


def _signature(body: Callable[..., None]) -> inspect.Signature:
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    common = inspect.signature(shared, eval_str=True).parameters
    parameters = [common["context"], *own, *(common[name] for name in SHARED_NAMES)]
    return inspect.Signature([p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters])


def _session(context: typer.Context, values: dict[str, Any]) -> Session:
    before: dict[str, Any] = context.find_root().obj or {}
    chosen: dict[str, Any] = {name: values.pop(name) or before.get(name) for name in SHARED_NAMES}
    return Session(**chosen)


def _run(body: Callable[..., None], session: Session, values: dict[str, Any]) -> None:
    from rowcast.entrypoints.cli.failures import exit_code
    from rowcast.errors import RowcastError

    try:
        body(session, **values)
    except RowcastError as error:
        report(session, error)
        raise typer.Exit(exit_code(error)) from None
    finally:
        session.close()


def report(session: Session, error: RowcastError) -> None:
    """Say what went wrong: lines on stderr and, with ``--json``, the error as data on stdout."""
    from rowcast.entrypoints.cli.failures import as_json, lines

    for line in lines(error):
        session.notes.print(line, soft_wrap=True)
    if session.json:
        session.emit(as_json(error))
