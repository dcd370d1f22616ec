"""The further processes of a server: started, listened to, replaced when they die, ended with this one."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from rowcast.adapters.processes.cores import Cores, settle
from rowcast.adapters.processes.peer import Peer, pair
from rowcast.adapters.processes.swaps import LedSwaps
from rowcast.adapters.processes.turn import Turn

_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the next start, by how many processes in this place have died young."""

_YOUNG_SECONDS = 60.0
_NEWS_AT_ONCE = 500
_EXIT_SECONDS = 5.0
"""For a process to exit when it has nothing more to say."""

StandIn = Callable[[socket.socket], Callable[[], None]]
"""Accept the connections of that socket in this process, until what is returned is called."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Companion:
    """A further process, and the way to talk to it."""

    process: subprocess.Popen[bytes]
    peer: Peer

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        self.process.kill()


class Crew:
    """One further process for each of ``listeners``. They stay open here, so that no connection is lost that waits in
    the socket of a process that dies; until another is there to take it, ``stand_in`` does.

    ``command`` starts a process that has its end of the talk for standard input. Its first message holds ``settings``,
    the folder ``place``, the processor ``core`` or null, and the numbers of the descriptors that it was given:
    ``listener`` and ``turn``.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], place: Path, *, command: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        self._command = tuple(command)
        self._given = {"settings": dict(settings), "place": str(place)}
        self._turn = Turn.new()
        self._answers: dict[str, Callable[..., Any]] = {}
        self._stopping = threading.Event()
        self._started: dict[int, Companion] = {}
        self._serving: dict[int, Companion] = {}
        self._news: SimpleQueue[str] = SimpleQueue()
        self.cores = Cores(len(listeners) + 1)
        self._places = [_Place(listener, self.cores.of(number)) for number, listener in enumerate(listeners, 1)]
        self.swaps = LedSwaps(self._turn, lambda: list(self._serving.values()))
        """How all of them, and this process, come to serve other models."""
        self.on("swap", self.swaps.swap)

    def on(self, name: str, answer: Callable[..., Any]) -> None:
        """Answer the processes' questions of that name by calling this. To be said before the start."""
        self._answers[name] = answer

    def settle(self) -> None:
        """Keep this thread, and what it starts from now on, to the processor of the first process."""
        settle(self.cores.of(0))

    def start(self, stand_in: StandIn) -> None:
        """Start the processes, and others whenever one ends. To be called once."""
        threading.Thread(target=self._spread, name="news", daemon=True).start()
        for number, place in enumerate(self._places, 2):
            name = f"process-{number}"
            place.thread = threading.Thread(target=self._keep, args=(place, stand_in), name=name, daemon=True)
            place.thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether all of them serve, after ``seconds`` at the latest."""
        deadline = time.monotonic() + seconds
        return all(place.serves.wait(max(0.0, deadline - time.monotonic())) for place in self._places)

    def tell(self, task_id: str) -> None:
        """Let all of them know that a task has changed: soon, and without waiting for any."""
        self._news.put(task_id)

    def dismiss(self) -> None:
        """Ask all of them to finish what they have begun, and to end."""
        self._stopping.set()
        for companion in list(self._started.values()):
            companion.process.terminate()

    def stop(self, seconds: float) -> None:
        """Dismiss them, and end those that still run after ``seconds``. Returns when none is left."""
        self.dismiss()
        deadline = time.monotonic() + seconds
        for place in self._places:
            if place.thread is not None:
                place.thread.join(max(0.0, deadline - time.monotonic()))
        for companion in list(self._started.values()):
            companion.kill()
        for place in self._places:
            if place.thread is not None:
                place.thread.join()
            place.listener.close()

    def _spread(self) -> None:
        """Tell the news, all that there is in one message."""
        while True:
            news = [self._news.get()]
            with suppress(Empty):
                while len(news) < _NEWS_AT_ONCE:
                    news.append(self._news.get_nowait())
            for companion in list(self._serving.values()):
                companion.peer.tell("changed", news)

    def _keep(self, place: _Place, stand_in: StandIn) -> None:
        """Have a process in this place until all are dismissed."""
        young = 0
        while not self._stopping.wait(_PAUSES[min(young, len(_PAUSES) - 1)]):
            began = time.monotonic()
            reason = self._one_life(place)
            if self._stopping.is_set():
                return
            young = young + 1 if time.monotonic() - began < _YOUNG_SECONDS else 0
            _log.error("a process of this server ended (%s); another takes its place", reason)
            try:
                place.vacate(stand_in)
            except Exception:  # noqa: BLE001  (without this thread the place would stay empty)
                _log.exception("a fault of ours in standing in for it")

    def _one_life(self, place: _Place) -> str:
        """Start a process, answer it until it ends, and tell how that was."""
        try:
            companion = self._start(place)
        except OSError as error:
            return f"it could not be started: {os.strerror(error.errno or 0)}"
        self._started[companion.pid] = companion
        companion.peer.on("join", lambda: self._join(companion, place))
        if self._stopping.is_set():
            companion.process.terminate()
        companion.peer.serve()
        self._serving.pop(companion.pid, None)
        code = _ended(companion)
        self._started.pop(companion.pid)
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _start(self, place: _Place) -> Companion:
        ours, theirs = pair()
        with theirs:
            given = (place.listener.fileno(), self._turn.descriptor)
            process = subprocess.Popen(  # noqa: S603  (our own module, with no argument from outside)
                self._command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                pass_fds=given,
                # Not this process's group: Ctrl-C is for the first process alone, which dismisses the others. Nor is
                # a file that happens to lie in the working folder to be imported in place of a library.
                process_group=0,
                env=os.environ | {"PYTHONSAFEPATH": "1"},
            )
        greeting = self._given | {"listener": given[0], "turn": given[1], "core": place.core}
        ours.send(json.dumps(greeting).encode())
        return Companion(process, Peer(ours, self._answers))

    def _join(self, companion: Companion, place: _Place) -> None:
        """Let it take part: once this returns, it serves what all serve."""
        self._serving[companion.pid] = companion
        self.swaps.swap()
        place.occupy()


class _Place:
    """Where one further process serves: its socket and processor, and who answers there."""

    def __init__(self, listener: socket.socket, core: int | None) -> None:
        self.listener = listener
        self.core = core
        self.serves = threading.Event()
        self.thread: threading.Thread | None = None
        self._leave: Callable[[], None] | None = None

    def vacate(self, stand_in: StandIn) -> None:
        self.serves.clear()
        if self._leave is None:
            self._leave = stand_in(self.listener)

    def occupy(self) -> None:
        self.serves.set()
        if self._leave is not None:
            self._leave()
            self._leave = None


def _ended(companion: Companion) -> int:
    """The exit code of a process that has hung up."""
    try:
        return companion.process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        companion.kill()
        return companion.process.wait()
    finally:
        companion.peer.close()
