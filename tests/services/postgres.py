"""A PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psycopg

from services.processes import START_SECONDS, Guard, answers, descendants, free_port, send

USER, PASSWORD = "app", "s3cret"
HOME = Path("/usr/lib/postgresql")


def missing_postgres() -> str | None:
    """Why no private PostgreSQL can run here, None when one can."""
    return None if _postgres_bin() else "PostgreSQL's server programs are not installed (Debian: postgresql)"


class PrivatePostgres:
    """A server in a folder of its own. What it has committed survives ``kill`` as it does in production."""

    def __init__(self, *, options: dict[str, str] | None = None) -> None:
        """``options`` are settings of postgresql.conf, as in ``{"max_connections": "10"}``."""
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-postgres-"))
        self._guard = Guard(self.folder)
        self.port = free_port()
        self.log = self.folder / "log"
        self._options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of a database that is always there."""
        return self.url_of("postgres")

    @property
    def programs(self) -> Path:
        """The folder of pg_dump and the others of the same version."""
        folder = _postgres_bin()
        assert folder is not None
        return folder

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> PrivatePostgres:
        """Begin, on the same port and data as before if it ran before; return when it answers."""
        if not (self.folder / "data").exists():
            self._create()
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._process = self._run("postgres", "-D", str(self.folder / "data"), "-p", str(self.port), *settings)
            # After a kill the server's children may hold its memory for a moment more, and it will not start.
            if answers(self._process, self._connected, deadline):
                return self
        raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """End it as a loss of power would, as far as a process can tell."""
        assert self._process is not None
        for pid in [*descendants(self._process.pid), self._process.pid]:
            send(pid, signal.SIGKILL)
        self._process.wait(timeout=30)

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay, and nothing is answered any more."""
        assert self._process is not None
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        assert self._process is not None
        for pid in [*descendants(self._process.pid), self._process.pid]:
            send(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, rolling back what is open; the data stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)

    def remove(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            self.kill()
        self._guard.release()

    def create_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser, in a transaction of no one's."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _create(self) -> None:
        (self.folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:  # PostgreSQL refuses root
            nobody = pwd.getpwnam("nobody")
            for path in (self.folder, self.folder / "password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        made = self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", USER, "--auth=scram-sha-256", "--no-sync",
            f"--pwfile={self.folder / 'password'}", "--encoding=UTF8", "--locale=C.UTF-8",
        )  # fmt: skip
        if made.wait(timeout=START_SECONDS):
            raise AssertionError(f"initdb failed:\n{self.log.read_text()[-3000:]}")

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.programs / program, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account,
            )

    def _connected(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def _postgres_bin() -> Path | None:
    """The folder of the newest server's programs: Debian keeps them off the PATH."""
    found = sorted(HOME.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None
