"""What belongs to somebody else is not there: every operation, called by strangers with the names and ids of a real
owner's things, answers as it does for things that never were, and changes nothing."""

from __future__ import annotations

import json
from contextlib import ExitStack

import callers
import pytest
from starlette.testclient import TestClient

from rowcast.accounts.keys import create_key
from rowcast.accounts.principal import Role
from rowcast.accounts.tables import IdentityRow
from rowcast.entrypoints.rest.app import create_app
from rowcast.entrypoints.rest.outcome import API
from rowcast.settings import Settings
from rowcast.wiring import assemble

APP = create_app()
DOCUMENT = APP.openapi()
TABLE = b"city,amount,good\n" + b"".join(
    b"%s,%d,%s\n" % (b"Reno" if n % 3 else b"Ely", n * 7 % 100, b"yes" if n * 7 % 100 > 40 else b"no")
    for n in range(200)
)
ROWS = {"rows": [{"city": "Reno", "amount": 50}]}
MISSING = {"name": "qqqqqqqq", "reference": "qqqqqqqq", "task_id": "f" * 32, "receipt_id": "f" * 32}
MISSING |= {"key_id": "f" * 32, "session_id": "f" * 32, "identity_id": "f" * 32}
BODIES = {
    "predict_rows": ROWS,
    "submit_task": {"kind": "predict", "model": "loans", **ROWS},
    "ask_what_if": {"row": ROWS["rows"][0], "variations": [{"amount": 60}]},
    "start_training": {"dataset": "loans", "target": "good", "model": "mine"},
    "correct_kinds": {"amount": "number"},
    "replace_dictionary": {"amount": "what it is about"},
    "merge_dictionary": {"amount": "what it is about"},
}
"""Of operations whose example is about another table."""

OWNERS = {"{name}", "{reference}", "{task_id}", "{receipt_id}", "{key_id}", "{session_id}", "{identity_id}"}


class World:
    """Anna with a dataset, a model, tasks, receipts, a key and a session of hers; and others who have nothing."""

    def __init__(self, services):
        self.http = TestClient(create_app(services), raise_server_exceptions=False, follow_redirects=False)
        self.keys = {}
        with services.database.transaction() as session:
            roles = {"anna": Role.ANALYST, "other": Role.ANALYST, "ben": Role.USER, "carla": Role.USER}
            for name, role in {**roles, "boss": Role.ADMIN}.items():
                row = callers.user(session, name, role)
                self.keys[name] = create_key(session, row.id, name="first")
                if name == "anna":
                    callers.token_of(session, row.id)
                    known = {"provider": "github", "issuer": "https://github.com", "subject": "1", "name": name}
                    session.add(IdentityRow(user_id=row.id, **known))
        self.things = self._annas()

    def call(self, name, method, path, **request):
        headers = {"Authorization": f"Bearer {self.keys[name]}", **request.pop("headers", {})}
        return self.http.request(method, f"{API}{path}" if path[:4] != API[:4] else path, headers=headers, **request)

    def done(self, answer, name="anna"):
        """The task that an answer names, once it has succeeded."""
        task = answer.json()
        while task["state"] in ("queued", "running"):
            task = self.call(name, "GET", f"/tasks/{task['id']}?wait=20").json()
        assert task["state"] == "succeeded", task
        return task

    def _annas(self):
        added = self.call("anna", "POST", "/datasets?name=loans&filename=loans.csv", content=TABLE)
        assert added.status_code in (200, 201, 202), added.text
        if added.status_code == 202:
            self.done(added)
        wanted = {"dataset": "loans", "target": "good", "algorithms": ["baseline"], "preset": "fast"}
        self.done(self.call("anna", "POST", "/trainings", json=wanted))
        policy = {"bands": {"yellow": 0.1, "red": 0.3}}
        assert self.call("anna", "PUT", "/models/loans/policy", json=policy).status_code == 200
        receipt = self.call("anna", "POST", "/models/loans/predict", json=ROWS).json()["receipt"]
        queued = self.done(self.call("anna", "POST", "/tasks", json=BODIES["submit_task"]))
        file = self.done(self.call("anna", "POST", "/models/loans/predict/dataset/loans/latest"))
        assert queued["state"] == "succeeded"
        key = self.call("anna", "GET", "/keys").json()["items"][0]["id"]
        session = self.call("anna", "GET", "/account/sessions").json()[0]["id"]
        identity = self.call("anna", "GET", "/account/identities").json()[0]["id"]
        return {
            "name": "loans", "reference": "loans", "number": "1", "version": "latest", "alias": "champion",
            "task_id": file["id"], "receipt_id": receipt, "key_id": key, "session_id": session, "which": "predictions",
            "identity_id": identity,
        }  # fmt: skip

    def snapshot(self):
        """All that Anna sees of what is hers."""
        paths = [
            "/datasets/loans", "/datasets/loans/versions", "/datasets/loans/versions/1", "/datasets/loans/dictionary",
            "/datasets/loans/sharing", "/models/loans", "/models/loans/versions", "/models/loans/aliases",
            "/models/loans/history", "/models/loans/policies", "/models/loans/sharing", "/keys", "/account/sessions",
            "/account/identities",
            "/tasks", "/predictions", f"/tasks/{self.things['task_id']}/files/predictions",
        ]  # fmt: skip
        answers = {path: self.call("anna", "GET", path) for path in paths}
        assert {answer.status_code for answer in answers.values()} == {200}
        seen = {path: answer.text for path, answer in answers.items()}
        seen["/keys"] = [key["id"] for key in answers["/keys"].json()["items"]]  # when it was used changes
        return seen


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with ExitStack() as stack:
        settings = Settings(data_dir=tmp_path_factory.mktemp("strangers"))
        services, worker, _ = assemble(settings, stack)
        worker.start()
        stack.callback(worker.stop)
        yield World(services)


