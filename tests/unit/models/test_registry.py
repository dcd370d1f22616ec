from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.storage.local import LocalStorage
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from rowcast.models import aliases, registry
from rowcast.models.recipe import Problem, RetrainRequest, TrainingRequest
from rowcast.models.references import find_version, parse_reference, resolve
from rowcast.models.sharing import share
from rowcast.models.views import TrainingResult
from rowcast.tables import Base

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
BEN = Principal("b" * 32, "ben", Role.ANALYST)
ROOT = Principal("c" * 32, "root", Role.ADMIN)
USER = Principal("d" * 32, "user", Role.USER)

METRIC = {"name": "roc_auc", "value": 0.9, "low": 0.88, "high": 0.92, "folds": [0.9, 0.9], "greater_is_better": True}
PARITY = {"max_difference": 1e-7, "rows": 10, "tolerance": 1e-5, "passed": True, "reason": None}


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    database = open_database(database_url)
    Base.metadata.create_all(database.engine)
    with database.transaction() as opened:
        opened.add_all(UserRow(id=who.id, name=who.name, role=who.role) for who in (ANNE, BEN, ROOT, USER))
        opened.flush()
        yield opened
    database.dispose()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "storage")


def trained(storage: LocalStorage, task: str, *algorithms: str) -> dict[str, Any]:
    """The outcome of a training whose bundles are in the storage."""
    candidates = []
    for algorithm in algorithms:
        key = f"bundles/{task}/1/{algorithm}"
        manifest = {
            "algorithm": algorithm, "problem": "binary", "target": "MIS_Status", "classes": ["P I F", "CHGOFF"],
            "positive_class": "CHGOFF", "runtime": "onnx", "hyperparameters": {"trees": 100, "rate": 0.1},
            "dataset": {"name": "loans", "version": 3, "content_hash": "e" * 64},
            "left_out": [{"column": "LoanNr", "reason": "identifier"}], "parity": PARITY,
        }  # fmt: skip
        data = json.dumps(manifest).encode()
        storage.put(f"{key}/manifest.json", data)
        storage.put(f"{key}/schema.json", b'{"features": [{"name": "Term", "kind": "number"}]}')
        storage.put(f"{key}/README.md", f"# {algorithm}".encode())
        candidates.append(
            {
                "algorithm": algorithm, "hyperparameters": manifest["hyperparameters"], "metrics": [METRIC],
                "seconds": 1.5, "evaluation": {"prevalence": 0.2}, "bundle_key": key,
                "bundle_hash": hashlib.sha256(data).hexdigest(),
            }
        )  # fmt: skip
    return {
        "problem": "binary", "primary_metric": "roc_auc", "row_count": 5000, "classes": ["P I F", "CHGOFF"],
        "positive_class": "CHGOFF", "left_out": [], "warnings": ["few rows"], "candidates": candidates,
    }  # fmt: skip


def train(
    session: Session, storage: LocalStorage, who: Principal, task: str, *algorithms: str, **wishes: Any
) -> TrainingResult:
    outcome = trained(storage, task, *(algorithms or ("lightgbm",)))
    request = TrainingRequest.model_validate({"target": "MIS_Status", "dataset": "loans", "seed": 7, **wishes})
    result = registry.register(
        session, who, task_id=task, request=request, dataset_version_id="v" * 32, outcome=outcome,
        bundles=registry.read_bundles(storage, outcome),
    )  # fmt: skip
    share(session, who, result.model, Sharing(visibility=Visibility.EVERYONE))
    return result


def test_the_first_training_makes_the_best_one_champion(session: Session, storage: LocalStorage) -> None:
    result = train(session, storage, ANNE, "t1", "catboost", "linear")
    assert (result.model, result.best_version, result.promoted) == ("loans", 1, True)
    assert [(each.algorithm, each.version) for each in result.candidates] == [("catboost", 1), ("linear", 2)]
    assert (result.warnings, result.row_count) == (["few rows"], 5000)
    second = train(session, storage, ANNE, "t2")
    assert (second.best_version, second.promoted) == (3, False)
    third = train(session, storage, ANNE, "t3", promote=True)
    assert (third.best_version, third.promoted) == (4, True)
    events, _ = aliases.history(session, USER, "loans")
    moves = [(event.alias, event.previous, event.number, event.action, event.moved_by) for event in events]
    assert moves == [("champion", 1, 4, "promote", "anne"), ("champion", None, 1, "promote", "anne")]


