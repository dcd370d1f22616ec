"""Holds the contract of gRPC against the one that programs were written for: nothing that they rely on may go.

A field that is removed, renumbered or of another type, and a method that is removed or of other messages, is a fault;
what is new is taken up into the snapshot with --accept. A field goes for good when its number and name are reserved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "proto" / "rowcast" / "v1"
SNAPSHOT = ROOT / "proto" / "rowcast" / "v1.snapshot"


def promises(file: FileDescriptor) -> Iterator[str]:
    """What a contract promises, one to a line."""
    for message in file.message_types_by_name.values():
        yield from _message(message)
    for service in file.services_by_name.values():
        for method in service.methods:
            sent = "stream " if method.client_streaming else ""
            answered = "stream " if method.server_streaming else ""
            asked, reply = method.input_type.full_name, method.output_type.full_name
            yield f"method {method.full_name} {sent}{asked} -> {answered}{reply}"


def _message(message: Descriptor) -> Iterator[str]:
    yield f"message {message.full_name}"
    for field in message.fields:
        yield f"field {field.full_name} {field.number} {_type(field)}"
    for inner in message.nested_types:
        yield from _message(inner)


def _type(field: FieldDescriptor) -> str:
    name = field.message_type.full_name if field.message_type else f"scalar {field.type}"
    place = f" in {field.containing_oneof.name}" if field.containing_oneof else ""
    return f"{'repeated ' if field.is_repeated else ''}{name}{place}"


def main() -> int:
    modules = [f"rowcast.v1.{path.stem}_pb2" for path in sorted(FOLDER.glob("*.proto"))]
    now = sorted({line for name in modules for line in promises(import_module(name).DESCRIPTOR)})
    before = SNAPSHOT.read_text().splitlines() if SNAPSHOT.exists() else []
    broken, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    for line in broken:
        sys.stderr.write(f"programs rely on this, and it is gone: {line}\n")
    if broken:
        return 1
    if new and "--accept" in sys.argv:
        SNAPSHOT.write_text("\n".join(now) + "\n")
        return 0
    for line in new:
        sys.stderr.write(f"new in the contract: {line}\n")
    if new:
        sys.stderr.write("Take it up for good: scripts/check_protos.py --accept\n")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
