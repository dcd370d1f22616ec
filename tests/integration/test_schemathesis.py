"""Every operation of a real server, called with what its document allows and with what it does not, by everyone: no
answer is a fault of ours, and none is other than documented."""

from __future__ import annotations

import os

import httpx2
import people
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rowcast.entrypoints.rest.app import create_app

CALLERS = ("anonymous", "user", "analyst", "admin")
EXAMPLES = int(os.environ.get("ROWCAST_TEST_EXAMPLES", "4"))
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TABLE = b"City,State,MIS_Status\n" + b"".join(
    b"%s,NV,%s\n" % (b"RENO" if n % 3 else b"ELY", b"P I F" if n % 4 else b"CHGOFF") for n in range(200)
)
SCHEMA = schemathesis.openapi.from_dict(create_app().openapi())


@pytest.fixture(scope="module")
def called(tmp_path_factory, server_class):
    """A server with the table and the model that the examples of the document are about; its address, and a key for
    each role."""
    server = server_class(tmp_path_factory.mktemp("schemathesis") / "data").start()
    keys = {role: people.join(server.url, server.key, f"a {role}", role) for role in ("user", "analyst", "admin")}
    headers = {"Authorization": f"Bearer {keys['analyst']}"}
    with httpx2.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60) as http:
        http.post("/datasets?name=sba_loans&filename=a.csv", content=TABLE).raise_for_status()
        wanted = {"dataset": "sba_loans", "target": "MIS_Status", "algorithms": ["baseline"]}
        task = http.post("/trainings", json=wanted).raise_for_status().json()
        ended = http.get(f"/tasks/{task['id']}", headers={"Prefer": "wait=60"}).raise_for_status().json()
        assert ended["state"] == "succeeded"
        http.put("/models/sba_loans/sharing", json={"visibility": "everyone"}).raise_for_status()
    yield server.url, keys
    server.stop()


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case, called):
    url, keys = called
    for name in ("Authorization", "X-API-Key", "Cookie", "Prefer"):  # ours; and nobody is to wait for a minute
        (case.headers or {}).pop(name, None)
    (case.cookies or {}).clear()
    if "wait" in (case.query or {}):
        case.query["wait"] = 0
    for caller in CALLERS:
        headers = {"Authorization": f"Bearer {keys[caller]}"} if caller in keys else {}
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=60)
