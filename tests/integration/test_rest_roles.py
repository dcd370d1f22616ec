"""Every operation and page for every kind of caller: complete by construction, for it walks the application's own
routes. One that nobody thought of here fails."""

from __future__ import annotations

import json

import callers
import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from rowcast.accounts.principal import Role
from rowcast.entrypoints.rest.app import ROUTERS, create_app
from rowcast.entrypoints.rest.outcome import API
from rowcast.entrypoints.rest.security import RULE_ATTRIBUTE

PUBLIC = {
    ("GET", f"{API}/health/live"),
    ("GET", f"{API}/health/ready"),
    ("POST", f"{API}/session"),
    ("POST", f"{API}/session/link"),
    ("POST", f"{API}/sign-up"),
    ("POST", f"{API}/password-reset"),
    ("PUT", f"{API}/password-reset"),
}
"""What is called by who is not known yet."""

OPEN_PAGES = {
    "/",
    "/sign-in",
    "/sign-in/{name}",
    "/sign-in/{name}/callback",
    "/sign-up",
    "/sign-out",
    "/forgot",
    "/reset",
    "/invitation",
    "/link",
    "/language",
}
"""Pages for everyone: for those who come to be known by them."""

SIGNED_PAGES = {
    "/account",
    "/confirm",
    "/account/password",
    "/account/email",
    "/account/sessions/{session_id}/end",
    "/account/identities/{name}",
    "/account/identities/{identity_id}/remove",
    "/api/docs",
}
"""Pages for who is signed in: everyone else is led to the sign-in page."""

OTHERS = {f"{API}/openapi.json", "/metrics"}
"""No pages and no operations of the document; tested below one by one."""

MOUNTED = {"/assets", "/api/docs/files"}
"""Files of the package."""

NOT_WITH_SCOPES = {
    ("POST", f"{API}/account/link"),
    ("PUT", f"{API}/account/password"),
    ("PUT", f"{API}/account/email"),
    ("POST", f"{API}/email-confirmation"),
    ("DELETE", f"{API}/account/identities/{{identity_id}}"),
}
"""A key with scopes would gain by them what it may not do, or change how its owner signs in."""

PLACEHOLDERS = {
    "name": "nothing",
    "user": "nobody",
    "version": "latest",
    "number": "1",
    "alias": "challenger",
    "reference": "nothing",
    "task_id": "0" * 32,
    "receipt_id": "0" * 32,
    "key_id": "0" * 32,
    "session_id": "0" * 32,
    "identity_id": "0" * 32,
    "which": "predictions",
}
APP = create_app()


def _routes():
    """Method, address and route of every operation."""
    for router in ROUTERS:
        for route in router.routes:
            for method in route.methods:
                yield method, API + route.path, route


def _rules(route):
    def walk(dependant):
        for inner in dependant.dependencies:
            yield from walk(inner)
            rule = getattr(inner.call, RULE_ATTRIBUTE, None)
            if rule is not None:
                yield rule

    return list(walk(route.dependant))


OPERATIONS = sorted(
    {
        (method, path)
        for path, operations in APP.openapi()["paths"].items()
        for method in (name.upper() for name in operations)
    }
)
RULES = {(method, path): next(iter(_rules(route)), None) for method, path, route in _routes()}


def test_every_operation_names_who_may_call_it():
    by_operation = {(method, path): _rules(route) for method, path, route in _routes()}
    assert sorted(by_operation) == OPERATIONS, "an operation is not reached by this test"
    for operation, rules in by_operation.items():
        assert len(rules) == (0 if operation in PUBLIC else 1), operation


def test_every_address_is_an_operation_a_page_or_named_here():
    addresses, mounted = set(), set()
    for path, route in _flat(APP.routes):
        (mounted if isinstance(route, Mount) else addresses).add(path)
    operations = {path for _, path in OPERATIONS}
    assert addresses - operations == OPEN_PAGES | SIGNED_PAGES | OTHERS
    assert mounted == MOUNTED


