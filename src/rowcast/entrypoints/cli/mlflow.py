"""``rowcast mlflow``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.server import FolderOption, Options, Pages
from rowcast.entrypoints.cli.session import Session

PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of MLflow's pages.")]


def register(app: typer.Typer, pages: Pages) -> None:
    """Add the command."""

    @command(app, "mlflow")
    def mlflow(session: Session, port: PortOption = 5000, data_dir: FolderOption = None) -> None:
        """Open MLflow's pages on what is mirrored in the data folder; of an MLflow server, say where it is."""
        raise typer.Exit(pages(_options(data_dir), port, lambda url: _said(session, url)))


def _options(data_dir: Path | None) -> Options:
    return {} if data_dir is None else {"data_dir": data_dir}


def _said(session: Session, url: str) -> None:
    if session.json:
        session.emit({"url": url})
    else:
        session.say(f"MLflow is at {url}")
