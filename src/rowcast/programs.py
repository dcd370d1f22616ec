"""The programs: what the commands run, each put together from the parts that wiring makes."""

from __future__ import annotations

import fcntl
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rowcast.dashboards import show, with_dashboard
from rowcast.errors import Conflict, InvalidInput, RowcastError, Unavailable
from rowcast.folders import place_of_its_own
from rowcast.logs import log_to_stderr
from rowcast.patience import Ended, Patience
from rowcast.settings import Settings
from rowcast.wiring import assemble, assemble_api, assemble_further, assemble_worker, upgrade

if TYPE_CHECKING:
    from rowcast.adapters.processes.crew import Crew
    from rowcast.entrypoints.rest.serving import Server
    from rowcast.entrypoints.services import Services

JOIN_SECONDS = 60.0
"""For all processes to answer at the start; after it the server is there with those that do."""

LOOK_SECONDS = 0.5
"""Between two looks at whether a worker was asked to end."""

EXIT_SECONDS = 5.0
"""For further processes to be gone, beyond what they have to answer calls."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """A server that answers. ``api_key`` is the administrator's when it is known in clear; ``stop`` asks it to end."""

    url: str
    api_key: str | None = field(repr=False)
    key_is_new: bool
    stop: Callable[[], None]


class Started(Protocol):
    """Called once, when the server answers; ``new`` is whether the administrator's key was made just now."""

    def __call__(self, url: str, api_key: str | None, *, new: bool) -> None: ...


def up(settings: Settings, *, started: Started) -> int:
    """Run the whole product in this process until it is asked to end. Returns the exit code.

    Raises:
        RowcastError: it cannot start, and why.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    _serve(settings, lambda server: started(server.url, server.api_key, new=server.key_is_new))
    return 0


def demo(settings: Settings, *, started: Started, leave: bool) -> int:
    """The same with something to show: ``started`` talks to the server as anyone would, then with ``leave`` it ends.

    Takes a free port when the usual one is taken and no other was asked for. Returns the exit code.

    Raises:
        RowcastError: it cannot start, or what was to be shown failed.
    """
    failures: list[BaseException] = []

    def show(server: Running) -> None:
        try:
            started(server.url, server.api_key, new=server.key_is_new)
        except BaseException as error:  # noqa: BLE001  (raised again below, by the thread that serves)
            failures.append(error)
        if leave or failures:
            server.stop()

    log_to_stderr("warning")
    _serve(
        settings,
        lambda server: threading.Thread(target=show, args=(server,), name="demo", daemon=True).start(),
        or_free_port="port" not in settings.model_fields_set,
    )
    if failures:
        raise failures[0]
    return 0


def api(settings: Settings, *, started: Started) -> int:
    """Answer calls beside other processes that do, and leave the work to workers. It answers at once, with 503 until
    the database is there. Returns the exit code.

    Raises:
        RowcastError: it cannot start, and why.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    _require_shared(settings, "rowcast api")
    with ExitStack() as stack:
        place = place_of_its_own(settings.data_dir, stack)
        _Replica(settings, place, stack, _Entrance(settings, place, stack), started).serve()
    return 0


def worker(settings: Settings, *, started: Callable[[], None]) -> int:
    """Carry tasks out beside other processes that do. Asked to end, it takes no more, lets what runs go on for
    ``drain_seconds`` and hands back the rest. Returns the exit code.

    Raises:
        RowcastError: it cannot start, and why.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    _require_shared(settings, "rowcast worker")
    ended = _asked_to_end()
    with suppress(Ended), ExitStack() as stack:
        place = place_of_its_own(settings.data_dir, stack)
        running = assemble_worker(settings, stack, place, patiently=Patience("the worker", ended))
        running.start()
        stack.callback(running.stop, settings.drain_seconds)
        started()
        while not ended.wait(LOOK_SECONDS):  # a signal that another thread of the process was given wakes nobody here
            pass
    return 0


def migrate(settings: Settings) -> int:
    """Bring the database up to date, once it is there. Returns the exit code.

    Raises:
        RowcastError: it cannot be done, and why.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    ended = _asked_to_end()
    with suppress(Ended), ExitStack() as stack:
        if settings.alone:
            stack.enter_context(_alone_in(settings.data_dir))
        upgrade(settings, stack, patiently=Patience("the migration", ended))
        return 0
    return 1


