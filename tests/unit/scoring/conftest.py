"""A database, a storage, and small real models to register: bundles with ONNX made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.adapters.database.engine import SqlDatabase, open_database
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models import registry
from rowcast.models.bundle import contents as bundle
from rowcast.models.bundle.contents import DatasetReference, Golden, Manifest, Parity
from rowcast.models.bundle.runtime import OnnxRuntime
from rowcast.models.recipe import Problem, Recipe, TrainingRequest
from rowcast.tables import Base

ANNE = Principal("a" * 32, "anne", Role.ANALYST)
SCHEMA = FeatureSchema(
    features=(
        Feature(name="State", kind=Kind.CATEGORY, categories=("CA", "NY")),
        Feature(name="Amount", kind=Kind.NUMBER),
        Feature(name="Urban", kind=Kind.FLAG),
    )
)
CLASSES = {Problem.BINARY: ["P I F", "CHGOFF"], Problem.MULTICLASS: ["red", "green", "blue"], Problem.REGRESSION: []}
GOLDEN_ROWS: list[dict[str, Any]] = [
    {"State": "CA", "Amount": 1.5, "Urban": True},
    {"State": "unseen", "Amount": None, "Urban": None},
    {"State": None, "Amount": -2, "Urban": False},
]


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    opened = open_database(database_url)
    Base.metadata.create_all(opened.engine)
    with opened.transaction() as session:
        session.add(UserRow(id=ANNE.id, name=ANNE.name, role=ANNE.role))
    yield opened
    opened.dispose()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "storage")


@pytest.fixture
def principal() -> Principal:
    return ANNE


@pytest.fixture
def train(database: SqlDatabase, storage: LocalStorage, tmp_path: Path) -> Callable[..., int]:
    """Registers a new version of a model and gives its number; ``shift`` tells the answers of versions apart."""
    trained = 0

    def train(
        model: str = "loans", *, shift: float = 0.0, problem: Problem = Problem.BINARY, promote: bool = False
    ) -> int:
        nonlocal trained
        trained += 1
        key = f"bundles/{trained:032}/1/linear"
        bundle_hash = store(storage, key, tmp_path / f"bundle-{trained}", shift, problem)
        candidate = {
            "algorithm": "linear", "hyperparameters": {}, "metrics": [], "seconds": 0.1, "evaluation": {},
            "bundle_key": key, "bundle_hash": bundle_hash,
        }  # fmt: skip
        outcome = {
            "problem": problem.value, "primary_metric": "x", "row_count": 3, "left_out": [], "warnings": [],
            "candidates": [candidate],
        }  # fmt: skip
        request = TrainingRequest(target="y", dataset="loans", model=model, promote=promote)
        with database.transaction() as session:
            result = registry.register(
                session, ANNE, task_id=f"{trained:032}", request=request, dataset_version_id="v" * 32, outcome=outcome,
                bundles=registry.read_bundles(storage, outcome),
            )  # fmt: skip
        return result.best_version

    return train


def store(storage: LocalStorage, key: str, folder: Path, shift: float, problem: Problem) -> str:
    """Put a bundle into the storage; its hash."""
    folder.mkdir()
    model = onnx_model(shift, problem)
    (folder / bundle.ONNX).write_bytes(model)
    (folder / bundle.SCHEMA).write_text(SCHEMA.model_dump_json())
    outputs = OnnxRuntime(model).run(RowReader(SCHEMA).read(GOLDEN_ROWS).inputs)
    (folder / bundle.GOLDEN).write_text(Golden(rows=GOLDEN_ROWS, outputs=outputs.tolist()).model_dump_json())
    (folder / bundle.CARD).write_text("# A model made by hand")
    manifest = Manifest(
        algorithm="linear", problem=problem, target="y", classes=CLASSES[problem], positive_class=None, runtime="onnx",
        dataset=DatasetReference(name="loans", version=1, content_hash="e" * 64), row_count=3, hyperparameters={},
        recipe=Recipe(target="y"), metrics=[], left_out=[], libraries={}, created_at="2026-01-01T00:00:00+00:00",
        parity=Parity(max_difference=0.0, rows=3, passed=True),
    )  # fmt: skip
    bundle_hash = bundle.seal(folder, manifest)
    for path in sorted(folder.iterdir()):
        storage.put_file(f"{key}/{path.name}", path)
    return bundle_hash


def onnx_model(shift: float, problem: Problem) -> bytes:
    """A score of the three features plus ``shift``: as sigmoid, softmax with two fixed scores, or itself."""
    inputs = [
        helper.make_tensor_value_info("State", TensorProto.STRING, [None, 1]),
        helper.make_tensor_value_info("Amount", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("Urban", TensorProto.FLOAT, [None, 1]),
    ]
    nodes = [
        helper.make_node(
            "LabelEncoder", ["State"], ["state"], domain="ai.onnx.ml",
            keys_strings=["CA", "NY"], values_floats=[0.5, -0.5], default_float=0.1,
        ),
        helper.make_node("IsNaN", ["Amount"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "Amount"], ["amount"]),
        helper.make_node("IsNaN", ["Urban"], ["unsaid"]),
        helper.make_node("Where", ["unsaid", "zero", "Urban"], ["urban"]),
        helper.make_node("Sum", ["state", "amount", "urban", "shift"], ["score"]),
    ]  # fmt: skip
    match problem:
        case Problem.BINARY:
            nodes += [
                helper.make_node("Sigmoid", ["score"], ["positive"]),
                helper.make_node("Sub", ["one", "positive"], ["negative"]),
                helper.make_node("Concat", ["negative", "positive"], ["probabilities"], axis=1),
            ]
        case Problem.MULTICLASS:
            nodes += [
                helper.make_node("Mul", ["score", "zero"], ["nothing"]),
                helper.make_node("Add", ["nothing", "one"], ["unity"]),
                helper.make_node("Concat", ["nothing", "unity", "score"], ["scores"], axis=1),
                helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            ]
        case Problem.REGRESSION:
            nodes.append(helper.make_node("Mul", ["score", "ten"], ["prediction"]))
    output = "prediction" if problem is Problem.REGRESSION else "probabilities"
    constants = {"zero": 0.0, "one": 1.0, "ten": 10.0, "shift": shift}
    graph = helper.make_graph(
        nodes, "by hand", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, None])],
        [helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return made
