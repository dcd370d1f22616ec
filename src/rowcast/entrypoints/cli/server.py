"""``rowcast up``, ``demo``, ``api``, ``worker``, ``migrate``: how they ask for what only ``__main__`` can make."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, console

Options = dict[str, Any]
"""Settings by name, only those that were given; the rest comes from the environment."""


class Started(Protocol):
    """Called once, when the server answers. ``api_key`` is None when only its hash is known any more; ``new`` is
    whether it was made just now."""

    def __call__(self, url: str, api_key: str | None, *, new: bool) -> None: ...


Serve = Callable[[Options, Started], int]
"""Serve with these settings until interrupted; returns the exit code."""

Work = Callable[[Options, Callable[[], None]], int]
"""Take tasks with these settings until interrupted; returns the exit code. Calls back once it does."""

Migrate = Callable[[Options], int]
"""Bring the database of these settings up to date; returns the exit code."""

Show = Callable[[Options, Started, bool], int]
"""The same, but when the flag is set, stop again when ``started`` returns."""

Front = Callable[[Options, str, int, Callable[[str], None]], int]
"""Show the dashboard of the server at that address on that port until interrupted; calls back with its own address."""

DASHBOARD_PORT = 8501

Pages = Callable[[Options, int, Callable[[str], None]], int]
"""Open MLflow's pages at a port until interrupted, or only say where they are; returns the exit code."""

HostOption = Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.  [default: 8000]", show_default=False)
]
FolderOption = Annotated[
    Path | None, typer.Option(help="Folder of the database and files.  [default: rowcast-data]", show_default=False)
]
ProcessesOption = Annotated[int | None, typer.Option(min=1, help="Processes that answer calls.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Imports and trainings at the same time.")]
LogLevelOption = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]


@dataclass(frozen=True)
class Servers:
    """How to serve; handed in by ``__main__`` because the command line may not know the wiring."""

    up: Serve
    demo: Show
    api: Serve
    worker: Work
    migrate: Migrate
    mlflow: Pages
    dashboard: Front


def register(app: typer.Typer, servers: Servers) -> None:
    """Add the commands."""

    @command(app, "up")
    def up(
        session: Session,
        host: HostOption = None,
        port: PortOption = None,
        data_dir: FolderOption = None,
        processes: ProcessesOption = None,
        workers: WorkersOption = None,
        log_level: LogLevelOption = None,
    ) -> None:
        """Run the whole product on this machine, until Ctrl-C. Every setting also has a ROWCAST_ variable."""
        options = _given(
            host=host, port=port, data_dir=data_dir, processes=processes, workers=workers, log_level=log_level
        )
        raise typer.Exit(servers.up(options, Banner(session, data_dir)))

    @command(app, "api")
    def api(
        session: Session,
        host: HostOption = None,
        port: PortOption = None,
        data_dir: FolderOption = None,
        processes: ProcessesOption = None,
        log_level: LogLevelOption = None,
    ) -> None:
        """Answer calls, as one of many, on a PostgreSQL and a RabbitMQ that all share; workers do the rest."""
        options = _given(host=host, port=port, data_dir=data_dir, processes=processes, log_level=log_level)
        raise typer.Exit(servers.api(options, Banner(session, data_dir)))

    @command(app, "worker")
    def worker(
        session: Session,
        data_dir: FolderOption = None,
        workers: WorkersOption = None,
        log_level: LogLevelOption = None,
    ) -> None:
        """Carry tasks out, as one of many, on the services of `rowcast api`."""
        options = _given(data_dir=data_dir, workers=workers, log_level=log_level)
        started = lambda: session.say("Rowcast takes tasks. Stop it with Ctrl-C.")  # noqa: E731
        raise typer.Exit(servers.worker(options, started))

    @command(app, "migrate")
    def migrate(session: Session, data_dir: FolderOption = None, log_level: LogLevelOption = None) -> None:
        """Bring the database up to date, once it is there, and leave. Servers do so as well when they start."""
        raise typer.Exit(servers.migrate(_given(data_dir=data_dir, log_level=log_level)))

    @command(app, "dashboard")
    def dashboard(
        session: Session,
        api: Annotated[
            str | None, typer.Option(help="Address of the server; by default that of the other commands.")
        ] = None,
        host: HostOption = None,
        port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = DASHBOARD_PORT,
        log_level: LogLevelOption = None,
    ) -> None:
        """Show the pages of a server in a process, and on a machine, of their own; `rowcast up` has them anyway."""
        from rowcast.client.credentials import resolve

        def started(url: str) -> None:
            if session.json:
                session.emit({"url": url})
            else:
                session.say(f"The dashboard is at {url}. Stop it with Ctrl-C.")

        options = _given(host=host, log_level=log_level)
        raise typer.Exit(servers.dashboard(options, resolve(api or session.url).url, port, started))

    @command(app, "demo")
    def demo(
        session: Session,
        exit_: Annotated[bool, typer.Option("--exit", help="Stop when it is shown, instead of serving on.")] = False,
        port: PortOption = None,
        data_dir: FolderOption = None,
    ) -> None:
        """See it work: upload a real table, train, compare, predict one row."""
        raise typer.Exit(servers.demo(_given(port=port, data_dir=data_dir), Showing(exit_, data_dir), exit_))


