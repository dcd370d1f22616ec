from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from answering import predict

from rowcast.accounts.principal import Principal, Role, Scope
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.database.engine import SqlDatabase
from rowcast.adapters.processes.swaps import LedSwaps
from rowcast.adapters.processes.turn import Turn
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import Forbidden, InvalidInput, NotFound, Unavailable
from rowcast.licences.licence import Licence
from rowcast.licences.standing import Standing
from rowcast.models import aliases, registry
from rowcast.models.sharing import share
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.together import SharedCatalog

ANNE = Principal("a" * 32, "anne", Role.ANALYST)

Train = Callable[..., int]
ROW = {"State": "CA", "Amount": 0.5, "Urban": False}


@pytest.fixture(params=["alone", "together"])
def catalog(request: pytest.FixtureRequest, database: SqlDatabase, storage: LocalStorage) -> Catalog:
    """Of the only process, and of one that switches with others."""
    if request.param == "alone":
        return Catalog(database, storage, max_loaded=8)
    return SharedCatalog(database, storage, LedSwaps(Turn.new(), list), max_loaded=8)


def promote(database: SqlDatabase, principal: Principal, number: int, model: str = "loans") -> None:
    with database.transaction() as session:
        aliases.promote(session, principal, model, number)


def bundle_folder(storage: LocalStorage, number: int) -> Path:
    with storage.local_folder(f"bundles/{number:032}/1/linear") as folder:
        return folder


def test_references_lead_to_loaded_models(catalog: Catalog, train: Train) -> None:
    train()
    train(shift=1.0)
    for reference, number, alias in [("loans", 1, "champion"), ("loans@champion", 1, "champion"), ("loans@2", 2, None)]:
        assert catalog.find(ANNE, reference) is None
        served = catalog.get(ANNE, reference)
        assert (served.model.name, served.model.number, served.alias) == ("loans", number, alias)
        assert catalog.find(ANNE, reference) is served
        assert catalog.get(ANNE, reference) is served
    assert catalog.get(ANNE, "loans").model is catalog.get(ANNE, "loans@1").model
    assert len(catalog.loaded) == 2


def test_the_owner_alone_lets_a_model_s_memory_go(
    catalog: Catalog, train: Train, database: SqlDatabase, principal: Principal
) -> None:
    train()
    stranger = Principal("b" * 32, "ben", Role.ANALYST)
    catalog.get(ANNE, "loans")
    with pytest.raises(NotFound):
        catalog.let_go(stranger, "loans")
    with database.transaction() as session:
        share(session, principal, "loans", Sharing(visibility=Visibility.EVERYONE))
    catalog.refresh()
    with pytest.raises(Forbidden):
        catalog.let_go(stranger, "loans")
    assert [loaded for _, loaded in catalog.listed(stranger)] == [True]
    catalog.let_go(ANNE, "loans")
    assert catalog.find(ANNE, "loans") is None
    assert [loaded for _, loaded in catalog.listed(stranger)] == [False]
    assert catalog.get(ANNE, "loans").model.number == 1


def test_a_licence_that_ends_stops_what_is_in_memory(
    database: SqlDatabase, storage: LocalStorage, train: Train
) -> None:
    train()
    moments = [datetime(2030, 1, 1, tzinfo=UTC)]
    licence = Licence("1" * 32, "Harbour Bank", 1, datetime(2030, 2, 1, tzinfo=UTC), grace_days=0)
    catalog = Catalog(database, storage, standing=Standing(licence, clock=lambda: moments[-1]))
    assert catalog.get(ANNE, "loans").model.number == 1
    moments.append(datetime(2030, 2, 1, tzinfo=UTC))
    catalog.refresh()
    assert catalog.find(ANNE, "loans") is None
    with pytest.raises(Forbidden, match="licence ended"):
        catalog.get(ANNE, "loans")
    assert catalog.version("loans", 1).number == 1  # what was answered once can still be replayed


def test_unknown_references_say_what_there_is(catalog: Catalog, train: Train) -> None:
    with pytest.raises(NotFound, match="List the models"):
        catalog.get(ANNE, "loans")
    train()
    with pytest.raises(NotFound, match="Did you mean 'loans'"):
        catalog.get(ANNE, "Loans")
    with pytest.raises(NotFound, match="Its versions: 1"):
        catalog.get(ANNE, "loans@2")
    with pytest.raises(NotFound, match="Its aliases: champion"):
        catalog.get(ANNE, "loans@shadow")
    with pytest.raises(InvalidInput):
        catalog.get(ANNE, "loans@01")


def test_what_was_trained_since_is_found(catalog: Catalog, train: Train) -> None:
    train()
    assert catalog.get(ANNE, "loans@1").model.number == 1
    train()
    assert catalog.get(ANNE, "loans@2").model.number == 2
    train("other")
    assert catalog.get(ANNE, "other").model.name == "other"


