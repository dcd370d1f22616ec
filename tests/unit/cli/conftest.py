from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "client"))

from commandline import Ran, Run, no_server
from standin import KEY, Serving, Standin

from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers


@pytest.fixture(scope="session")
def running() -> Iterator[Serving]:
    server = Serving(Standin())
    yield server
    server.stop()


@pytest.fixture
def serving(running: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serving:
    """The server with nothing in it, and an environment that names no other."""
    for name in ("ROWCAST_URL", "ROWCAST_API_KEY", "ROWCAST_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    running.standin.empty()
    return running


@pytest.fixture
def standin(serving: Serving) -> Standin:
    return serving.standin


@pytest.fixture
def rowcast(serving: Serving, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command against the stand-in."""
    monkeypatch.setenv("ROWCAST_URL", serving.url)
    monkeypatch.setenv("ROWCAST_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        code = run(Servers(*[no_server] * len(Servers.__annotations__)), [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def trained(rowcast: Run, loans: Path) -> str:
    """A model that serves."""
    assert rowcast("datasets", "add", loans).code == 0
    assert rowcast("train", "loans", "--target", "status", "--promote").code == 0
    return "loans"


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    path = tmp_path / "loans.csv"
    path.write_text("id,amount,grade,status\n1,100,A,paid\n2,900,B,lost\n3,,A,paid\n4,500,B,lost\n")
    return path
