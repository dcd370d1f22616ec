from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.database.engine import open_database
from rowcast.datasets import catalogue
from rowcast.datasets.dictionary import (
    MAX_BYTES,
    get_dictionary,
    merge_dictionary,
    parse_yaml,
    replace_dictionary,
)
from rowcast.datasets.sharing import share
from rowcast.errors import Forbidden, InvalidInput, TooLarge
from rowcast.tables import Base

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
USER = Principal("d" * 32, "user", Role.USER)


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    database = open_database(database_url)
    Base.metadata.create_all(database.engine)
    with database.transaction() as opened:
        opened.add_all(UserRow(id=who.id, name=who.name, role=who.role) for who in (ANNE, USER))
        opened.flush()
        add(opened, "1", "Term", "NoEmp", "Old")
        add(opened, "2", "Term", "NoEmp", "No")
        yield opened
    database.dispose()


def add(session: Session, content: str, *columns: str) -> None:
    schema: dict[str, Any] = {"features": [{"name": column, "kind": "number"} for column in columns]}
    catalogue.add_version(
        session, ANNE, "loans", content_hash=content * 64, filename="l.csv", size_bytes=1, row_count=1,
        schema=schema, profile={"row_count": 1, "columns": []},
    )  # fmt: skip
    share(session, ANNE, "loans", Sharing(visibility=Visibility.EVERYONE))


def test_replace_and_merge(session: Session) -> None:
    assert replace_dictionary(session, ANNE, "loans", {"Term": " Months ", "NoEmp": ""}) == {"Term": "Months"}
    merged = merge_dictionary(session, ANNE, "loans", {"NoEmp": "Employees"})
    assert merged == {"Term": "Months", "NoEmp": "Employees"}
    assert merge_dictionary(session, ANNE, "loans", {"Term": None}) == {"NoEmp": "Employees"}
    session.expire_all()
    assert get_dictionary(session, USER, "loans") == {"NoEmp": "Employees"}
    assert replace_dictionary(session, ANNE, "loans", {}) == {}


def test_unknown_columns_are_named_and_nothing_changes(session: Session) -> None:
    replace_dictionary(session, ANNE, "loans", {"Term": "Months"})
    with pytest.raises(InvalidInput) as refused:
        merge_dictionary(session, ANNE, "loans", {"NoEmp": "x", "term": "y", "Weather": "z", "No": 3})
    problems = [(problem.code, problem.field) for problem in refused.value.problems]
    assert problems == [("column_unknown", "term"), ("column_unknown", "Weather"), ("description_invalid", "No")]
    assert "did you mean 'Term'" in refused.value.problems[0].message
    assert get_dictionary(session, USER, "loans") == {"Term": "Months"}


def test_limits_and_rights(session: Session) -> None:
    with pytest.raises(InvalidInput):
        replace_dictionary(session, ANNE, "loans", {"Term": "x" * 2001})
    with pytest.raises(InvalidInput):
        replace_dictionary(session, ANNE, "loans", {"Term": "a\0b"})
    with pytest.raises(InvalidInput) as refused:
        replace_dictionary(session, ANNE, "loans", {f"Trem{i}": "x" for i in range(5000)})
    assert len(refused.value.problems) == 100
    with pytest.raises(Forbidden):
        replace_dictionary(session, USER, "loans", {"Term": "Months"})


def test_yaml_keeps_names_as_they_are_written() -> None:
    data = "No: yes\n2006: 'a: b'\nÄrger: |\n  two\n  lines\nEmpty:\n".encode()
    assert parse_yaml(data) == {"No": "yes", "2006": "a: b", "Ärger": "two\nlines\n", "Empty": ""}
    assert parse_yaml(b"") == {}
    assert parse_yaml(b"{}") == {}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a: &x lol\nb: *x\n", "yaml_anchors"),
        (b"a: *x", "yaml_anchors"),
        (b"- a\n- b\n", "dictionary_invalid"),
        (b"just text", "dictionary_invalid"),
        (b"a: {b: c}", "dictionary_invalid"),
        (b"[" * 10_000, "dictionary_invalid"),
        (b"? {a: b}\n: c", "dictionary_invalid"),
        (b"a: b\na: c\n", "column_twice"),
        (b"a: b: c", "yaml_invalid"),
        (b"a: '", "yaml_invalid"),
        (b"\xff\xfe\xfd", "yaml_invalid"),
        (b"a: b\n---\nc: d\n", "dictionary_invalid"),
        (b"a: \x00", "yaml_invalid"),
    ],
)
def test_yaml_that_is_no_dictionary(data: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_yaml(data)
    assert refused.value.code == code


def test_yaml_tags_make_no_objects() -> None:
    assert parse_yaml(b"a: !!python/object/apply:os.system ['true']\n".replace(b"['true']", b"true")) == {"a": "true"}


def test_yaml_that_is_too_large() -> None:
    with pytest.raises(TooLarge):
        parse_yaml(b"a: " + b"x" * MAX_BYTES)
