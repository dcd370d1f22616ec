"""A further process of a server, as it sees itself: what it was given, and how it takes part."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

from rowcast.adapters.processes.cores import settle
from rowcast.adapters.processes.peer import Peer
from rowcast.adapters.processes.turn import Turn
from rowcast.scoring.together import Prepare


class Given(NamedTuple):
    """What the first process hands over at the start."""

    settings: dict[str, Any]
    place: Path
    listener: socket.socket
    member: Member


def receive() -> Given:
    """Read the first message, on standard input, and settle on the processor that it names."""
    end = socket.socket(fileno=os.dup(0))
    greeting = json.loads(end.recv(1 << 20))
    settle(greeting["core"])
    listener = socket.socket(fileno=greeting["listener"])
    return Given(greeting["settings"], Path(greeting["place"]), listener, Member(Peer(end), Turn(greeting["turn"])))


class Member:
    """One of the processes that switch together. It ends at once when the first process does, however that ends: the
    folder and the port must be free for the next."""

    def __init__(self, peer: Peer, turn: Turn) -> None:
        self.peer = peer
        self._turn = turn

    @property
    def turn(self) -> int:
        return self._turn.value

    def enter(self, prepare: Prepare) -> None:
        self.peer.on("prepare", prepare)

    def swap(self) -> None:
        self.peer.ask("swap")

    def start(self) -> None:
        """Begin to answer the first process. To be called once."""
        threading.Thread(target=self._serve, name="first-process", daemon=True).start()

    def join(self) -> None:
        """Take part from now on; returns when this process is ready to serve what all serve.

        Raises:
            Unavailable: it could not be made ready.
        """
        self.peer.ask("join")

    def _serve(self) -> None:
        self.peer.serve()
        os._exit(1)
