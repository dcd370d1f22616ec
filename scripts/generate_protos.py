"""Makes Python modules of the contracts in proto/, beside the package's own; with --check only says whether they are in
step."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
PROTO, SRC = ROOT / "proto", ROOT / "src"


def generated(folder: Path) -> dict[Path, bytes]:
    """The modules and their type stubs, by their path under src."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where the generator of stubs is
    sources = [str(path.relative_to(PROTO)) for path in sorted(PROTO.rglob("*.proto"))]
    known = files("grpc_tools") / "_proto"
    options = [f"--proto_path={PROTO}", f"--proto_path={known}", f"--python_out={folder}", f"--mypy_out=quiet:{folder}"]
    if protoc.main(["protoc", *options, *sources]) != 0:
        raise SystemExit("the contracts in proto/ do not compile")
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.py*"))}


def main() -> int:
    with TemporaryDirectory() as name:
        made = generated(Path(name))
    stale = [path for path, content in made.items() if _content(SRC / path) != content]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"src/{path} is not what proto/ says: make generate\n")
        return 1 if stale else 0
    for path in stale:
        (SRC / path).write_bytes(made[path])
    return 0


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