def _operations():
    """Operations that name a thing, but for those about users, which are administrators'."""
    for path, operations in sorted(DOCUMENT["paths"].items()):
        for method, operation in operations.items():
            if any(part in path for part in OWNERS) and not path.startswith((f"{API}/users/", f"{API}/credits/")):
                yield pytest.param(method.upper(), path, operation, id=f"{method.upper()} {path.removeprefix(API)}")


def _request(operation):
    """A body that the operation takes."""
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json")
    if body is None:
        return {"content": TABLE} if content else {}
    form = body["schema"]
    if "$ref" in form:
        form = DOCUMENT["components"]["schemas"][form["$ref"].rpartition("/")[2]]
    examples = [body.get("example"), *form.get("examples", ()), *body["schema"].get("examples", ())]
    example = next((example for example in examples if example is not None), {})
    return {"json": BODIES.get(operation["operationId"], example)}


def _told(answer):
    body = answer.json()
    return answer.status_code, body["code"], body["detail"]


@pytest.mark.parametrize("stranger", ["other", "ben"])
@pytest.mark.parametrize(("method", "path", "operation"), list(_operations()))
def test_a_strangers_things_are_not_there(world, stranger, method, path, operation):
    request = _request(operation)
    real = world.call(stranger, method, path.format(**world.things), **request)
    missing = world.call(stranger, method, path.format(**{**world.things, **MISSING}), **request)
    assert real.status_code in (403, 404), real.text
    assert _told(real) == _told(missing)
    if real.status_code == 403:
        assert real.json()["code"] == "role_required"
    else:
        assert real.json()["code"].endswith("_not_found")


@pytest.mark.parametrize("stranger", ["other", "ben"])
def test_strangers_see_nothing_in_lists(world, stranger):
    for path in ("/models", "/datasets", "/tasks", "/predictions"):
        assert world.call(stranger, "GET", path).json()["items"] == []
    assert world.call(stranger, "GET", "/account/sessions").json() == []
    assert world.call(stranger, "GET", "/account/identities").json() == []
    assert len(world.call(stranger, "GET", "/keys").json()["items"]) == 1
    assert world.call(stranger, "GET", "/keys?user=anna").status_code == 403
    deeds = world.call(stranger, "GET", "/audit?user=anna").json()["items"]
    assert deeds == []


def test_strangers_are_not_told_of_names_that_are_alike(world):
    for path in ("/models/loan", "/datasets/loan", "/models/loan/schema"):
        assert "loans" not in world.call("other", "GET", path).text
        assert "loans" in world.call("anna", "GET", path).text


@pytest.mark.parametrize("stranger", ["other", "ben"])
def test_what_names_a_thing_in_the_body_finds_nothing_either(world, stranger):
    submitted = world.call(stranger, "POST", "/tasks", json=BODIES["submit_task"])
    assert (submitted.status_code, submitted.json()["code"]) == (404, "model_not_found")
    trained = world.call(stranger, "POST", "/trainings", json=BODIES["start_training"])
    assert trained.status_code == (404 if stranger == "other" else 403)
    scored = world.call("anna", "GET", "/models/loans")
    assert scored.status_code == 200


