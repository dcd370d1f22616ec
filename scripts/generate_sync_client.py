"""Makes rowcast.client.synchronous from rowcast.client.asynchronous; with --check only says whether it is in step.

The sync client is the async one without the waiting: the same statements in the same order. So it is derived by
replacing words, and the result is ordinary code to read, type-check and step through.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "src" / "rowcast" / "client"
HEADER = "# Made from rowcast/client/asynchronous/{name} by scripts/generate_sync_client.py: edit that one.\n"
FIRST_PARTY = 'lint.isort.known-first-party = ["rowcast"]'

RULES = [
    (r"await asyncio\.to_thread\(([\w.]+), ", r"\1("),
    (r"asyncio\.sleep", "time.sleep"),
    (r"import asyncio\n", "import time\n"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r" async for ", " for "),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\ba(close|read|iter_bytes|iter_lines)\b", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\basynchronous\b", "synchronous"),
    (r"  # noqa: ASYNC\d+.*", ""),
    (r"\[(\w+) for \1 in (\w+)\]", r"list(\2)"),
]


def synchronous(source: str, name: str) -> str:
    """The sync form of an async module, formatted."""
    for pattern, replacement in RULES:
        source = re.sub(pattern, replacement, source)
    source = HEADER.format(name=name) + source
    target = ["--quiet", "--stdin-filename", str(CLIENT / "synchronous" / name), "-"]
    ordered = _ruff(["check", "--select", "I,F401", "--fix", "--config", FIRST_PARTY, *target], source)
    return _ruff(["format", *target], ordered)


def generated() -> dict[Path, str]:
    """Every file that is made, with its content."""
    sources = sorted((CLIENT / "asynchronous").glob("*.py"))
    made = {CLIENT / "synchronous" / path.name: synchronous(path.read_text(), path.name) for path in sources}
    made[CLIENT / "synchronous" / "__init__.py"] = (
        '"""The client that waits: made by scripts/generate_sync_client.py from ``rowcast.client.asynchronous``."""\n'
    )
    return made


def out_of_step() -> list[Path]:
    """Files that differ from what would be made, and files that nothing makes."""
    made = generated()
    present = set((CLIENT / "synchronous").glob("*.py"))
    stale = [path for path, content in made.items() if path not in present or path.read_text() != content]
    return stale + sorted(present - made.keys())


def main() -> int:
    if "--check" in sys.argv[1:]:
        stale = out_of_step()
        for path in stale:
            print(f"{path.name} is not in step: run python scripts/generate_sync_client.py")
        return 1 if stale else 0
    (CLIENT / "synchronous").mkdir(exist_ok=True)
    for path, content in generated().items():
        path.write_text(content)
    return 0


def _ruff(arguments: list[str], source: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ruff: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
