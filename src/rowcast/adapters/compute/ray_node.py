"""Jobs on a node of a Ray cluster: child processes there, whose words are kept until they are asked for. Ray finds
this by its name, so the same Rowcast has to be installed on all nodes."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from queue import Empty, SimpleQueue
from typing import Any

import ray

from rowcast import __version__
from rowcast.adapters.compute.local import LocalCompute
from rowcast.errors import Internal, RowcastError, Unavailable

_LISTEN_SECONDS = 0.2


class Attendant:
    """Runs jobs as ``LocalCompute`` does, one at a time; to be made on a node, as an actor of Ray."""

    def __init__(self) -> None:
        # A job that is shared out connects to the cluster itself.
        os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
        self._said: SimpleQueue[str] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, request: str) -> None:
        """Start a job, the one before being over. ``request`` is the JSON of an object with ``version``, ``command``
        (what follows the name of this interpreter), ``compute`` (what else ``LocalCompute`` takes), ``job``,
        ``arguments`` and ``timeout``."""
        self.stop()
        self._said, self._stopping = SimpleQueue(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=[json.loads(request)], name="job")
        self._thread.start()

    def words(self) -> list[str]:
        """What the job has said since the last call, at once when there is something: the JSON of ``{"log"}`` and
        ``{"progress"}``, and at last of ``{"result"}`` or ``{"error"}``."""
        try:
            said = [self._said.get(timeout=_LISTEN_SECONDS)]
        except Empty:
            return []
        while not self._said.empty():
            said.append(self._said.get())
        return said

    def stop(self) -> None:
        """End the job, and return when nothing of it runs any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self, asked: dict[str, Any]) -> None:
        logger, told = logging.getLogger("rowcast"), _Told(self._said)
        logger.addHandler(told)
        try:
            self._said.put(_said(result=self._result(asked)))
        except RowcastError as error:
            self._said.put(_said(error=error.to_dict()))
        except Exception:
            logger.exception("the job could not be run on its node")
            self._said.put(_said(error=Internal("internal_error", "The job could not be run on its node.").to_dict()))
        finally:
            logger.removeHandler(told)

    def _result(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["version"] != __version__:
            message = f"A node has Rowcast {__version__}, not {asked['version']}. Install the same on all nodes."
            raise Unavailable("cluster_differs", message)
        compute = LocalCompute(command=(sys.executable, *asked["command"]), **asked["compute"])
        return compute.run(
            asked["job"],
            asked["arguments"],
            report=lambda progress: self._said.put(_said(progress=progress.model_dump(mode="json", exclude_none=True))),
            cancelled=self._stopping.is_set,
            timeout=asked["timeout"],
        )


class _Told(logging.Handler):
    """Passes on what is logged here, for the log of whoever asked for the job."""

    def __init__(self, said: SimpleQueue[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.put(_said(log=self.format(record)))


def _said(**message: Any) -> str:
    return json.dumps(message, allow_nan=False)
