"""What nobody well-meaning sends: every answer is a problem with a code, no value is repeated, nothing stays behind."""

import base64
import json
import logging

import pytest
from fastapi import APIRouter
from sqlalchemy.orm import undefer
from starlette.testclient import TestClient

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import UserRow
from rowcast.entrypoints.rest.app import ROUTERS, create_app
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.programs import _alone_in
from rowcast.tasks.tables import TaskRow

SECRET = "zq-secret-zq"


@pytest.fixture(scope="module")
def key(assembled):
    with assembled.database.transaction() as session:
        user = UserRow(name="a hostile analyst", role=Role.ANALYST.value)
        session.add(user)
        session.flush()
        return create_key(session, user.id)


@pytest.fixture(scope="module")
def app(assembled):
    app = create_app(assembled)
    broken = APIRouter()

    @broken.get("/broken/{name}")
    def broken_operation(name: str) -> None:
        raise ValueError(SECRET)

    app.include_router(broken)
    return app


@pytest.fixture
def http(app, key):
    # An exception that leaves the application fails the test: the server would log it with all it holds.
    return TestClient(app, headers={"X-API-Key": key}, raise_server_exceptions=True)


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == status
    assert SECRET not in answer.text
    return body["code"]


def test_every_operation_that_takes_a_model_reads_its_body_strictly():
    loose = [
        route.path
        for router in ROUTERS
        for route in router.routes
        if route.body_field is not None and not isinstance(route, JsonRoute)
    ]
    assert loose == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataset":"loans","target":"\\ud800"}',
        b'{"dataset":"loans","target":"t","hyperparameters":{"\\udfff":{}}}',
        b'{"dataset":"loans","target":"t","folds":NaN}',
        b'{"dataset":"loans","target":"t","folds":' + b"9" * 5000 + b"}",
        b'{"dataset":"loans","target":"t","folds":1e999}',
        b'{"dataset":"\xff\xfe"}',
        b"[" * 100_000,
        b'{"dataset":"' + SECRET.encode(),
        b"\xff",
    ],
    ids=lambda body: str(body[:45]),
)
@pytest.mark.parametrize("address", ["/trainings", "/models/loans/promote", "/models/loans/versions/1/retrain"])
def test_a_body_that_is_no_json_is_refused_as_such(http, body, address):
    answer = http.post(f"/api/v1{address}", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 422) == "json_invalid"


@pytest.mark.parametrize("sign", ["\0", "\x85"])
@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/credits/anna/top-up", {"amount": 1, "comment": SECRET}, "comment"),
        ("POST", "/keys", {"name": SECRET}, "name"),
        ("POST", "/trainings", {"dataset": "loans", "target": SECRET, "model": "m"}, "target"),
        ("PUT", "/models/loans/sharing", {"visibility": "named", "users": ["anna", SECRET]}, "users.1"),
        ("POST", "/users", {"name": "anna", SECRET: 1}, None),
    ],
)
def test_control_characters_are_refused_everywhere_by_name(http, assembled, method, path, body, field, sign):
    with assembled.database.transaction() as session:
        boss = UserRow(name=f"boss {method} {path} {ord(sign)}", role=Role.ADMIN.value)
        session.add(boss)
        session.flush()
        headers = {"X-API-Key": create_key(session, boss.id)}
    raw = json.dumps(body).replace(SECRET, f"{SECRET}\\u{ord(sign):04x}")
    answer = http.request(method, f"/api/v1{path}", content=raw, headers=headers | {"Content-Type": "application/json"})
    assert problem(answer, 422) == "request_invalid"
    (fault,) = answer.json()["problems"]
    assert (fault.get("field") or None, "Control characters" in fault["message"]) == (field, True)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_cursor_with_a_moment_that_no_clock_shows_is_no_cursor(http, moment):
    cursor = base64.urlsafe_b64encode(json.dumps([moment, "x"]).encode()).decode()
    assert problem(http.get("/api/v1/tasks", params={"after": cursor}), 422) == "cursor_invalid"


