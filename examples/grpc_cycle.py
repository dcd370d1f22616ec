"""The whole life of a model over gRPC: health, classes, train, list, get, predict, metrics, retrain, delete.

rowcast up                                   # in another terminal; its log names the port of gRPC
ROWCAST_API_KEY=rc_... python examples/grpc_cycle.py 127.0.0.1:8001
"""

from __future__ import annotations

import csv
import os
import sys
from importlib.resources import as_file, files
from pathlib import Path

from rowcast.client.grpc import GrpcClient
from rowcast.errors import RowcastError

NAME = "grpc_cycle"
TARGET = "MIS_Status"


def cycle(client: GrpcClient, table: Path) -> None:
    """Go through it all with the table, and print what happened."""
    print(f"health: {client.health().status}")
    print("classes:", ", ".join(f"{one.name} ({len(one.hyperparameters)})" for one in client.algorithms().items))

    added = client.add_dataset(table, name=NAME)
    if added.HasField("task"):
        client.wait(added.task)
    task = client.train(dataset=NAME, target=TARGET, preset="fast", algorithms=["lightgbm"], folds=2, promote=True)
    result = client.wait(task, progress=lambda now: print(f"  {now.state} {now.progress.fraction:.0%}")).result
    print(f"train: {result['model']}, version {result['best_version']:.0f}")

    print("list:", ", ".join(f"{model.name} ({model.version_count})" for model in client.models()))
    model = client.model(NAME)
    print(f"get: {model.name} serves version {model.champion.number}, {model.champion.algorithm}")

    row = first_row(table, [feature.name for feature in client.schema(NAME).features])
    answer = client.predict(NAME, row, reasons=3)
    prediction = answer.predictions[0]
    print(f"predict: {prediction.value.text} at {prediction.probability:.3f}, receipt {answer.receipt}")
    for reason in prediction.explanation.reasons:
        print(f"  {reason.sentence}")

    metric = client.metrics(NAME).metrics[0]
    print(f"metrics: {metric.name} {metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})")

    again = client.wait(client.retrain(NAME, model.champion.number, hyperparameters={"learning_rate": 0.05}))
    print(f"retrain: version {again.result['best_version']:.0f}")

    client.delete_model(NAME)
    print("delete: gone, and so", NAME not in [model.name for model in client.models()])


def first_row(table: Path, features: list[str]) -> dict[str, str]:
    """What the model asks of the first row, as it stands in the table: that is how it may be sent."""
    with table.open(newline="") as file:
        row = next(csv.DictReader(file))
    return {name: row[name] for name in features}


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
    key = os.environ.get("ROWCAST_API_KEY")
    if not key:
        sys.exit("Set ROWCAST_API_KEY to an API key of an analyst: rowcast keys make grpc")
    try:
        with GrpcClient(target, key) as client, as_file(files("rowcast.examples") / "sba_loans.csv") as table:
            cycle(client, table)
    except RowcastError as error:
        sys.exit(f"error: {error.message}")


if __name__ == "__main__":
    main()