def test_a_promotion_swaps_the_model_after_loading_it(
    catalog: Catalog, train: Train, database: SqlDatabase, principal: Principal
) -> None:
    train()
    train(shift=2.0)
    before = catalog.get(ANNE, "loans")
    promote(database, principal, 2)
    assert catalog.get(ANNE, "loans") is before
    catalog.refresh()
    assert {model.number for model in catalog.loaded} == {1, 2}
    assert catalog.get(ANNE, "loans").model.number == 2
    with database.transaction() as session:
        aliases.rollback(session, principal, "loans")
    catalog.refresh()
    assert catalog.get(ANNE, "loans").model is before.model


def test_refreshing_without_a_change_keeps_everything(catalog: Catalog, train: Train) -> None:
    train()
    served = catalog.get(ANNE, "loans")
    catalog.refresh()
    assert catalog.find(ANNE, "loans") is served


def test_aliases_that_are_removed_and_models_that_are_deleted(
    catalog: Catalog, train: Train, database: SqlDatabase, storage: LocalStorage, principal: Principal
) -> None:
    train()
    train()
    catalog.get(ANNE, "loans")
    catalog.get(ANNE, "loans@2")
    with database.transaction() as session:
        keys = registry.delete_version(session, principal, "loans", 2)
    for key in keys:
        storage.delete(key)
    catalog.refresh()
    with pytest.raises(NotFound):
        catalog.get(ANNE, "loans@2")
    with database.transaction() as session:
        aliases.remove_alias(session, principal, "loans", "champion")
    catalog.refresh()
    with pytest.raises(NotFound, match="It has none"):
        catalog.get(ANNE, "loans")
    with database.transaction() as session:
        registry.delete_model(session, principal, "loans")
    catalog.refresh()
    with pytest.raises(NotFound, match="no model"):
        catalog.get(ANNE, "loans@1")
    assert catalog.loaded == []


def test_a_model_of_the_same_name_and_number_is_another(
    catalog: Catalog, train: Train, database: SqlDatabase, principal: Principal
) -> None:
    train()
    before = catalog.get(ANNE, "loans")
    with database.transaction() as session:
        registry.delete_model(session, principal, "loans")
    train(shift=3.0)
    catalog.refresh()
    after = catalog.get(ANNE, "loans")
    assert (before.model.number, after.model.number) == (1, 1)
    assert before.model is not after.model


@pytest.mark.parametrize("harm", ["model", "golden", "gone", "manifest", "added"])
def test_a_damaged_model_is_never_served(catalog: Catalog, train: Train, storage: LocalStorage, harm: str) -> None:
    train()
    folder = bundle_folder(storage, 1)
    match harm:
        case "model":
            data = (folder / "model.onnx").read_bytes()
            (folder / "model.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "golden":
            (folder / "golden.json").write_text("{}")
        case "gone":
            shutil.rmtree(folder)
        case "manifest":
            (folder / "manifest.json").write_text("{}")
        case "added":
            (folder / "extra").write_text("")
    for _ in range(2):
        with pytest.raises(Unavailable, match="Version 1 of model 'loans'") as refused:
            catalog.get(ANNE, "loans")
        assert refused.value.code == "model_damaged"
    assert catalog.loaded == []


def test_a_model_that_answers_otherwise_than_when_it_was_trained(
    catalog: Catalog, train: Train, database: SqlDatabase, storage: LocalStorage
) -> None:
    """All hashes right, but the golden answers are not what this machine computes."""
    import hashlib

    from sqlalchemy import update

    from rowcast.models.tables import ModelVersionRow

    train()
    folder = bundle_folder(storage, 1)
    golden = (folder / "golden.json").read_text()
    (folder / "golden.json").write_text(golden.replace("0.9", "0.8", 1))
    manifest = (folder / "manifest.json").read_text()
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (golden, (folder / "golden.json").read_text())]
    (folder / "manifest.json").write_text(manifest.replace(*hashes))
    with database.transaction() as session:
        changed = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        session.execute(update(ModelVersionRow).values(bundle_hash=changed))
    assert hashes[0] != hashes[1]
    with pytest.raises(Unavailable, match="bundle_not_reproduced"):
        catalog.get(ANNE, "loans")


def test_an_alias_stays_when_what_it_moved_to_is_damaged(
    catalog: Catalog, train: Train, database: SqlDatabase, storage: LocalStorage, principal: Principal
) -> None:
    train()
    train()
    train()
    before = catalog.get(ANNE, "loans")
    (bundle_folder(storage, 2) / "model.onnx").write_bytes(b"")
    promote(database, principal, 2)
    catalog.refresh()
    catalog.refresh()
    assert catalog.get(ANNE, "loans") == before
    with pytest.raises(Unavailable):
        catalog.get(ANNE, "loans@2")
    promote(database, principal, 3)
    catalog.refresh()
    assert catalog.get(ANNE, "loans").model.number == 3