def test_registering_a_task_again_adds_nothing(session: Session, storage: LocalStorage) -> None:
    first = train(session, storage, ANNE, "t1", "catboost", "linear", promote=True)
    aliases.promote(session, ANNE, "loans", 2)
    again = train(session, storage, ANNE, "t1", "catboost", "linear", promote=True)
    assert again == first.model_copy(update={"promoted": False})
    assert registry.model_view(session, USER, "loans").version_count == 2


def test_views_tell_all(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1", "catboost", "linear", exclude=["Bank"])
    aliases.set_alias(session, ANNE, "loans", "challenger", 2)
    model = registry.model_view(session, USER, "loans")
    assert (model.owner, model.version_count, model.aliases) == ("anne", 2, {"challenger": 2, "champion": 1})
    assert model.champion is not None
    assert (model.champion.number, model.champion.metrics[0].value) == (1, 0.9)
    detail = registry.version_view(session, USER, "loans", 1)
    assert (detail.problem, detail.target, detail.dataset, detail.dataset_version) == (
        Problem.BINARY, "MIS_Status", "loans", 3,
    )  # fmt: skip
    assert (detail.classes, detail.positive_class) == (["P I F", "CHGOFF"], "CHGOFF")
    assert (detail.recipe.exclude, detail.hyperparameters) == (["Bank"], {"trees": 100, "rate": 0.1})
    assert detail.feature_schema.names == ["Term"]
    assert (detail.left_out[0].column, detail.runtime, detail.parity) == ("LoanNr", "onnx", PARITY)
    assert (detail.card, detail.evaluation, detail.aliases) == ("# catboost", {"prevalence": 0.2}, ["champion"])
    assert len(detail.bundle_hash) == 64


def test_lists_come_in_pages(session: Session, storage: LocalStorage) -> None:
    for name in ("c", "a", "b"):
        train(session, storage, ANNE, f"t-{name}", model=name)
    train(session, storage, ANNE, "t-a2", "linear", "catboost", model="a")
    first, cursor = registry.list_models(session, USER, limit=2)
    rest, end = registry.list_models(session, USER, limit=2, after=cursor)
    assert ([model.name for model in (*first, *rest)], end) == (["a", "b", "c"], None)
    assert [model.version_count for model in (*first, *rest)] == [3, 1, 1]
    versions, cursor = registry.list_versions(session, USER, "a", limit=2)
    more, end = registry.list_versions(session, USER, "a", limit=2, after=cursor)
    assert ([(version.number, version.aliases) for version in (*versions, *more)], end) == (
        [(3, []), (2, []), (1, ["champion"])], None,
    )  # fmt: skip
    assert registry.list_models(session, USER, after=None)[1] is None


def test_what_belongs_to_someone_else(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1")
    train(session, storage, ANNE, "t2")
    with pytest.raises(Conflict) as refused:
        train(session, storage, BEN, "t3")
    assert refused.value.code == "model_name_taken"
    with pytest.raises(Conflict):
        registry.check_may_train(session, BEN, "loans")
    with pytest.raises(InvalidInput):
        registry.check_may_train(session, BEN, "a/b")
    registry.check_may_train(session, BEN, "other")
    for who in (BEN, USER):
        with pytest.raises(Forbidden):
            registry.delete_version(session, who, "loans", 2)
        with pytest.raises(Forbidden):
            registry.delete_model(session, who, "loans")
        with pytest.raises(Forbidden):
            registry.retrain_request(session, who, "loans", 1, RetrainRequest())
    with pytest.raises(Forbidden):
        train(session, storage, USER, "t4", model="mine")
    assert train(session, storage, ROOT, "t5").best_version == 3


def test_a_version_in_use_is_not_deleted_and_numbers_are_not_given_twice(
    session: Session, storage: LocalStorage
) -> None:
    train(session, storage, ANNE, "t1", "catboost", "linear")
    aliases.set_alias(session, ANNE, "loans", "shadow", 1)
    with pytest.raises(Conflict, match="'champion', 'shadow'") as refused:
        registry.delete_version(session, ANNE, "loans", 1)
    assert refused.value.code == "version_in_use"
    assert registry.delete_version(session, ANNE, "loans", 2) == ["bundles/t1/1/linear"]
    with pytest.raises(NotFound, match="Its versions: 1"):
        registry.version_view(session, USER, "loans", 2)
    assert train(session, storage, ANNE, "t2").best_version == 3


def test_without_versions_the_next_one_is_champion_again(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1")
    aliases.remove_alias(session, ANNE, "loans", "champion")
    registry.delete_version(session, ANNE, "loans", 1)
    result = train(session, storage, ANNE, "t2")
    assert (result.best_version, result.promoted) == (2, True)


def test_deleting_a_model_takes_everything(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1", "catboost", "linear")
    train(session, storage, ANNE, "t2")
    keys = registry.delete_model(session, ANNE, "loans")
    assert keys == ["bundles/t1/1/catboost", "bundles/t1/1/linear", "bundles/t2/1/lightgbm"]
    with pytest.raises(NotFound):
        registry.model_view(session, USER, "loans")
    assert train(session, storage, BEN, "t3").best_version == 1
    assert len(aliases.history(session, USER, "loans")[0]) == 1


def test_references(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1", "catboost", "linear")
    aliases.set_alias(session, ANNE, "loans", "challenger", 2)
    for reference, number, alias in [
        ("loans", 1, "champion"), ("loans@champion", 1, "champion"), ("loans@challenger", 2, "challenger"),
        ("loans@2", 2, None), ("loans@1", 1, None),
    ]:  # fmt: skip
        model, version, used = resolve(session, USER, reference)
        assert (model.name, version.number, used) == ("loans", number, alias)
    with pytest.raises(NotFound, match="Did you mean 'loans'"):
        resolve(session, USER, "loan")
    with pytest.raises(NotFound, match=r"no alias 'best'. Its aliases: challenger, champion. Its versions: 2, 1."):
        resolve(session, USER, "loans@best")
    with pytest.raises(NotFound, match="Its versions: 2, 1"):
        resolve(session, USER, "loans@3")
    with pytest.raises(NotFound):
        find_version(session, USER, "loans", 2**70)


@pytest.mark.parametrize(
    "reference", ["loans@", "loans@0", "loans@01", "loans@-1", "loans@a b", "loans@a@b", "x@1\n", "@é"]
)
def test_references_that_are_none(reference: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_reference(reference)
    assert refused.value.code == "alias_invalid"


def test_retraining_keeps_the_recipe_and_pins_what_was_inferred(session: Session, storage: LocalStorage) -> None:
    train(session, storage, ANNE, "t1", "catboost", "linear", exclude=["Bank"], algorithms=["catboost", "linear"])
    request = registry.retrain_request(session, ANNE, "loans", 1, RetrainRequest(hyperparameters={"trees": 50}))
    assert (request.dataset, request.dataset_version, request.model, request.promote) == ("loans", None, "loans", False)
    assert (request.target, request.exclude, request.seed) == ("MIS_Status", ["Bank"], 7)
    assert (request.algorithms, request.hyperparameters) == (["catboost"], {"catboost": {"trees": 50, "rate": 0.1}})
    assert (request.problem, request.positive_class) == (Problem.BINARY, "CHGOFF")
    changes = RetrainRequest(dataset="newer", dataset_version=2, promote=True)
    request = registry.retrain_request(session, ANNE, "loans", 2, changes)
    assert (request.dataset, request.dataset_version, request.promote) == ("newer", 2, True)
    assert request.hyperparameters == {"linear": {"trees": 100, "rate": 0.1}}


def test_a_bundle_that_changed_is_not_registered(session: Session, storage: LocalStorage) -> None:
    outcome = trained(storage, "t1", "catboost")
    storage.put("bundles/t1/1/catboost/manifest.json", b"{}")
    with pytest.raises(Unavailable) as refused:
        registry.read_bundles(storage, outcome)
    assert refused.value.code == "bundle_damaged"
