"""A child process that is given one request and answers in JSON lines."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from subprocess import Popen
from types import TracebackType
from typing import IO, Any

_CHUNK = 1 << 16
_OUTPUT_KEPT = 1 << 16
"""Bytes of the end of the child's standard error that are kept for the log."""

_GRACE_SECONDS = 5.0
"""For a child to exit by itself once it has said its last word."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its exit code, negative for a signal, and the end of what it wrote to standard error."""

    code: int
    output: str

    @property
    def reason(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    @property
    def looks_like_memory(self) -> bool:
        """The kernel kills a process that takes too much memory with SIGKILL."""
        return self.code == -signal.SIGKILL


class Child:
    """Reads and writes all three pipes without ever blocking on one. Leaving the block kills whatever still runs of
    the child's process group.

    The child's standard input stays open as long as this process lives: its end tells the child that it is alone.
    """

    def __init__(self, process: Popen[bytes], request: dict[str, Any]) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._unsent = memoryview(json.dumps(request).encode() + b"\n")
        self._line = bytearray()
        self._output = bytearray()
        self._selector = selectors.DefaultSelector()
        self._register(process.stdin, selectors.EVENT_WRITE)
        self._register(process.stdout, selectors.EVENT_READ)
        self._register(process.stderr, selectors.EVENT_READ)
        self.over = False
        """The child has ended, or will say nothing more."""

    def messages(self, timeout: float) -> list[dict[str, Any]]:
        """What the child has said since the last call; waits up to ``timeout`` seconds for it to say something."""
        said: list[dict[str, Any]] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._process.stdin:
                self._send()
            elif key.fileobj is self._process.stderr:
                self._listen()
            else:
                said += self._read()
        if not said and self._exited():
            # What was in the pipe when it ended; only then is there certainly no more.
            said = self._read_all()
            self.over = True
        return said

    def end(self) -> Ending:
        """Wait a while for the child to exit, then make it; how it ended."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while not self._exited() and time.monotonic() < deadline:
            if not self._listen():
                time.sleep(0.01)
        self._kill()
        while self._listen():
            pass
        return Ending(self._process.wait(), self._output.decode(errors="replace"))

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _register(self, pipe: IO[bytes], events: int) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, events)

    def _send(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            self._unsent = self._unsent[os.write(stdin.fileno(), self._unsent[:_CHUNK]) :]
        except BrokenPipeError:  # it died; how is told when it is over
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._selector.unregister(stdin)

    def _listen(self) -> bool:
        """Take in some of the child's standard error; False when there is none at the moment."""
        chunk = self._take(self._process.stderr)
        self._output += chunk
        del self._output[:-_OUTPUT_KEPT]
        return bool(chunk)

    def _read(self) -> list[dict[str, Any]]:
        chunk = self._take(self._process.stdout)
        self._line += chunk
        if b"\n" not in chunk:
            return []
        *lines, self._line = self._line.split(b"\n")
        return [message for message in map(_parse, lines) if message is not None]

    def _read_all(self) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []
        while self._process.stdout in self._selector.get_map():
            before = len(self._line)
            more = self._read()
            if not more and len(self._line) == before:
                break
            said += more
        return said

    def _take(self, pipe: IO[bytes] | None) -> bytes:
        """Some bytes of a pipe; none when it is empty for now, or at its end, when it is watched no longer."""
        if pipe is None or pipe not in self._selector.get_map():
            return b""
        try:
            chunk = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return b""
        if not chunk:
            self._selector.unregister(pipe)
        return chunk

    def _exited(self) -> bool:
        """Whether the child has ended. It is not reaped yet: until then its number cannot be given to another process,
        and the group can be killed without hitting a stranger."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _parse(line: bytes | bytearray) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if isinstance(message, dict):
        return message
    _log.warning("a job wrote a line of %d bytes that is no message", len(line))
    return None