def further() -> None:
    """The body of a further process of a server: it serves what the first one prepared, for as long as that lives."""
    from rowcast.adapters.processes.member import receive
    from rowcast.entrypoints.grpc.server import start
    from rowcast.entrypoints.rest.app import create_app
    from rowcast.entrypoints.rest.serving import server

    given = receive()
    settings = Settings(**given.settings)
    log_to_stderr(settings.log_level, settings.log_format)
    try:
        with ExitStack() as stack:
            given.member.start()
            services = assemble_further(settings, stack, given.place, given.member)
            given.member.join()
            if settings.grpc_port:  # else nobody knows where the first one's is
                start(services, stack, beside=0)
            _run(server(create_app(services), settings), [given.listener])
    except RowcastError as error:
        log.error("a further process cannot serve: %s", error.code)
        sys.exit(1)


def _serve(settings: Settings, ready: Callable[[Running], None], *, or_free_port: bool = False) -> None:
    """Serve until asked to end; ``ready`` is called once the server answers."""
    from rowcast.entrypoints.rest.app import create_app
    from rowcast.entrypoints.rest.serving import server

    with ExitStack() as stack:
        stack.enter_context(_alone_in(settings.data_dir))
        settings, pages = with_dashboard(settings, stack)
        entrance = _Entrance(settings, settings.data_dir, stack, or_free_port=or_free_port)
        services, worker, new_key = assemble(settings, stack, keep_key=entrance.save, crew=entrance.crew)
        entrance.save(None)

        def stop() -> None:
            serving.should_exit = True

        def answers() -> None:
            entrance.muster(serving)
            made_here = new_key is not None and not settings.api_key
            ready(Running(entrance.url, entrance.key(new_key), made_here, stop))

        mustering = threading.Thread(target=answers, name="muster", daemon=True)
        serving = server(create_app(services), settings, ready=mustering.start, stopping=entrance.dismiss)
        with entrance.all_cores():
            worker.start()
        stack.callback(worker.stop, settings.drain_seconds)
        stack.callback(entrance.close)
        if pages is not None:
            show(pages, settings, entrance.url, stack)
        _serve_grpc(services, entrance, stack)
        _run(serving, entrance.listeners[:1])


class _Entrance:
    """Where a server is called: its sockets and address, the file with its key, and its further processes."""

    def __init__(self, settings: Settings, place: Path, stack: ExitStack, *, or_free_port: bool = False) -> None:
        from rowcast.entrypoints.rest.serving import address, bind

        self._folder = settings.data_dir
        self._patience = settings.drain_seconds + EXIT_SECONDS
        self.listeners = bind(settings.host, settings.port, processes=settings.processes, or_free=or_free_port)
        for listener in self.listeners:
            stack.enter_context(listener)
        self.port: int = self.listeners[0].getsockname()[1]
        self.url = address(settings.host, self.port)
        self.crew = _crew(settings, place, self.listeners[1:])
        if self.crew is not None:
            self.crew.settle()

    def save(self, key: str | None) -> None:
        """Leave the address, and a new key, where the other commands look for them."""
        from rowcast.client import credentials

        credentials.save(self._folder, self.url, key)

    def key(self, new_key: str | None) -> str | None:
        """The administrator's key, as far as it is known in clear."""
        from rowcast.client import credentials

        return new_key or credentials.load(self._folder).api_key

    def all_cores(self) -> AbstractContextManager[None]:
        """Have what is started meanwhile run on all processors, wherever the server settled."""
        return nullcontext() if self.crew is None else self.crew.cores.all()

    def muster(self, serving: Server) -> None:
        """Return when all processes answer, or it has taken them too long."""
        if self.crew is None:
            return
        self.crew.start(serving.stand_in)
        if not self.crew.wait(JOIN_SECONDS):
            log.warning("not all processes of this server answer yet")

    def dismiss(self) -> None:
        """Ask the further processes to end."""
        if self.crew is not None:
            self.crew.dismiss()

    def close(self) -> None:
        """Return when the further processes have ended."""
        if self.crew is not None:
            self.crew.stop(self._patience)


