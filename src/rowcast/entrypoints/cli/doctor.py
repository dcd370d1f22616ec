"""``rowcast doctor``: what could keep Rowcast from working here, each with what to do about it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.exit_codes import FAILED
from rowcast.entrypoints.cli.session import Session

LIBRARIES = ("numpy", "polars", "sklearn", "onnxruntime", "lightgbm", "xgboost", "catboost")
LEAST_FREE = 2 * 2**30
IMPORTING = """
import importlib, json, sys
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
"""


@dataclass(frozen=True)
class Finding:
    """One line: ``note`` is nothing wrong, but good to know."""

    name: str
    state: Literal["ok", "note", "problem"]
    message: str
    advice: str = ""


def register(app: typer.Typer) -> None:
    command(app, "doctor")(doctor)


def doctor(session: Session) -> None:
    """Check this machine and the server, and say what to do about what is wrong. Leaves with 1 if anything is."""
    found = []
    for finding in findings(session):
        found.append(finding)
        if not session.json:
            _say(session, finding)
    if session.json:
        session.emit([asdict(finding) for finding in found])
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(FAILED)


def findings(session: Session) -> Iterator[Finding]:
    """What is found, one check after another."""
    from rowcast.client.credentials import data_folder

    folder = data_folder(os.environ)
    yield python()
    yield openmp()
    yield from libraries()
    yield writable(folder)
    yield space(folder)
    yield from server(session)


def python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def openmp() -> Finding:
    """LightGBM's wheels need the system's OpenMP, which slim images leave out."""
    if sys.platform != "linux":
        return Finding("libgomp", "ok", "not needed on this system")
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return Finding(
            "libgomp", "problem", "libgomp.so.1 is missing", "apt-get install libgomp1 (or dnf install libgomp)"
        )
    return Finding("libgomp", "ok", "found")


def libraries() -> Iterator[Finding]:
    """Whether each library can really be imported, tried in a process of its own because a broken one may crash it."""
    command_line = [sys.executable, "-c", IMPORTING, *LIBRARIES]
    try:
        done = subprocess.run(command_line, capture_output=True, text=True, timeout=120, check=True)  # noqa: S603 - fixed words
        failed: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        yield Finding(
            "libraries", "problem", "importing them crashed", "Reinstall: pip install --force-reinstall rowcast"
        )
        return
    for name, error in failed.items():
        yield Finding(name, "problem", error.splitlines()[0], f"Reinstall it: pip install --force-reinstall {name}")
    if not failed:
        yield Finding("libraries", "ok", ", ".join(LIBRARIES))


def writable(folder: Path) -> Finding:
    """Whether the data folder, or the nearest folder above it that exists, takes a file."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"rowcast")
    except OSError as error:
        advice = "Choose another with ROWCAST_DATA_DIR, or give yourself the right to write there."
        return Finding("data folder", "problem", f"{folder}: {error.strerror}", advice)
    return Finding("data folder", "ok", f"{folder} {'is writable' if place == folder else 'can be made'}")


def space(folder: Path) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    message = f"{free / 2**30:.1f} GB free"
    if free < LEAST_FREE:
        return Finding(
            "disk", "problem", message, "Free some space: tables and models need it, and a full disk stops both."
        )
    return Finding("disk", "ok", message)


def server(session: Session) -> Iterator[Finding]:
    """Whether the server answers, its parts work and the key is known; if it does not run, whether its port is free."""
    from rowcast.client.credentials import is_local, resolve
    from rowcast.errors import RowcastError, Unavailable

    try:
        url = resolve(session.url, session.api_key).url
    except RowcastError as error:
        advice = "" if error.code == "credentials_unreadable" else "Correct ROWCAST_URL or --url."
        yield Finding("settings", "problem", error.message, advice)
        return
    try:
        health = session.client.health()
    except Unavailable:
        yield (
            _absent(url)
            if is_local(url)
            else Finding("server", "problem", f"{url} does not answer", "Start it, or correct ROWCAST_URL.")
        )
        return
    except RowcastError as error:
        yield Finding("server", "problem", error.message, "Check that ROWCAST_URL is the address of a Rowcast server.")
        return
    yield Finding("server", "ok", f"{url}, version {health.get('version', '?')}")
    for name, state in dict(health.get("parts") or {}).items():
        ok = state == "ok"
        yield Finding(name, "ok" if ok else "problem", str(state), "" if ok else "See the server's log.")
    yield key(session)
    yield from licence(session)


def key(session: Session) -> Finding:
    from rowcast.errors import RowcastError

    try:
        me = session.client.me()
    except RowcastError as error:
        return Finding("key", "problem", error.message, "Give one with --api-key or ROWCAST_API_KEY.")
    return Finding("key", "ok", f"{me.name} ({me.role})")


def licence(session: Session) -> Iterator[Finding]:
    """How the server's licence stands; nothing for who may not see it."""
    from rowcast.errors import RowcastError

    try:
        found = session.client.licence.status()
    except RowcastError:
        return
    if found.customer is None:
        yield Finding("licence", "ok", "none is needed")
        return
    message = f"{found.state}, of {found.customer}; {found.seats_taken} of {found.seats} seats are taken"
    if not found.warning:
        yield Finding("licence", "ok", message)
        return
    state: Literal["note", "problem"] = "problem" if found.state == "ended" else "note"
    yield Finding("licence", state, message, found.warning)


def _absent(url: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            advice = f"Stop what has port {port}, or start with another: rowcast up --port 8080."
            return Finding("server", "problem", f"port {port} is taken by something that is not Rowcast", advice)
    return Finding("server", "note", f"not running; port {port} is free", "Start it: rowcast up")


def _existing(folder: Path) -> Path:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place if place != folder.absolute() else folder


def _say(session: Session, finding: Finding) -> None:
    signs = {"ok": ("ok      ", "green"), "note": ("note    ", "yellow"), "problem": ("problem ", "red")}
    sign, style = signs[finding.state]
    advice = f" -> {finding.advice}" if finding.advice else ""
    session.say(f"{sign}{finding.name}: {finding.message}{advice}", style=style if finding.state != "ok" else None)
