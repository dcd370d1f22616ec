"""A full disk under the database: no prediction is answered without its receipt, and it goes on when there is room."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rowcast.accounts.tables import UserRow
from rowcast.entrypoints.rest.app import create_app
from rowcast.settings import Settings
from rowcast.wiring import assemble

_SPEC = importlib.util.spec_from_file_location(
    "scoring_fixtures", Path(__file__).parents[1] / "unit" / "scoring" / "conftest.py"
)
scoring = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scoring)
train = scoring.train


@pytest.fixture
def disk(tmp_path):
    """A disk of three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def services(disk, tmp_path):
    with ExitStack() as stack:
        settings = Settings(
            data_dir=tmp_path / "data", database_url=f"sqlite:///{disk}/rowcast.db", api_key="rc_full_disk_0123456789"
        )
        wired, _worker, _key = assemble(settings, stack)
        with wired.database.transaction() as session:
            session.add(UserRow(id=scoring.ANNE.id, name="anne", role="analyst"))
        yield wired


@pytest.fixture
def database(services):
    return services.database


@pytest.fixture
def storage(services):
    return services.storage


@pytest.mark.skipif(os.geteuid() != 0 and "CI" not in os.environ, reason="only root can mount a small disk")
def test_nothing_is_answered_without_a_receipt(services, train, disk):
    train(promote=True)
    http = TestClient(create_app(services), headers={"X-API-Key": "rc_full_disk_0123456789"})
    row = {"State": "CA", "Amount": 1.0, "Urban": True}

    def predict():
        return http.post("/api/v1/models/loans/predict", json={"rows": [row] * 500})

    answered, refused = [], 0
    while refused < 3:
        answer = predict()
        if answer.status_code == 200:
            answered.append(answer.json()["receipt"])
            assert len(answered) < 1000
            continue
        refused += 1
        assert answer.status_code == 503
        assert answer.json()["code"] == "database_full"
        assert int(answer.headers["retry-after"]) >= 1
        assert "predictions" not in answer.json()
    assert answered

    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    answered += [predict().json()["receipt"] for _ in range(3)]
    assert all(http.post(f"/api/v1/predictions/{one}/replay").json()["matches"] for one in answered)
    with sqlite3.connect(disk / "rowcast.db") as other:
        assert {row[0] for row in other.execute("SELECT id FROM receipts")} == set(answered)
    other.close()
