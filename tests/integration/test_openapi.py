"""The OpenAPI document as a reader and a client generator meet it."""

import re
from collections import Counter

import pytest

from rowcast.entrypoints.rest.app import create_app
from rowcast.entrypoints.rest.openapi import TAGS

DOCUMENT = create_app().openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
SCHEMAS = DOCUMENT["components"]["schemas"]


def test_it_is_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1")


def test_operations_have_readable_names_of_their_own():
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", name)] == []


def test_tags_come_in_reading_order_with_descriptions():
    used = {tag for _, operation in OPERATIONS for tag in operation["tags"]}
    listed = [tag["name"] for tag in DOCUMENT["tags"]]
    assert set(listed) == used, "describe a new tag in openapi.TAGS"
    assert listed == [name for name, _ in TAGS if name in used]
    assert all(tag["description"] for tag in DOCUMENT["tags"])


@pytest.mark.parametrize(("place", "operation"), OPERATIONS, ids=[place for place, _ in OPERATIONS])
def test_an_operation_says_what_it_does_and_takes(place, operation):
    assert operation["description"]
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description"), f"{parameter['name']} of {place}"
        if parameter["in"] == "path" and "_id" not in parameter["name"]:
            assert "example" in parameter, f"{parameter['name']} of {place}: Swagger cannot fill it in"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    assert body is None or "example" in body or body["schema"].get("examples") or "$ref" in body["schema"]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_is_described(name):
    assert re.fullmatch(r"[A-Z][A-Za-z]+", name), "name it in openapi._plain"
    fields = SCHEMAS[name].get("properties", {})
    assert [field for field, schema in fields.items() if not schema.get("description")] == []


def test_errors_show_an_example_of_their_own_status():
    for place, operation in OPERATIONS:
        for status, response in operation["responses"].items():
            body = response.get("content", {}).get("application/problem+json")
            if body is not None:
                assert str(body["example"]["status"]) == status, place
