"""Two processes of one server that talk: each asks the other by name, in JSON, one packet a message.

A message is ``{"do": name, "with": [...]}``, with an ``"id"`` when an answer is expected, which is ``{"to": id,
"result": ...}`` or ``{"to": id, "error": ...}``. There is nothing in them but ids, numbers and names.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from rowcast.errors import Internal, RowcastError, Unavailable

ANSWER_SECONDS = 120.0
_SEND_SECONDS = 5
_PACKET_BYTES = 1 << 20
_AT_ONCE = 32
"""Questions of the other that are answered at the same time."""

_FAULT = ("internal_error", "This failed by a fault in Rowcast. Ask the operator to look at the server's log.")

_log = logging.getLogger(__name__)


class Gone(Unavailable):
    """The other process has ended, or does not listen."""

    def __init__(self) -> None:
        super().__init__("process_gone", "Another process of this server has just ended. Try again in a moment.")


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends to talk over: a packet arrives whole or not at all, and the end of a process ends the talk."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Peer:
    """The other process, through this end of the pair. Safe to use from any thread."""

    def __init__(self, end: socket.socket, answers: Mapping[str, Callable[..., Any]] | None = None) -> None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._end = end
        self._answers = dict(answers or {})
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="peer")
        self._lock = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._count = 0
        self._gone = False

    def on(self, name: str, answer: Callable[..., Any]) -> None:
        """Answer questions of that name by calling this."""
        self._answers[name] = answer

    def begin(self, name: str, *arguments: Any) -> Future[Any]:
        """Ask; the future gets the answer, or the error: ``Gone`` when there will be none."""
        future: Future[Any] = Future()
        with self._lock:
            self._count += 1
            number = self._count
            self._asked[number] = future
            gone = self._gone
        try:
            if not gone:
                self._end.send(_packed({"id": number, "do": name, "with": arguments}))
        except OSError:
            gone = True
        if gone and self._asked.pop(number, None) is not None:
            future.set_exception(Gone())
        return future

    def ask(self, name: str, *arguments: Any) -> Any:
        """The other's answer.

        Raises:
            RowcastError: the other's own, or ``Gone``.
        """
        try:
            return self.begin(name, *arguments).result(ANSWER_SECONDS)
        except TimeoutError as error:
            raise Gone from error

    def tell(self, name: str, *arguments: Any) -> None:
        """Say something that needs no answer and may get lost: never waits, never fails."""
        with suppress(OSError):
            self._end.send(_packed({"do": name, "with": arguments}), socket.MSG_DONTWAIT)

    def serve(self) -> None:
        """Answer, until the other is gone or this end is closed."""
        with suppress(OSError):
            while packet := self._end.recv(_PACKET_BYTES):
                try:
                    self._take(json.loads(packet))
                except Exception:  # noqa: BLE001  (what one message does must not end the talk)
                    _log.exception("a fault of ours in what another process said")
        with self._lock:
            self._gone = True
            asked, self._asked = list(self._asked.values()), {}
        for future in asked:
            future.set_exception(Gone())
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the talk; ``serve`` returns, here and there."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "to" in message:
            future = self._asked.pop(message["to"], None)
            if future is not None:
                _resolve(future, message)
        elif "id" in message:
            self._pool.submit(self._answer, message)
        else:
            self._answers[message["do"]](*message["with"])

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            answer = {"to": message["id"], "result": self._answers[message["do"]](*message["with"])}
        except RowcastError as error:
            answer = {"to": message["id"], "error": error.to_dict()}
        except Exception:  # noqa: BLE001  (whoever asked must not wait for ever)
            _log.exception("a fault of ours while another process waits for '%s'", message["do"])
            answer = {"to": message["id"], "error": Internal(*_FAULT).to_dict()}
        with suppress(OSError):
            self._end.send(_packed(answer))


def _packed(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _resolve(future: Future[Any], message: dict[str, Any]) -> None:
    if "error" in message:
        future.set_exception(RowcastError.from_dict(message["error"]))
    else:
        future.set_result(message["result"])
