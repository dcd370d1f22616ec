"""The models in memory: which one a reference means now, loaded when first asked for, swapped while calls go on.

On the hot path there is one look-up in a dictionary: no database, no lock. ``refresh`` follows the database. A version
is loaded and checked before an alias that is in use moves to it, so no call fails or waits because of a promotion.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import Lock
from time import monotonic

from rowcast.accounts.principal import Principal
from rowcast.datasets.ports import Storage
from rowcast.errors import Forbidden, NotFound, Unavailable
from rowcast.licences.standing import Standing
from rowcast.scoring.deciding import decider_of
from rowcast.scoring.directory import Directory, Entry, mark_of, read_directory
from rowcast.scoring.loaded import LoadedModel, Served, open_model
from rowcast.scoring.version_key import VersionKey
from rowcast.tables import Database

RETRY_SECONDS = 30.0
"""How long a version that did not open is refused without another try."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """One state of the directory, and the references that were resolved by it. It is replaced as a whole, so whoever
    still resolves by an old one cannot spoil the new."""

    directory: Directory
    routes: dict[str, Served] = field(default_factory=dict)


class Catalog:
    """Models by reference. At most ``max_loaded`` stay in memory: the least recently used go first, champions last."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        *,
        max_loaded: int = 64,
        threads: int = 1,
        standing: Standing | None = None,
    ) -> None:
        self._standing = standing or Standing()
        self._stood = self._standing.state
        self._database = database
        self._storage = storage
        self._max_loaded = max_loaded
        self._threads = threads
        self._state = _State(Directory(None, {}))
        self._loaded: dict[str, LoadedModel] = {}
        self._failed: dict[str, tuple[float, Unavailable]] = {}
        self._opening: dict[str, Lock] = {}
        self._changing = Lock()
        self._refreshing = Lock()

    def find(self, principal: Principal, reference: str) -> Served | None:
        """What the reference stands for, if that is known and in memory and the caller may see it: never blocks."""
        served = self._state.routes.get(reference)
        if served is None or not served.access.admits(principal):
            return None
        served.model.used = monotonic()
        return served

    def get(self, principal: Principal, reference: str) -> Served:
        """What ``name``, ``name@alias`` or ``name@number`` stands for; loads it when it is not in memory yet.

        Raises:
            InvalidInput: what follows '@' is neither an alias nor a version number.
            NotFound: there is no such model that the caller may see, or no such alias or version of it; the message
                says what there is.
            Forbidden: the licence has ended, or is for other models.
            Unavailable: ``model_damaged``, or the storage or the database does not answer.
        """
        served = self.find(principal, reference)
        if served is not None:
            return served
        state = self._state
        try:
            return self._resolved(state, principal, reference)
        except (NotFound, Unavailable):
            self.refresh()
            if self._state is state:
                raise
        return self._resolved(self._state, principal, reference)

    def version(self, name: str, number: int) -> LoadedModel:
        """One version of a model, whoever asks: for those who were answered by it once.

        Raises:
            NotFound: there is none by now.
            Unavailable: as ``get``.
        """
        self.refresh()
        entry = self._state.directory.models.get(name)
        version = entry.versions.get(number) if entry is not None else None
        if version is None:
            raise NotFound("model_version_not_found", f"There is no version {number} of model '{name}' any more.")
        loaded = self._load(version)
        loaded.used = monotonic()
        self._trim(loaded)
        return loaded

    def refresh(self) -> None:
        """Follow the database: after every commit that moves an alias or removes a model, and every second or so.

        Raises:
            Unavailable: the database does not answer; what was known stays in use.
        """
        with self._refreshing:
            self._heed_licence()
            with self._database.reading() as session:
                if mark_of(session) == self._state.directory.mark:
                    return
                directory = read_directory(session)
            self._publish(self._prepared(directory))

    def _heed_licence(self) -> None:
        """Resolve every reference anew once the licence allows other things than it did."""
        state = self._standing.state
        if state is not self._stood:
            self._stood = state
            with self._changing:
                self._state = _State(self._state.directory)

    def warm(self) -> None:
        """Load champions, as many as are kept, so that their first callers need not wait."""
        self.refresh()
        self._load_champions(self._state.directory)

    @property
    def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        return list(self._loaded.values())

    def listed(self, principal: Principal) -> list[tuple[VersionKey, bool]]:
        """All versions that the caller may see, by name and number, and whether each is in memory."""
        models = self._state.directory.models
        return [
            (version, version.id in self._loaded)
            for _, entry in sorted(models.items())
            if entry.access.admits(principal)
            for _, version in sorted(entry.versions.items())
        ]

    def let_go(self, principal: Principal, name: str) -> None:
        """Let the memory of a model go until it is asked for again.

        Raises:
            NotFound: there is no such model that the caller may see.
            Forbidden: it is someone else's.
        """
        entry = self._state.directory.models.get(name)
        if entry is None or not entry.access.admits(principal):
            raise NotFound("model_not_found", "There is no model of this name. List the models to see their names.")
        if not principal.owns(entry.access.owner_id):
            raise Forbidden("not_owner", f"Model '{name}' belongs to someone else. Ask them or an administrator.")
        with self._changing:
            self._loaded = {id_: model for id_, model in self._loaded.items() if model.name != name}
            self._state = _State(self._state.directory)  # no route may lead to what went

    def _load_champions(self, directory: Directory) -> None:
        for version in islice(directory.champions(), self._max_loaded):
            self._try_load(version)

    def _resolved(self, state: _State, principal: Principal, reference: str) -> Served:
        version, alias = state.directory.resolve(principal, reference)
        self._standing.require_model(version.model)
        model, entry = self._load(version), state.directory.models[version.model]
        decider = None if entry.policy is None else decider_of(model, entry.policy)
        served = Served(model, alias, decider, entry.access, entry.columns_read, entry.price)
        self._trim(served.model)
        state.routes[reference] = served
        return served

    def _load(self, version: VersionKey) -> LoadedModel:
        """The version's model; concurrent callers load it once."""
        loaded = self._loaded.get(version.id)
        if loaded is not None:
            return loaded
        with self._opening.setdefault(version.id, Lock()):
            loaded = self._loaded.get(version.id)
            if loaded is None:
                loaded = self._open(version)
                with self._changing:
                    self._loaded = {**self._loaded, version.id: loaded}
        return loaded

    def _open(self, version: VersionKey) -> LoadedModel:
        until, error = self._failed.get(version.id, (0.0, None))
        if error is not None and monotonic() < until:
            raise Unavailable(error.code, error.message)
        try:
            loaded = open_model(self._storage, version, self._threads)
        except Unavailable as failure:
            if failure.code == "model_damaged":
                self._failed[version.id] = (monotonic() + RETRY_SECONDS, failure)
            raise
        self._failed.pop(version.id, None)
        return loaded

    def _try_load(self, version: VersionKey) -> bool:
        try:
            self._load(version)
        except Unavailable as error:
            if error.code != "model_damaged":  # that has been logged once, when it was found
                log.warning("model %s version %d is not loaded: %s", version.model, version.number, error.code)
            return False
        return True

    def _trim(self, wanted: LoadedModel | None = None) -> None:
        """Where too many models are in memory, let the least useful go, but not the one that is wanted now."""
        if len(self._loaded) <= self._max_loaded:
            return
        with self._changing:
            champions = {version.id for version in self._state.directory.champions()}
            others = [model for model in self._loaded.values() if model is not wanted]
            others.sort(key=lambda model: (model.key.id in champions, model.used))
            going = {model.key.id for model in others[: len(self._loaded) - self._max_loaded]}
            self._loaded = {id_: model for id_, model in self._loaded.items() if id_ not in going}
            self._state = _State(self._state.directory)  # no route may lead to those that went

    def _publish(self, directory: Directory) -> None:
        """Let references be resolved by the new directory from now on, and forget what it no longer has."""
        existing = directory.version_ids()
        with self._changing:
            self._loaded = {id_: model for id_, model in self._loaded.items() if id_ in existing}
            self._state = _State(directory)
        self._trim()
        for gone in self._failed.keys() - existing:
            self._failed.pop(gone, None)
        for gone in self._opening.keys() - existing:
            self._opening.pop(gone, None)

    def _prepared(self, directory: Directory) -> Directory:
        """The new directory once what its aliases moved to is loaded; one stays where its version does not open."""
        entries = {name: self._prepared_entry(name, entry) for name, entry in directory.models.items()}
        held_back = any(entries[name] is not entry for name, entry in directory.models.items())
        return Directory(None if held_back else directory.mark, entries)

    def _prepared_entry(self, name: str, entry: Entry) -> Entry:
        known = self._state.directory.models.get(name)
        if known is None or known.id != entry.id:
            return entry
        held_back = self._held_back(known, entry)
        return replace(entry, aliases={**entry.aliases, **held_back}) if held_back else entry

    def _held_back(self, known: Entry, entry: Entry) -> Mapping[str, int]:
        """Aliases in use that cannot move yet, each with the version that it still serves."""
        held_back = {}
        for alias in entry.aliases:
            before, after = known.at(alias), entry.at(alias)
            if before is None or after is None or before == after or before.id not in self._loaded:
                continue
            if not self._try_load(after) and before.number in entry.versions:
                held_back[alias] = before.number
        return held_back
