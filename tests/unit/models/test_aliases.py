from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import SqlDatabase, open_database
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound
from rowcast.models import aliases, registry
from rowcast.models.tables import ModelRow, ModelVersionRow
from rowcast.tables import Base

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
BEN = Principal("b" * 32, "ben", Role.ANALYST)
USER = Principal("d" * 32, "user", Role.USER)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlDatabase]:
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('aliases')}/rowcast.db")
    else:
        opened = open_database(request.getfixturevalue("postgres_server").create_database())
    Base.metadata.create_all(opened.engine)
    with opened.transaction() as session:
        session.add_all(UserRow(id=who.id, name=who.name, role=who.role) for who in (ANNE, BEN, USER))
        session.flush()
        session.add(ModelRow(id="m" * 32, name="loans", owner_id=ANNE.id, last_number=5, visibility="everyone"))
        session.flush()
        session.add_all(version(number) for number in range(1, 6))
    yield opened
    opened.dispose()


@pytest.fixture
def session(database: SqlDatabase) -> Iterator[Session]:
    """A session whose work is rolled back, so that every test finds five versions and no alias."""
    with Session(database.engine) as opened:
        yield opened


def version(number: int) -> ModelVersionRow:
    empty: dict[str, Any] = {}
    return ModelVersionRow(
        model_id="m" * 32, number=number, algorithm="linear", problem="binary", dataset_version_id="v" * 32,
        training_task_id=f"t{number}", target="y", dataset="loans", dataset_number=1, metrics=[], recipe=empty,
        manifest=empty, schema=empty, evaluation=empty, card="", bundle_key=f"bundles/{number}", bundle_hash="",
        created_by=ANNE.id,
    )  # fmt: skip


def test_set_promote_remove_and_the_record_of_it(session: Session) -> None:
    aliases.promote(session, ANNE, "loans", 1)
    aliases.set_alias(session, ANNE, "loans", "challenger", 2)
    event = aliases.promote(session, ANNE, "loans", 2)
    assert (event.previous, event.number, event.action, event.moved_by) == (1, 2, "promote", "anne")
    assert aliases.list_aliases(session, USER, "loans") == {"challenger": 2, "champion": 2}
    removed = aliases.remove_alias(session, ANNE, "loans", "challenger")
    assert (removed.previous, removed.number, removed.action) == (2, None, "remove")
    assert aliases.list_aliases(session, USER, "loans") == {"champion": 2}
    events, cursor = aliases.history(session, USER, "loans", limit=3)
    assert [event.action for event in events] == ["remove", "promote", "set"]
    older, end = aliases.history(session, USER, "loans", limit=3, after=cursor)
    assert ([(event.action, event.number) for event in older], end) == ([("promote", 1)], None)
    assert all(event.moved_at.tzinfo is not None for event in events)


def test_rollback_goes_back_step_by_step(session: Session) -> None:
    for number in (1, 2, 3):
        aliases.promote(session, ANNE, "loans", number)
    event = aliases.rollback(session, ANNE, "loans")
    assert (event.previous, event.number, event.action) == (3, 2, "rollback")
    assert aliases.rollback(session, ANNE, "loans").number == 1
    with pytest.raises(Conflict) as refused:
        aliases.rollback(session, ANNE, "loans")
    assert refused.value.code == "nothing_to_roll_back"
    aliases.promote(session, ANNE, "loans", 5)
    assert aliases.rollback(session, ANNE, "loans").number == 1


def test_rollback_passes_over_what_was_deleted_and_over_the_same(session: Session) -> None:
    for number in (1, 2, 1, 3, 3, 4):
        aliases.promote(session, ANNE, "loans", number)
    registry.delete_version(session, ANNE, "loans", 3)
    assert aliases.rollback(session, ANNE, "loans").number == 1
    registry.delete_version(session, ANNE, "loans", 2)
    with pytest.raises(Conflict):
        aliases.rollback(session, ANNE, "loans")


def test_each_alias_has_its_own_past(session: Session) -> None:
    aliases.promote(session, ANNE, "loans", 1)
    aliases.set_alias(session, ANNE, "loans", "shadow", 4)
    aliases.promote(session, ANNE, "loans", 2)
    with pytest.raises(Conflict):
        aliases.rollback(session, ANNE, "loans", "shadow")
    aliases.set_alias(session, ANNE, "loans", "shadow", 5)
    assert aliases.rollback(session, ANNE, "loans", "shadow").number == 4
    assert aliases.list_aliases(session, USER, "loans") == {"champion": 2, "shadow": 4}


def test_a_removed_alias_remembers_when_it_is_set_again(session: Session) -> None:
    aliases.promote(session, ANNE, "loans", 1)
    aliases.remove_alias(session, ANNE, "loans", "champion")
    with pytest.raises(NotFound):
        aliases.rollback(session, ANNE, "loans")
    aliases.promote(session, ANNE, "loans", 2)
    assert aliases.rollback(session, ANNE, "loans").number == 1


@pytest.mark.parametrize("alias", ["", "3", "3rd", "a b", "a" * 51, "a@b", "é", "champion\n", "-x", "a\0"])
def test_names_that_no_alias_can_have(session: Session, alias: str) -> None:
    for use in (
        lambda: aliases.set_alias(session, ANNE, "loans", alias, 1),
        lambda: aliases.promote(session, ANNE, "loans", 1, alias),
        lambda: aliases.rollback(session, ANNE, "loans", alias),
        lambda: aliases.remove_alias(session, ANNE, "loans", alias),
    ):
        with pytest.raises(InvalidInput) as refused:
            use()
        assert refused.value.code == "alias_invalid"


def test_only_the_owner_moves_aliases(session: Session) -> None:
    aliases.promote(session, ANNE, "loans", 1)
    for who in (BEN, USER):
        with pytest.raises(Forbidden):
            aliases.promote(session, who, "loans", 2)
        with pytest.raises(Forbidden):
            aliases.rollback(session, who, "loans")
        with pytest.raises(Forbidden):
            aliases.remove_alias(session, who, "loans", "champion")


def test_an_alias_points_at_what_there_is(session: Session) -> None:
    with pytest.raises(NotFound, match="Its versions: 5, 4, 3, 2, 1"):
        aliases.promote(session, ANNE, "loans", 6)
    with pytest.raises(NotFound, match="no alias 'shadow'"):
        aliases.remove_alias(session, ANNE, "loans", "shadow")
    with pytest.raises(NotFound):
        aliases.list_aliases(session, USER, "nothing")


MOVES = st.lists(st.one_of(st.integers(1, 5), st.sampled_from(["back", "remove"])), max_size=15)


@given(moves=MOVES)
@settings(max_examples=60, deadline=None)
def test_rollback_is_the_back_button_of_a_browser(database: SqlDatabase, moves: list[int | str]) -> None:
    with Session(database.engine) as session:
        past: list[int] = []
        present = False
        for move in moves:
            try:
                if move == "back":
                    aliases.rollback(session, ANNE, "loans")
                    past.pop()
                elif move == "remove":
                    aliases.remove_alias(session, ANNE, "loans", "champion")
                    present = False
                    continue
                else:
                    aliases.promote(session, ANNE, "loans", int(move))
                    past += [int(move)] if past[-1:] != [int(move)] else []
                    present = True
            except Conflict:
                assert len(past) == 1
            except NotFound:
                assert not present
            if present:
                assert aliases.list_aliases(session, USER, "loans") == {"champion": past[-1]}