def test_a_taken_name_cannot_be_taken_again_but_says_no_more(world):
    """In the same words for what one may not see and for what one may, and for models and tables."""
    added = world.call("other", "POST", "/datasets?name=others&filename=others.csv", content=TABLE)
    if added.status_code == 202:
        world.done(added, "other")
    asked = {
        "dataset_name_taken": ("/datasets?name=loans&filename=loans.csv", {"content": TABLE}),
        "model_name_taken": ("/trainings", {"json": {"dataset": "others", "model": "loans", "target": "good"}}),
    }
    for visibility in ("private", "everyone"):
        for thing in ("models", "datasets"):
            world.call("anna", "PUT", f"/{thing}/loans/sharing", json={"visibility": visibility})
        for code, (path, sent) in asked.items():
            answer = world.call("other", "POST", path, **sent)
            assert (answer.status_code, answer.json()["code"]) == (409, code)
            assert answer.json()["detail"] == "This name is taken. Choose another."
    for thing in ("models", "datasets"):
        world.call("anna", "PUT", f"/{thing}/loans/sharing", json={"visibility": "private"})


def test_nothing_of_all_that_changed_anything(world):
    before = world.snapshot()
    for parameters in _operations():
        method, path, operation = parameters.values
        for stranger in ("other", "ben"):
            if method != "GET":
                world.call(stranger, method, path.format(**world.things), **_request(operation))
    assert world.snapshot() == before


def test_sharing_with_one_and_with_everyone_and_with_nobody(world):
    def sees(name):
        found = world.call(name, "GET", "/models/loans").status_code
        assert found == world.call(name, "POST", "/models/loans/predict", json=ROWS).status_code
        assert (found == 200) == ("loans" in world.call(name, "GET", "/models").text)
        return found == 200

    def share(**sharing):
        answer = world.call("anna", "PUT", "/models/loans/sharing", json=sharing)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert share(visibility="named", users=["ben"]) == {"visibility": "named", "users": ["ben"]}
    assert (sees("ben"), sees("carla"), sees("other")) == (True, False, False)
    assert share(visibility="everyone") == {"visibility": "everyone", "users": []}
    assert sees("ben") and sees("carla") and sees("other")
    refused = world.call("other", "DELETE", "/models/loans")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_owner")
    receipt = world.call("ben", "POST", "/models/loans/predict", json=ROWS).json()["receipt"]
    assert share(visibility="private") == {"visibility": "private", "users": []}
    assert not (sees("ben") or sees("carla") or sees("other"))
    assert world.call("boss", "GET", "/models/loans").status_code == 200
    assert world.call("ben", "POST", f"/predictions/{receipt}/replay").json()["matches"]
    assert world.call("anna", "GET", f"/predictions/{receipt}").status_code == 404
    unknown = world.call("anna", "PUT", "/models/loans/sharing", json={"visibility": "named", "users": ["nobody"]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "users_unknown")


def test_a_shared_dataset_is_trained_on_and_not_changed(world):
    assert world.call("other", "GET", "/datasets/loans").status_code == 404
    named = {"visibility": "named", "users": ["other"]}
    assert world.call("anna", "PUT", "/datasets/loans/sharing", json=named).status_code == 200
    assert world.call("other", "GET", "/datasets/loans/versions/1/rows").status_code == 200
    wanted = {**BODIES["start_training"], "algorithms": ["baseline"], "model": "others"}
    task = world.call("other", "POST", "/trainings", json=wanted)
    assert task.status_code == 202
    refused = world.call("other", "PATCH", "/datasets/loans/dictionary", json={"amount": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_owner")
    assert world.call("anna", "PUT", "/datasets/loans/sharing", json={"visibility": "private"}).status_code == 200
    assert world.call("other", "GET", "/datasets/loans").status_code == 404
    hidden = world.call("anna", "GET", "/models/others")
    assert hidden.status_code == 404


def test_a_queued_prediction_fails_when_the_model_is_no_longer_shared(world):
    """Between being submitted and being worked on: here because its owner takes the model back at once."""
    world.call("anna", "PUT", "/models/loans/sharing", json={"visibility": "everyone"})
    body = json.dumps(BODIES["submit_task"])
    ended = world.call("ben", "POST", "/tasks", content=body, headers={"Prefer": "wait=20"}).json()
    assert ended["state"] == "succeeded"
    world.call("anna", "PUT", "/models/loans/sharing", json={"visibility": "private"})
    assert world.call("ben", "POST", "/tasks", content=body).status_code == 404
    assert world.call("ben", "GET", f"/tasks/{ended['id']}").json()["result"]["predictions"]
