from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.database.engine import SqlDatabase, open_database
from rowcast.datasets import catalogue
from rowcast.datasets.sharing import share
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound
from rowcast.tables import Base

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
BEN = Principal("b" * 32, "ben", Role.ANALYST)
ROOT = Principal("c" * 32, "root", Role.ADMIN)
USER = Principal("d" * 32, "user", Role.USER)


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    opened = open_database(database_url)
    Base.metadata.create_all(opened.engine)
    with opened.transaction() as session:
        session.add_all(UserRow(id=who.id, name=who.name, role=who.role) for who in (ANNE, BEN, ROOT, USER))
    yield opened
    opened.dispose()


@pytest.fixture
def session(database: SqlDatabase) -> Iterator[Session]:
    with database.transaction() as opened:
        yield opened


def add(session: Session, who: Principal, name: str, content: str, **changes: Any) -> tuple[int, bool]:
    schema = {"features": [{"name": "Term", "kind": "number"}, {"name": "State", "kind": "category"}]}
    given: dict[str, Any] = {
        "content_hash": content * 64,
        "filename": "loans.csv",
        "size_bytes": 12,
        "row_count": 3,
        "schema": schema,
        "profile": {"row_count": 3, "columns": []},
    }
    version, created = catalogue.add_version(session, who, name, **{**given, **changes})
    share(session, who, name, Sharing(visibility=Visibility.EVERYONE))
    return version.number, created


def test_versions_are_counted_and_the_same_bytes_are_the_same_version(session: Session) -> None:
    assert add(session, ANNE, "loans", "1") == (1, True)
    assert add(session, ANNE, "loans", "2") == (2, True)
    assert add(session, ANNE, "loans", "1") == (1, False)
    assert add(session, ANNE, "other", "1") == (1, True)
    _, version = catalogue.find_version(session, USER, "loans")
    assert (version.number, version.column_count) == (2, 2)
    assert catalogue.find_version(session, USER, "loans", 1)[1].content_hash == "1" * 64


@pytest.mark.parametrize("name", ["", "-loans", "a" * 101, "loans\n", "lo/ans", "Kredite ", "кредиты", "..", "a\0"])
def test_names_that_no_dataset_can_have(session: Session, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        add(session, ANNE, name, "1")
    assert refused.value.code == "name_invalid"
    with pytest.raises(NotFound):
        catalogue.find_dataset(session, ANNE, name)


def test_a_name_belongs_to_its_owner_and_to_administrators(session: Session) -> None:
    add(session, ANNE, "loans", "1")
    with pytest.raises(Conflict) as refused:
        add(session, BEN, "loans", "2")
    assert refused.value.code == "dataset_name_taken"
    with pytest.raises(Conflict):
        catalogue.check_may_add(session, BEN, "loans")
    with pytest.raises(Forbidden):
        catalogue.delete_dataset(session, BEN, "loans")
    assert add(session, ROOT, "loans", "2") == (2, True)
    catalogue.check_may_add(session, BEN, "another")


def test_a_user_looks_but_changes_nothing(session: Session) -> None:
    add(session, ANNE, "loans", "1")
    assert catalogue.dataset_view(session, USER, "loans").owner == "anne"
    with pytest.raises(Forbidden):
        add(session, USER, "mine", "2")
    with pytest.raises(Forbidden):
        catalogue.delete_dataset(session, USER, "loans")
    with pytest.raises(Forbidden):
        catalogue.replace_schema(session, USER, "loans", 1, schema={"features": []}, profile={})


def test_what_is_not_found_says_what_there_is(session: Session) -> None:
    add(session, ANNE, "sba_loans", "1")
    with pytest.raises(NotFound, match="Did you mean 'sba_loans'"):
        catalogue.find_dataset(session, USER, "SBA_Loans")
    with pytest.raises(NotFound, match="List the datasets"):
        catalogue.find_dataset(session, USER, "weather")
    for number in (0, 2, 10**30):
        with pytest.raises(NotFound, match="newest is 1"):
            catalogue.find_version(session, USER, "sba_loans", number)


def test_lists_come_in_pages(session: Session) -> None:
    for name in ("c", "a", "e", "b", "d"):
        add(session, ANNE, name, "1")
    for content in "234":
        add(session, ANNE, "a", content)
    names, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        items, cursor = catalogue.list_datasets(session, USER, limit=2, after=cursor)
        names += [item.name for item in items]
        pages += 1
    assert (names, pages) == (["a", "b", "c", "d", "e"], 3)
    items, cursor = catalogue.list_versions(session, USER, "a", limit=3)
    assert [item.number for item in items] == [4, 3, 2]
    items, cursor = catalogue.list_versions(session, USER, "a", limit=3, after=cursor)
    assert ([item.number for item in items], cursor) == ([1], None)
    assert catalogue.list_datasets(session, USER)[0][0].latest.number == 4


@pytest.mark.parametrize("cursor", ["x", "é", "WyJhIiwiYiJd", "WzFd", "bnVsbA", "W1tdXQ", "", "a" * 200, "[1]"])
def test_a_cursor_that_is_none(session: Session, cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        catalogue.list_datasets(session, USER, after=cursor)
    assert refused.value.code == "cursor_invalid"


def test_a_version_view_has_the_schema_as_the_dictionary_describes_it(session: Session) -> None:
    add(session, ANNE, "loans", "1", description="Loans to small businesses")
    catalogue.find_dataset(session, ANNE, "loans").dictionary = {"Term": "Months"}
    view = catalogue.version_view(session, USER, "loans")
    assert [feature.description for feature in view.table_schema.features] == ["Months", None]
    assert (view.created_by, view.column_count, view.profile.row_count) == ("anne", 2, 3)
    assert catalogue.dataset_view(session, USER, "loans").description == "Loans to small businesses"


def test_replacing_a_schema_changes_that_version_alone(session: Session) -> None:
    add(session, ANNE, "loans", "1")
    add(session, ANNE, "loans", "2")
    profile = {"row_count": 3, "columns": [], "target": "Term"}
    catalogue.replace_schema(session, ANNE, "loans", 1, schema={"features": []}, profile=profile)
    session.expire_all()
    first, second = (catalogue.version_view(session, USER, "loans", number) for number in (1, 2))
    assert (first.column_count, first.profile.target) == (0, "Term")
    assert (second.column_count, second.profile.target) == (2, None)


def test_deleting_returns_what_no_other_dataset_stores(session: Session) -> None:
    add(session, ANNE, "loans", "1")
    add(session, ANNE, "loans", "2")
    add(session, ANNE, "copy", "2")
    assert catalogue.delete_dataset(session, ANNE, "loans") == ["1" * 64, "2" * 64]
    with pytest.raises(NotFound):
        catalogue.find_dataset(session, ANNE, "loans")
    assert catalogue.delete_dataset(session, ROOT, "copy") == ["2" * 64]
    assert add(session, BEN, "loans", "3") == (1, True)