def test_an_unexpected_error_is_answered_and_logged_without_what_it_holds(http, caplog):
    with caplog.at_level(logging.DEBUG):
        answer = http.get(f"/broken/{SECRET}%0aERROR%20forged")
    assert problem(answer, 500) == "internal_error"
    assert "ValueError" in caplog.text
    assert "GET /broken/{name}" in caplog.text
    ours = [record for record in caplog.records if record.name.startswith("rowcast")]
    assert not any(SECRET in record.getMessage() or record.exc_info for record in ours)


def test_an_address_of_nothing_is_not_repeated(http):
    assert problem(http.get(f"/api/v1/{SECRET}"), 404) == "not_found"
    assert problem(http.request("PATCH", "/api/v1/models"), 405) == "method_not_allowed"


def test_a_body_over_the_limit_has_one_code_however_it_is_sent(assembled, key):
    settings = assembled.settings.model_copy(update={"max_body_bytes": 1000})
    small = create_app(type(assembled)(**{**vars(assembled), "settings": settings}))
    with TestClient(small, headers={"X-API-Key": key, "Content-Type": "application/json"}) as http:
        declared = http.post("/api/v1/trainings", content=b" " * 2000)
        chunked = http.post("/api/v1/trainings", content=(b" " * 200 for _ in range(10)))
    assert problem(declared, 413) == problem(chunked, 413) == "body_too_large"


PART = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\na,b\n1,2\n\r\n'
FORMS = {
    "nothing": (b"", "B"),
    "no end": (PART, "B"),
    "two files": (PART + PART + b"--B--\r\n", "B"),
    "another boundary": (PART + b"--B--\r\n", "C"),
    "an endless boundary": (PART + b"--B--\r\n", "B" * 10_000),
    "no boundary": (PART + b"--B--\r\n", ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_not_one_whole_file_is_refused(http, assembled, form):
    body, boundary = FORMS[form]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}" if boundary else "multipart/form-data"}
    answer = http.post("/api/v1/datasets?name=t", content=body, headers=headers)
    assert problem(answer, 422) == "form_invalid"
    assert list(assembled.incoming.iterdir()) == []
    assert list(assembled.storage.list("uploads")) == []


def test_a_file_that_cannot_be_written_down_is_refused_and_not_blamed_on_the_sender(http, assembled):
    moved = assembled.incoming.with_name("incoming-away")
    assembled.incoming.rename(moved)
    try:
        answer = http.post("/api/v1/datasets?name=t", content=b"a,b\n1,2\n")
    finally:
        moved.rename(assembled.incoming)
    assert problem(answer, 503) == "storage_unavailable"
    assert answer.headers["Retry-After"]


def test_what_comes_with_a_body_or_a_caller_is_documented_everywhere(app):
    for operations in app.openapi()["paths"].values():
        for operation in operations.values():
            statuses = set(operation["responses"])
            if "requestBody" in operation:
                assert {"408", "413", "422"} <= statuses, operation["operationId"]
            if "security" in operation:
                assert {"401", "503"} <= statuses, operation["operationId"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("../../a\\b/loans.csv", "loans.csv"), ("lo\x00an\r\ns\u202e.csv", "loans.csv")],
)
def test_a_files_name_is_kept_without_what_could_act(assembled, http, given, kept):
    answer = http.post("/api/v1/datasets", params={"filename": given, "name": "t", "wait": 0}, content=b"a,b\n1,2\n")
    assert answer.status_code == 202
    with assembled.database.reading() as session:
        task = session.get_one(TaskRow, answer.json()["id"], options=[undefer(TaskRow.payload)])
    assert task.payload["filename"] == kept
    http.post(f"/api/v1/tasks/{task.id}/cancel")


def test_a_new_data_folder_is_for_its_account_alone(tmp_path):
    with _alone_in(tmp_path / "parent" / "data"):
        pass
    assert (tmp_path / "parent" / "data").stat().st_mode & 0o077 == 0
