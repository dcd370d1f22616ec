"""Progress on stderr: a bar on a screen, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from rowcast.datasets.ports import Progress
from rowcast.entrypoints.cli.session import clean

LINE_SECONDS = 5.0

OnProgress = Callable[[Progress], None]


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[OnProgress]:
    """What to call with each Progress while the block runs."""
    if not console.is_terminal:
        yield _Lines(console, title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[detail]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(title, total=1.0, detail="")
        yield lambda progress: bars.update(task, completed=progress.fraction, detail=detail(progress))


def detail(progress: Progress) -> str:
    """What is going on, in a few words; nothing when it is over. After an upload more is to come."""
    if progress.fraction >= 1:
        return "uploaded" if progress.stage == "upload" else ""
    parts = [progress.algorithm or "", _fold(progress), "" if progress.algorithm else clean(progress.message)]
    parts.append(remaining(progress.eta_seconds))
    return " · ".join(part for part in parts if part)


def remaining(seconds: float | None) -> str:
    """``about 40 s left``, or nothing when it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"


def _fold(progress: Progress) -> str:
    return f"fold {progress.fold} of {progress.folds}" if progress.fold and progress.folds else ""


class _Lines:
    """A line when the stage or algorithm changes, else one every few seconds."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last = (-LINE_SECONDS, "", "")

    def __call__(self, progress: Progress) -> None:
        now, stage = time.monotonic(), f"{progress.stage}/{progress.algorithm}" if progress.fraction < 1 else "over"
        said, known, line = self._last
        if known == stage and now - said < LINE_SECONDS:
            return
        text = f"{self._title}: {progress.fraction * 100:.0f} %, {detail(progress)}".rstrip(", ")
        if text != line:
            self._console.print(text, soft_wrap=True)
        self._last = (now, stage, text)
