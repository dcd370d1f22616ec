"""``rowcast dvc`` and ``rowcast datasets dvc``: repositories that track tables with DVC."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.written import versioned

if TYPE_CHECKING:
    from rowcast.datasets.dvc import DvcFile, DvcRemote

app = typer.Typer(no_args_is_help=True, help="Repositories that track tables with DVC.")

REMOTE_NAME = "rowcast"
KEYS = {"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}
"""What DVC calls the keys of a remote, and the variables that have them."""


def register(datasets: typer.Typer) -> None:
    command(datasets, "dvc")(write)


@command(app, "init")
def init(
    session: Session,
    no_scm: Annotated[bool, typer.Option("--no-scm", help="The folder is no git repository.")] = False,
) -> None:
    """Make the server's storage the remote of the repository in this folder.

    Keys of the remote are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where they are set, and kept in
    .dvc/config.local, which git never sees.
    """
    remote = session.client.datasets.dvc_remote()
    here = Path.cwd()
    folder = next((place / ".dvc" for place in (here, *here.parents) if (place / ".dvc").is_dir()), None)
    if folder is None:
        _run_dvc("init", "--quiet", *(["--no-scm"] if no_scm else []))
        folder = here / ".dvc"
    configure(folder / "config", remote)
    kept = keep_keys(folder / "config.local") if remote.url.startswith("s3:") else False
    session.answer(remote, lambda: clean(f"DVC pushes to and pulls from {remote.url}."))
    if remote.url.startswith("s3:") and not kept:
        session.note(f"DVC takes the keys of the remote from where AWS's tools do: set {' and '.join(KEYS.values())}.")


def write(
    session: Session,
    dataset: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Dataset; the newest version by default.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.dvc", help="By default the name of the table.")
    ] = None,
) -> None:
    """Write the .dvc file of a version, which `dvc pull` fetches then. For the owner of the dataset."""
    from rowcast.datasets import dvc
    from rowcast.errors import InvalidInput

    if output is not None and output.suffix != dvc.SUFFIX:
        raise InvalidInput("file_not_written", "A .dvc file has the name of its table with .dvc behind it.")
    name, number = versioned(dataset)
    file = session.client.datasets.push_to_dvc(name, version=number or "latest")
    target = output or Path(f"{Path(file.path).name}{dvc.SUFFIX}")
    named = file.model_copy(update={"path": target.name.removesuffix(dvc.SUFFIX)})
    _write(target, dvc.written(named))
    ignore(target.with_name(named.path))
    session.answer(named, lambda: clean(f"{target} names {name}: fetch the table with dvc pull {target}"))


def read(path: Path) -> DvcFile:
    """What a .dvc file names.

    Raises:
        InvalidInput: it cannot be read, or does not name one table.
    """
    from rowcast.datasets import dvc
    from rowcast.errors import InvalidInput

    try:
        return dvc.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("file_unreadable", f"{path} cannot be read.") from None


def _run_dvc(*arguments: str) -> None:
    from rowcast.errors import InvalidInput

    program = shutil.which("dvc")
    if program is None:
        raise InvalidInput("dvc_missing", "DVC is not installed here: pip install 'dvc[s3]', then try again.")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        hint = "Run it at the top of a git repository; in a folder that is none, say --no-scm."
        raise InvalidInput("dvc_failed", f"dvc {arguments[0]} failed: {reason[0] if reason else ''} {hint}")


def configure(path: Path, remote: DvcRemote) -> None:
    """Make it the remote that DVC uses, in a file of DVC's settings; the others stay.

    Raises:
        InvalidInput: it is no such file.
    """
    config = _parsed(path)
    config["core"] = {**_section(config, "core"), "remote": REMOTE_NAME}
    place = {"url": remote.url, "endpointurl": remote.endpoint, "region": remote.region}
    config[_remote_section()] = {name: value for name, value in place.items() if value}
    _save(path, config, 0o644)


def keep_keys(path: Path) -> bool:
    """Whether there are keys, which are then in a file that only its owner reads."""
    keys = {name: os.environ.get(variable, "") for name, variable in KEYS.items()}
    if not all(keys.values()):
        return False
    config = _parsed(path)
    config[_remote_section()] = {**_section(config, _remote_section()), **keys}
    _save(path, config, 0o600)
    return True


def _parsed(path: Path) -> configparser.RawConfigParser:
    from rowcast.errors import InvalidInput

    config = configparser.RawConfigParser(strict=False)
    try:
        config.read(path, encoding="utf-8")
    except configparser.Error:
        raise InvalidInput("file_unreadable", f"{path} cannot be read as DVC writes it.") from None
    return config


def _section(config: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return dict(config[name]) if config.has_section(name) else {}


def _remote_section() -> str:
    return f"'remote \"{REMOTE_NAME}\"'"


def _save(path: Path, config: configparser.RawConfigParser, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        config.write(file)


def _write(target: Path, content: str) -> None:
    from rowcast.errors import InvalidInput

    try:
        target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("file_not_written", f"{target} cannot be written: {error.strerror}.") from None


def ignore(table: Path) -> None:
    """Keep git from taking in the table itself, as DVC does."""
    if not any((folder / ".git").exists() for folder in table.absolute().parents):
        return
    ignored, line = table.with_name(".gitignore"), f"/{table.name}"
    known = ignored.read_text(encoding="utf-8") if ignored.exists() else ""
    if line not in known.splitlines():
        gap = "\n" if known and not known.endswith("\n") else ""
        _write(ignored, f"{known}{gap}{line}\n")