class _Replica:
    """A server that answers while what it stands on may not be there yet."""

    def __init__(
        self, settings: Settings, place: Path, stack: ExitStack, entrance: _Entrance, started: Started
    ) -> None:
        from rowcast.entrypoints.rest.opening import Opening
        from rowcast.entrypoints.rest.serving import server

        self._settings, self._place, self._stack = settings, place, stack
        self._entrance, self._started = entrance, started
        self._opening = Opening()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._beginning = threading.Thread(target=self._begin, name="begin", daemon=True)
        self._serving = server(self._opening, settings, ready=self._beginning.start, stopping=self._stop)

    def serve(self) -> None:
        """Serve until asked to end."""
        _run(self._serving, self._entrance.listeners[:1])
        self._beginning.join()
        self._entrance.close()
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        from rowcast.entrypoints.rest.app import create_app

        entrance, patiently = self._entrance, Patience("the server", self._ended, self._opening.wait_for)
        try:
            services, new_key = assemble_api(
                self._settings,
                self._stack,
                self._place,
                keep_key=entrance.save,
                crew=entrance.crew,
                patiently=patiently,
            )
            entrance.save(None)
            self._opening.app = create_app(services)
            _serve_grpc(services, entrance, self._stack)
            entrance.muster(self._serving)
            made_here = new_key is not None and not self._settings.api_key
            self._started(entrance.url, entrance.key(new_key), new=made_here)
        except Ended:
            return
        except BaseException as error:  # noqa: BLE001  (raised again by the thread that serves)
            self._failure = error
            self._serving.should_exit = True

    def _stop(self) -> None:
        self._ended.set()
        self._entrance.dismiss()


def _serve_grpc(services: Services, entrance: _Entrance, stack: ExitStack) -> None:
    from rowcast.entrypoints.grpc.server import start

    log.info("gRPC is at %s", start(services, stack, beside=entrance.port if services.settings.port else 0))


def _require_shared(settings: Settings, command: str) -> None:
    """Several processes need what all of them can reach.

    Raises:
        InvalidInput: the settings name something that is this process's alone.
    """
    needed = ["ROWCAST_DATABASE_URL (postgresql://...)"] if settings.alone else []
    if settings.broker_url.startswith("local:"):
        needed.append("ROWCAST_BROKER_URL (amqp://...)")
    if needed:
        raise InvalidInput(
            "services_not_shared",
            f"{command} works beside other processes, on services that they share: set {' and '.join(needed)}. To run "
            "everything in one process, without any service: rowcast up.",
        )


def _crew(settings: Settings, place: Path, listeners: list[socket.socket]) -> Crew | None:
    """The further processes, one for each of those sockets, not started yet."""
    from rowcast.adapters.processes.crew import Crew

    if not listeners:
        return None
    command = (sys.executable, "-c", "from rowcast.programs import further; further()")
    # They need no key, and what is not handed over cannot leak.
    return Crew(listeners, place, command=command, settings=settings.model_dump(mode="json", exclude={"api_key"}))


def _asked_to_end() -> threading.Event:
    """What is set when the process is asked to end."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _run(serving: Server, listeners: list[socket.socket]) -> None:
    """Serve until asked to end."""
    # uvicorn raises the signal that ended it once more when it is done; what is left to close must still be closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    serving.run(sockets=listeners)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the data folder, so that two servers never work on the same files. The lock dies with the process."""
    try:
        # Everybody's tables will be in it: a new one is for this account alone.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        message = f"Cannot use the data folder {folder}: {error.strerror}. Choose another: --data-dir FOLDER."
        raise Unavailable("data_dir_unusable", message) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"Another Rowcast works in {folder}. Stop it, or choose another folder: --data-dir FOLDER."
            raise Conflict("data_dir_in_use", message) from error
        yield
