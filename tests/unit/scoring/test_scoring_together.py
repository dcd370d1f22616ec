"""Two catalogs that switch together, driven step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rowcast.accounts.principal import Principal, Role
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import Unavailable
from rowcast.models import aliases
from rowcast.scoring.together import Prepare, Prepared, SharedCatalog

ANNE = Principal("a" * 32, "anne", Role.ANALYST)

Train = Callable[..., int]


class Steps:
    """The turn as the test sets it, and what to do when a catalog asks for the next."""

    def __init__(self) -> None:
        self.turn = 0
        self.prepares: list[Prepare] = []
        self.asked = 0

    def enter(self, prepare: Prepare) -> None:
        self.prepares.append(prepare)

    def swap(self) -> None:
        self.asked += 1
        for prepare in self.prepares:
            prepare(self.turn + 1, {})
        self.turn += 1


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def catalogs(database: SqlDatabase, storage: LocalStorage, steps: Steps) -> list[SharedCatalog]:
    return [SharedCatalog(database, storage, steps) for _ in range(2)]


@pytest.fixture
def promote(database: SqlDatabase, principal: Principal) -> Callable[[int], None]:
    def promote(number: int) -> None:
        with database.transaction() as session:
            aliases.promote(session, principal, "loans", number)

    return promote


def numbers(catalogs: list[SharedCatalog]) -> list[int]:
    return [catalog.get(ANNE, "loans").model.number for catalog in catalogs]


def test_both_switch_at_the_turn_and_not_before(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train(shift=1.0)
    assert numbers(catalogs) == [1, 1]
    promote(2)
    turn = steps.turn + 1
    prepared = [prepare(turn, {}) for prepare in steps.prepares]
    assert prepared[0] == prepared[1]
    assert {model.number for model in catalogs[1].loaded} == {1, 2}
    assert numbers(catalogs) == [1, 1]
    steps.turn = turn
    assert numbers(catalogs) == [2, 2]


def test_whoever_asks_has_both_switched(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train()
    assert numbers(catalogs) == [1, 1]
    promote(2)
    catalogs[0].refresh()
    assert numbers(catalogs) == [2, 2]
    asked = steps.asked
    catalogs[1].refresh()
    assert steps.asked == asked, "nothing has changed since"


def test_one_that_did_not_prepare_in_time_answers_nothing(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train()
    assert numbers(catalogs) == [1, 1]
    promote(2)
    steps.prepares[0](steps.turn + 1, {})
    steps.turn += 1
    assert numbers(catalogs[:1]) == [2]
    with pytest.raises(Unavailable, match="is being replaced"):
        catalogs[1].find(ANNE, "loans")


def test_a_turn_in_which_nobody_asked_is_not_missed(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train()
    assert numbers(catalogs) == [1, 1]
    for number in (2, 1, 2):
        promote(number)
        steps.swap()
    promote(1)
    for prepare in steps.prepares:
        prepare(steps.turn + 1, {})
    assert numbers(catalogs) == [2, 2]


def test_an_older_preparation_does_not_replace_a_newer(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train()
    assert numbers(catalogs) == [1, 1]
    promote(2)
    for prepare in steps.prepares:
        prepare(steps.turn + 2, {})
        prepare(steps.turn + 1, {})
    steps.turn += 2
    assert numbers(catalogs) == [2, 2]


def test_an_alias_stays_in_both_while_its_version_does_not_open_in_one(
    catalogs: list[SharedCatalog], steps: Steps, train: Train, promote: Callable[[int], None]
) -> None:
    train()
    train()
    assert numbers(catalogs) == [1, 1]
    promote(2)
    held_back = {"loans": {"champion": 1}, "unknown": {"champion": 7}}
    prepared = [prepare(steps.turn + 1, held_back) for prepare in steps.prepares]
    assert prepared[0] == prepared[1] == Prepared(prepared[0].mark, {"loans": {"champion": 1}})
    steps.turn += 1
    assert numbers(catalogs) == [1, 1]
    catalogs[0].refresh()
    assert numbers(catalogs) == [2, 2], "it is tried again"
