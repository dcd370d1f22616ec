"""Goes through REST and gRPC of a running Rowcast: is it there, does it train, predict and answer for what it did?

ROWCAST_API_KEY=... python scripts/smoke.py https://rowcast.example.org [--grpc HOST:PORT] [--authority ca.pem]

Uploads the built-in example under a name of its own, and deletes all of it again. Leaves with 1 at the first thing that
is wrong.
"""

from __future__ import annotations

import argparse
import csv
import os
import ssl
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from rowcast.client import Client
from rowcast.client.grpc import GrpcClient
from rowcast.errors import RowcastError

EXAMPLE = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
TARGET = "MIS_Status"
CLOSE = 1e-6
"""How far apart probabilities may be that came through different doors."""


def main() -> int:
    given = _arguments()
    key, address = os.environ["ROWCAST_API_KEY"], urlsplit(given.url)
    if given.authority:
        os.environ["SSL_CERT_FILE"] = str(given.authority)
    began, name = time.monotonic(), f"smoke-{uuid4().hex[:8]}"
    try:
        with Client(given.url, key) as rest, _grpc(given, address, key) as grpc:
            try:
                _cycle(rest, grpc, name)
            finally:
                _clean(rest, name)
    except (RowcastError, AssertionError) as error:
        print(f"smoke: failed: {error}", file=sys.stderr)
        return 1
    print(f"smoke: all is well, after {time.monotonic() - began:.1f} s")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="address of the server")
    parser.add_argument("--grpc", help="host:port of gRPC, when it is not where HTTP is")
    parser.add_argument(
        "--authority", type=Path, help="PEM of who signed the certificate, if it is no public authority"
    )
    return parser.parse_args()


def _grpc(given: argparse.Namespace, address: Any, key: str) -> GrpcClient:
    """Encrypted exactly where HTTP is."""
    port = address.port or (443 if address.scheme == "https" else 80)
    target = given.grpc or f"{address.hostname}:{port}"
    if address.scheme == "http":
        return GrpcClient(target, key)
    authority = given.authority or Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    return GrpcClient(target, key, authority=authority.read_bytes())


def _cycle(rest: Client, grpc: GrpcClient, name: str) -> None:
    print(f"REST: {rest.health()['status']}; gRPC: {grpc.health().status}")
    rest.datasets.add(EXAMPLE, name=name)
    result = rest.train_and_wait(dataset=name, target=TARGET, preset="fast", algorithms=["lightgbm"], promote=True)
    print(f"trained version {result.best_version}")
    with EXAMPLE.open(newline="") as file:
        row = next(csv.DictReader(file))
    features = [feature.name for feature in grpc.schema(name).features]
    asked = {feature: row[feature] for feature in features}
    one, other = rest.predict(name, asked).predictions[0], grpc.predict(name, asked).predictions[0]
    print(f"REST says {one.value} at {one.probability:.6f}, gRPC at {other.probability:.6f}")
    assert one.probability is not None and abs(one.probability - other.probability) < CLOSE
    later = rest.tasks.wait(rest.tasks.submit_predictions(name, asked))
    print(f"the queue: {later.state}")
    assert later.state == "succeeded"


def _clean(rest: Client, name: str) -> None:
    for delete in (rest.models.delete, rest.datasets.delete):
        try:
            delete(name)
        except RowcastError as error:
            if error.kind != "not_found":
                raise


if __name__ == "__main__":
    sys.exit(main())