def test_many_at_once_load_a_version_once(catalog: Catalog, train: Train) -> None:
    train()
    start = threading.Barrier(8)

    def ask() -> Any:
        start.wait()
        return catalog.get(ANNE, "loans").model

    with ThreadPoolExecutor(8) as threads:
        models = [future.result() for future in [threads.submit(ask) for _ in range(8)]]
    assert len(set(map(id, models))) == 1


def test_the_least_used_go_first_and_champions_last(database: SqlDatabase, storage: LocalStorage, train: Train) -> None:
    for _ in range(4):
        train()
    catalog = Catalog(database, storage, max_loaded=2)
    for reference in ("loans", "loans@2", "loans@3"):
        catalog.get(ANNE, reference)
    assert {model.number for model in catalog.loaded} == {1, 3}
    assert catalog.find(ANNE, "loans@2") is None
    catalog.get(ANNE, "loans@3")
    catalog.get(ANNE, "loans@3")
    catalog.get(ANNE, "loans@4")
    assert {model.number for model in catalog.loaded} == {1, 4}
    for name in ("b", "c"):
        train(name)
        assert catalog.get(ANNE, name).model.name == name
    assert {model.name for model in catalog.loaded} == {"b", "c"}
    assert catalog.get(ANNE, "loans").model.number == 1


def test_with_room_for_one_a_promotion_still_swaps(
    database: SqlDatabase, storage: LocalStorage, train: Train, principal: Principal
) -> None:
    train()
    train()
    catalog = Catalog(database, storage, max_loaded=1)
    catalog.get(ANNE, "loans")
    promote(database, principal, 2)
    catalog.refresh()
    assert [model.number for model in catalog.loaded] == [2]
    assert catalog.get(ANNE, "loans").model.number == 2


def test_warming_loads_champions(database: SqlDatabase, storage: LocalStorage, train: Train) -> None:
    for name in ("a", "b", "c"):
        train(name)
        train(name)
    (bundle_folder(storage, 1) / "model.onnx").write_bytes(b"")
    catalog = Catalog(database, storage, max_loaded=8)
    catalog.warm()
    assert sorted((model.name, model.number) for model in catalog.loaded) == [("b", 1), ("c", 1)]


def test_calls_go_on_while_champions_change(
    catalog: Catalog, train: Train, database: SqlDatabase, principal: Principal
) -> None:
    """Every call is answered by one version in full, and each version's answer is its own."""
    for number in range(4):
        train(shift=float(number))
    expected = {
        n: predict(principal, catalog.get(ANNE, f"loans@{n}").model, None, [ROW]).predictions for n in range(1, 5)
    }
    stop = threading.Event()

    def call() -> int:
        count = 0
        while not stop.is_set():
            served = catalog.get(ANNE, "loans")
            answers = predict(principal, served.model, served.alias, [ROW])
            assert answers.predictions == expected[answers.version]
            count += 1
        return count

    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(call) for _ in range(3)]
        for number in (2, 3, 4, 1, 2, 4):
            promote(database, principal, number)
            catalog.refresh()
            assert catalog.get(ANNE, "loans").model.number == number
        stop.set()
        assert all(future.result() > 0 for future in calls)


def test_who_may_not_see_a_model_is_told_that_there_is_none(
    catalog: Catalog, train: Train, database: SqlDatabase
) -> None:
    train()
    others = [Principal(letter * 32, letter, Role.ANALYST) for letter in "bc"]
    boss = Principal("d" * 32, "boss", Role.ADMIN)
    narrow = Principal("d" * 32, "boss", Role.ADMIN, frozenset({Scope.PREDICT}))
    with database.transaction() as session:
        session.add_all(UserRow(id=who.id, name=who.name, role=who.role.value) for who in others)
    catalog.get(ANNE, "loans")

    def sees(principal: Principal) -> bool:
        found = catalog.find(principal, "loans")
        try:
            return catalog.get(principal, "loans") is (found or catalog.find(principal, "loans"))
        except NotFound as error:
            assert found is None
            assert "loans" not in error.message
            return False

    for sharing, expected in [
        (Sharing(visibility=Visibility.PRIVATE), [False, False]),
        (Sharing(visibility=Visibility.NAMED, users=["b"]), [True, False]),
        (Sharing(visibility=Visibility.EVERYONE), [True, True]),
        (Sharing(visibility=Visibility.PRIVATE), [False, False]),
    ]:
        with database.transaction() as session:
            share(session, ANNE, "loans", sharing)
        catalog.refresh()
        assert [sees(who) for who in others] == expected
        assert sees(boss) and sees(ANNE)
        assert sees(narrow) is (sharing.visibility is Visibility.EVERYONE)
    assert catalog.version("loans", 1) is catalog.get(ANNE, "loans").model
