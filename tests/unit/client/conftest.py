from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from standin import KEY, QUICK, Serving, Standin

from rowcast.client import Client


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
def client(serving: Serving) -> Iterator[Client]:
    with Client(serving.url, KEY, retries=QUICK) as made:
        yield made


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    path = tmp_path / "loans.csv"
    path.write_text("id,amount,grade,status\n1,100,A,paid\n2,900,B,lost\n3,,A,paid\n4,500,B,lost\n")
    return path
