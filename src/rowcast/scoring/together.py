"""Several processes that serve the same models, and switch to others at the same instant.

A caller who was answered by a new version, by whichever process, is never answered by the old one again. So each
process first prepares what the database says now, and goes on with what it had; when all have, one number in memory
that they share is raised, and from the next look-up on each of them serves what it prepared for that number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import NamedTuple, Protocol

from rowcast.accounts.principal import Principal
from rowcast.datasets.ports import Storage
from rowcast.errors import Unavailable
from rowcast.licences.standing import Standing
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.directory import Directory, mark_of, read_directory
from rowcast.scoring.loaded import Served
from rowcast.tables import Database

HeldBack = Mapping[str, Mapping[str, int]]
"""By model: aliases that may not move yet, each with the version that it still serves."""

_BEHIND = ("server_stopping", "This process fell behind the others and is being replaced. Try again in a moment.")


class Prepared(NamedTuple):
    """What a process is ready to serve: all do the same when these are equal."""

    mark: str
    held_back: HeldBack


Prepare = Callable[[int, HeldBack], Prepared]
"""Make ready what the database says now, under that number, with these aliases where they were."""


class Swaps(Protocol):
    """How the processes agree on what to serve."""

    @property
    def turn(self) -> int:
        """The number of what all serve now. Read on the hot path."""
        ...

    def enter(self, prepare: Prepare) -> None:
        """Take part, with this way to prepare."""
        ...

    def swap(self) -> None:
        """Have all prepare, then switch. Returns when all serve what the database said after this was called.

        Raises:
            Unavailable: they could not, and serve what they did.
        """
        ...


class SharedCatalog(Catalog):
    """The catalog of one of several processes."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        swaps: Swaps,
        *,
        max_loaded: int = 64,
        threads: int = 1,
        standing: Standing | None = None,
    ) -> None:
        super().__init__(database, storage, max_loaded=max_loaded, threads=threads, standing=standing)
        self._swaps = swaps
        self._turn = 0
        self._next = (0, Directory(None, {}))
        self._switching = Lock()
        swaps.enter(self.prepare)

    def find(self, principal: Principal, reference: str) -> Served | None:
        if self._swaps.turn != self._turn and not self._switched():
            raise Unavailable(*_BEHIND)
        return super().find(principal, reference)

    def refresh(self) -> None:
        self._switched()
        self._heed_licence()
        with self._database.reading() as session:
            if mark_of(session) == self._state.directory.mark:
                return
        self._swaps.swap()
        self._switched()

    def prepare(self, turn: int, held_back: HeldBack) -> Prepared:
        """Read the directory and load what its aliases moved to, to be served from ``turn`` on. An alias stays where
        it was when its version does not open here, or when ``held_back`` says so because it does not elsewhere.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._refreshing:
            self._switched()  # nobody may have asked for anything since the last turn
            with self._database.reading() as session:
                read = read_directory(session)
            ready = self._prepared(_with(read, held_back))
            if turn > self._next[0]:
                self._next = (turn, ready)
        return Prepared(repr(read.mark), _difference(read, ready))

    def preload(self) -> None:
        """Load the champions before this process begins to take part.

        Raises:
            Unavailable: the database does not answer.
        """
        with self._database.reading() as session:
            directory = read_directory(session)
        self._load_champions(directory)

    def _switched(self) -> bool:
        """Serve what was prepared for the present turn. False when nothing was: this process was not ready in time, and
        may not answer by what is out of date."""
        with self._switching:
            turn = self._swaps.turn
            if turn != self._turn and turn == self._next[0]:
                self._publish(self._next[1])
                self._turn = turn
            return turn == self._turn


def _with(directory: Directory, held_back: HeldBack) -> Directory:
    """The directory with aliases where they were; as it is not what the database has, it is to be read again."""
    if not held_back:
        return directory
    models = dict(directory.models)
    for name in held_back.keys() & models.keys():
        kept = {alias: number for alias, number in held_back[name].items() if number in models[name].versions}
        models[name] = replace(models[name], aliases={**models[name].aliases, **kept})
    return replace(directory, mark=None, models=models)


def _difference(read: Directory, ready: Directory) -> HeldBack:
    """The aliases that do not move although the database says so."""
    return {
        name: {alias: number for alias, number in entry.aliases.items() if read.models[name].aliases[alias] != number}
        for name, entry in ready.models.items()
        if entry.aliases != read.models[name].aliases
    }
