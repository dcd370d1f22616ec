"""A process that is started when somebody calls: its socket listens from the beginning, and what comes in waits."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

_PAUSE_SECONDS = 1.0
"""Before another is started in the place of one that ended."""

_EXIT_SECONDS = 5.0
"""For the process to end when it is asked to."""

_log = logging.getLogger(__name__)


class OnCall:
    """Starts ``command`` at the first call of the listener, and again at the next one after it ended.

    The command is handed what ``given`` holds, and the descriptor of the socket as ``listener``, in JSON on its
    standard input, which stays open for as long as this process lives: at its end it has to end too.
    """

    def __init__(self, listener: socket.socket, command: Sequence[str], given: Mapping[str, Any]) -> None:
        self._listener = listener
        self._command = command
        self._greeting = json.dumps({**given, "listener": listener.fileno()}).encode() + b"\n"
        self._stopping = threading.Event()
        self._stop_asked, self._ask_to_stop = os.pipe()
        self._thread = threading.Thread(target=self._keep, name="on-call", daemon=True)

    def start(self) -> None:
        """Begin to listen for calls. To be called once."""
        self._thread.start()

    def stop(self) -> None:
        """End the process, and start no other. Returns when it has ended."""
        self._stopping.set()
        os.write(self._ask_to_stop, b"x")
        self._thread.join()
        os.close(self._stop_asked)
        os.close(self._ask_to_stop)

    def _keep(self) -> None:
        while self._happens(self._listener.fileno()):
            try:
                code = self._one_life()
            except OSError as error:
                _log.error("a process could not be started: %s", os.strerror(error.errno or 0))
            else:
                if not self._stopping.is_set():
                    _log.error("a process on call ended with exit code %d; the next call starts another", code)
            if self._stopping.wait(_PAUSE_SECONDS):
                return

    def _one_life(self) -> int:
        """Start a process, and give its exit code."""
        process = subprocess.Popen(  # noqa: S603  (our own module, with no argument from outside)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(self._listener.fileno(),),
            # As for further processes of a server: Ctrl-C is for this one, and no file of the working folder is code.
            process_group=0,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
        )
        ended = os.pidfd_open(process.pid)
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as given:
                given.write(self._greeting)
                given.flush()
                if not self._happens(ended):
                    process.terminate()
                    return process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        finally:
            os.close(ended)
        return process.wait()

    def _happens(self, descriptor: int) -> bool:
        """Wait for something there; False when this is to stop first."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._stop_asked, select.POLLIN)
        poll.poll()
        return not self._stopping.is_set()