@dataclass(frozen=True)
class Banner:
    """Says where the server is, and where the other commands find it and its key."""

    session: Session
    folder: Path | None

    def __call__(self, url: str, api_key: str | None, *, new: bool) -> None:
        from rowcast.client import credentials

        folder = self.folder or credentials.data_folder(os.environ)
        if self.session.json:
            said = {"url": url, "docs": f"{url}/api/docs", "credentials": str(folder / credentials.FILE)}
            self.session.emit({**said, "sign_in": sign_in_address(url, api_key) if new else None})
            return
        self.session.say(f"Rowcast is at {url}, its API documentation at {url}/api/docs")
        if new and api_key:
            self.session.say(f"API key of the administrator, shown this once: {api_key}")
            if link := sign_in_address(url, api_key):
                self.session.say(f"To sign in with a browser, once, within a quarter of an hour: {link}")
        if self.folder is None:
            self.session.say(
                f"Its API key is in {folder / credentials.FILE}, where commands run in this folder find it."
            )
        else:
            self.session.say(f"Other commands find it and its key after: export ROWCAST_DATA_DIR={folder.absolute()}")
        self.session.say("An address to sign in with a browser, at any time: rowcast link")
        self.session.say("Stop it with Ctrl-C.")


def sign_in_address(url: str, api_key: str | None) -> str | None:
    """An address that signs a browser in as the key's owner; None when there is none to be had."""
    from rowcast.client import Client
    from rowcast.errors import RowcastError

    try:
        with Client(url, api_key, timeout=10, retries=0) as client:
            return client.account.link().url
    except RowcastError:
        return None


@dataclass(frozen=True)
class Showing:
    """Walks through the demonstration on the server that was just started."""

    leaving: bool
    folder: Path | None

    def __call__(self, url: str, api_key: str | None, *, new: bool) -> None:
        from rowcast.client import Client
        from rowcast.entrypoints.cli.demo import run_demo

        screen = console(sys.stdout)
        with Client(url, api_key) as client:
            run_demo(client, screen, self._first(), ends=self.leaving)
        if not self.leaving:
            screen.print("\nThe server goes on until Ctrl-C.")

    def _first(self) -> list[str]:
        """What has to be done before the commands that are proposed: nothing, in the usual folder."""
        where = [f"export ROWCAST_DATA_DIR={shlex.quote(str(self.folder.absolute()))}"] if self.folder else []
        return [*activation(), *where, *(["rowcast up &"] if self.leaving else [])]


def activation() -> list[str]:
    """What puts this very program on the PATH, when it is not there."""
    script = Path(sys.executable).parent / "activate"
    if shutil.which("rowcast") or not script.exists():
        return []
    here = Path.cwd()
    return [f"source {shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))}"]


def _given(**values: Any) -> Options:
    return {name: value for name, value in values.items() if value is not None}
