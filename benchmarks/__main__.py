"""``make bench``: every benchmark, its figures into results/, the ratios in the last line."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import files, inference, keys, nodes, pages, predict, table, tasks
from benchmarks.machine import describe

BENCHMARKS = {
    "table": table.run,
    "predict": predict.run,
    "inference": inference.run,
    "keys": keys.run,
    "files": files.run,
    "tasks": tasks.run,
    "pages": pages.run,
    "nodes": nodes.run,
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the benchmarks that are named, or all."""
    ratios = []
    for name in sys.argv[1:] or BENCHMARKS:
        lines, ratio = BENCHMARKS[name]()
        ratios.append(ratio)
        report = "\n".join([f"# {name}", "", describe(), "", *lines, "", ratio, ""])
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(report)
        print(report)
    print(" ".join(ratios))


if __name__ == "__main__":
    main()