def _flat(routes, prefix=""):
    """Addresses with their routes, also those of routers that the application keeps whole."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is None:
            yield prefix + route.path, route
        else:
            yield from _flat(router.routes, prefix + route.include_context.prefix)


@pytest.fixture(scope="module")
def http(assembled):
    return TestClient(create_app(assembled), raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture(scope="module")
def everybody(assembled):
    made = callers.everybody(assembled.database)
    assert set(made) == set(callers.KINDS)
    return made


@pytest.mark.parametrize("kind", callers.KINDS)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_who_gets_in(assembled, http, everybody, method, path, kind):
    rule, caller = RULES[(method, path)], everybody[kind]
    if (method, path) == ("DELETE", f"{API}/session") and caller.user_id:
        caller = callers.signed_in_again(assembled.database, caller)
    answer = http.request(method, path.format(**PLACEHOLDERS), headers=caller.headers)
    http.cookies.clear()
    if rule is None:
        assert answer.status_code not in (401, 403)
        assert answer.status_code < 500 or path.endswith("/health/ready")
    elif caller.role is None:
        assert answer.status_code == 401
    elif not callers.admits(rule, caller):
        assert answer.status_code == 403
        assert answer.json()["code"] in ("role_required", "scope_required")
    elif (method, path) in NOT_WITH_SCOPES and caller.scopes is not None:
        assert answer.status_code == 422 or answer.json()["code"] == "key_bounded"
    else:
        assert answer.status_code not in (401, 403), answer.text
        assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        body = json.loads(answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= set(body)


@pytest.mark.parametrize("kind", [f"{role} in a session" for role in Role])
@pytest.mark.parametrize(("method", "path"), [one for one in OPERATIONS if one[0] != "GET"])
def test_a_page_elsewhere_changes_nothing_with_the_cookie(http, everybody, method, path, kind):
    """Neither one that says where it is, nor a request that does not show where it is from."""
    cookie = {"Cookie": everybody[kind].headers["Cookie"]}
    for elsewhere in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        answer = http.request(method, path.format(**PLACEHOLDERS), headers={**cookie, **elsewhere})
        http.cookies.clear()
        if (method, path) in PUBLIC and not elsewhere:
            continue
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("kind", callers.KINDS)
@pytest.mark.parametrize("page", sorted(SIGNED_PAGES))
def test_pages_for_who_is_signed_in(http, everybody, page, kind):
    caller = everybody[kind]
    method = "GET" if page in ("/account", "/api/docs") else "POST"
    answer = http.request(method, page.format(**PLACEHOLDERS), headers=caller.headers)
    http.cookies.clear()
    known = caller.role is not None and "Cookie" in caller.headers
    if known:
        assert answer.status_code < 500
        assert "/sign-in" not in answer.headers.get("location", "")
    elif caller.role is None:
        assert answer.status_code in (303, 401, 403)
        assert answer.status_code != 303 or answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("kind", callers.KINDS)
@pytest.mark.parametrize("page", sorted(OPEN_PAGES))
def test_pages_for_everyone(http, everybody, page, kind):
    caller, page = everybody[kind], page.format(**PLACEHOLDERS)
    answer = http.get(page, headers=caller.headers)
    http.cookies.clear()
    signed_in = caller.role is not None and "Cookie" in caller.headers
    assert answer.status_code == http.get(page).status_code < 500 or (signed_in and answer.status_code == 303)


@pytest.mark.parametrize("kind", callers.KINDS)
def test_the_document_and_the_figures(http, everybody, kind):
    caller = everybody[kind]
    document = http.get(f"{API}/openapi.json", headers=caller.headers)
    figures = http.get("/metrics", headers=caller.headers)
    http.cookies.clear()
    assert document.status_code == (401 if caller.role is None else 200)
    may = caller.role is Role.ADMIN and (caller.scopes is None or callers.Scope.ADMIN in caller.scopes)
    assert figures.status_code == (401 if caller.role is None else 200 if may else 403)
