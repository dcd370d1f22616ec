"""Every operation for every kind of caller: complete by construction, for it walks the application's own routes."""

import json

import pytest
from starlette.testclient import TestClient

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import UserRow
from rowcast.entrypoints.rest.app import ROUTERS, create_app
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.security import ROLES_ATTRIBUTE

PUBLIC = {("GET", "/api/v1/health/live"), ("GET", "/api/v1/health/ready")}
PLACEHOLDERS = {
    "name": "nothing",
    "version": "latest",
    "number": "1",
    "alias": "challenger",
    "reference": "nothing",
    "task_id": "0" * 32,
    "receipt_id": "0" * 32,
    "which": "predictions",
}
APP = create_app()


def _routes():
    """Method, address and route of every operation."""
    for router in ROUTERS:
        for route in router.routes:
            for method in route.methods:
                yield method, API + route.path, route


def _admitted(route):
    def walk(dependant):
        for inner in dependant.dependencies:
            yield from walk(inner)
            roles = getattr(inner.call, ROLES_ATTRIBUTE, None)
            if roles is not None:
                yield roles

    return list(walk(route.dependant))


OPERATIONS = sorted(
    {
        (method, path)
        for path, operations in APP.openapi()["paths"].items()
        for method in (name.upper() for name in operations)
    }
)


ADMITTED = {(method, path): next(iter(_admitted(route)), None) for method, path, route in _routes()}


def test_every_operation_names_who_may_call_it():
    by_operation = {(method, path): _admitted(route) for method, path, route in _routes()}
    assert sorted(by_operation) == OPERATIONS, "an operation is not reached by this test"
    for operation, admitted in by_operation.items():
        assert len(admitted) == (0 if operation in PUBLIC else 1), operation


@pytest.fixture(scope="module")
def keys(assembled):
    made = {"anonymous": None, "unknown": "rc_00000000_" + "x" * 43}
    with assembled.database.transaction() as session:
        for role in Role:
            user = UserRow(name=f"a {role}", role=role.value)
            session.add(user)
            session.flush()
            made[role.value] = create_key(session, user.id)
    return made


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("caller", ["anonymous", "unknown", *Role])
def test_who_gets_in(assembled, keys, method, path, caller):
    admitted = ADMITTED[(method, path)]
    http = TestClient(create_app(assembled), raise_server_exceptions=False)
    headers = {"Authorization": f"Bearer {keys[caller]}"} if keys[caller] else {}
    answer = http.request(method, path.format(**PLACEHOLDERS), headers=headers)
    if admitted is None:
        assert answer.status_code in (200, 503)
    elif caller in ("anonymous", "unknown"):
        assert answer.status_code == 401
    elif caller not in admitted:
        assert answer.status_code == 403
    else:
        assert answer.status_code not in (401, 403)
        assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        body = json.loads(answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= set(body)
