"""What the settings say of receipts reaches them; and receipts over REST."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rowcast.accounts.keys import create_key
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
ROW = {"State": "Zyxwv-Secret-4711", "Amount": 1.0, "Urban": True}
ADMIN = {"X-API-Key": "rc_settings_0123456789"}


@pytest.fixture
def settings(request, tmp_path):
    return Settings(data_dir=tmp_path / "data", api_key="rc_settings_0123456789", **getattr(request, "param", {}))


@pytest.fixture
def services(settings):
    with ExitStack() as stack:
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


@pytest.fixture
def http(services, train):
    train(promote=True)
    return TestClient(create_app(services), headers=ADMIN)


def predicted(http, **changes):
    answer = http.post("/api/v1/models/loans/predict", json={"rows": [ROW], **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()["receipt"]


@pytest.mark.parametrize("settings", [{"receipt_redact": "SSN, state"}], indirect=True)
def test_hidden_fields(http, settings):
    receipt = http.get(f"/api/v1/predictions/{predicted(http, explain=True)}").json()
    assert receipt["inputs_kept"] == "redacted"
    assert receipt["rows"] == [{**ROW, "State": None}]
    on_disk = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert ROW["State"].encode() not in on_disk
    key = settings.data_dir / "receipts.key"
    assert (len(key.read_bytes()), key.stat().st_mode & 0o777) == (32, 0o600)
    replay = http.post(f"/api/v1/predictions/{receipt['id']}/replay")
    assert (replay.status_code, replay.json()["code"]) == (409, "receipt_inputs_redacted")


@pytest.mark.parametrize("settings", [{"receipt_inputs": False}], indirect=True)
def test_no_inputs(http):
    receipt = http.get(f"/api/v1/predictions/{predicted(http)}").json()
    assert (receipt["inputs_kept"], receipt["rows"]) == ("none", None)


def test_someone_else_s_receipt_is_not_there(http, services):
    with services.database.transaction() as session:
        user = UserRow(name="ben", role="user")
        session.add(user)
        session.flush()
        key = create_key(session, user.id)
    http.put("/api/v1/models/loans/sharing", json={"visibility": "everyone"}).raise_for_status()
    theirs, headers = predicted(http), {"X-API-Key": key}
    for method, path in (("GET", f"/{theirs}"), ("POST", f"/{theirs}/replay")):
        assert http.request(method, f"/api/v1/predictions{path}", headers=headers).status_code == 404
    assert http.get("/api/v1/predictions", headers=headers).json()["items"] == []
    assert http.get("/api/v1/predictions/export?format=jsonl", headers=headers).content == b""
    own = http.post("/api/v1/models/loans/predict", json={"rows": [ROW]}, headers=headers).json()["receipt"]
    assert http.post(f"/api/v1/predictions/{own}/replay", headers=headers).json()["matches"]


@pytest.mark.parametrize(
    "query", ["since=yesterday", "version=0", "limit=0", "after=x", "mine=perhaps", "version=99999999999999999999"]
)
def test_filters_that_are_none(http, query):
    assert http.get(f"/api/v1/predictions?{query}").status_code in (200, 422)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-01-01"])
def test_moments_at_the_edge_of_time(http, moment):
    assert http.get(f"/api/v1/predictions?since={moment}&until={moment}").json()["items"] == []
