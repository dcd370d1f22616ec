# Made from rowcast/client/asynchronous/models.py by scripts/generate_sync_client.py: edit that one.
"""Models: their versions, and the aliases that say which one serves."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from pathlib import Path

from rowcast.accounts.views import Sharing, Visibility
from rowcast.client.answers import parse, request_of
from rowcast.client.synchronous.connection import Connection, at
from rowcast.client.synchronous.datasets import fetch
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import NotFound
from rowcast.models.views import AliasEvent, Model, ModelVersion, ModelVersionDetail

CHAMPION = "champion"


class Models:
    """``client.models``"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, limit: int | None = None) -> list[Model]:
        """The models, or the first ``limit`` of them."""
        return self._connection.all(Model, at("models"), limit)

    def get(self, name: str) -> Model:
        return self._connection.get(Model, at("models", name))

    def delete(self, name: str) -> None:
        """Remove a model with all its versions and aliases."""
        self._connection.request("DELETE", at("models", name))

    def versions(self, name: str, limit: int | None = None) -> builtins.list[ModelVersion]:
        return self._connection.all(ModelVersion, at("models", name, "versions"), limit)

    def version(self, model: str, number: int | None = None) -> ModelVersionDetail:
        """One version in full: by number, or by a reference as ``number_of`` reads it."""
        name = model.partition("@")[0]
        chosen = self.number_of(model) if number is None else number
        return self._connection.get(ModelVersionDetail, at("models", name, "versions", chosen))

    def delete_version(self, name: str, number: int) -> None:
        """Remove one version; Conflict while an alias points at it."""
        self._connection.request("DELETE", at("models", name, "versions", number))

    def number_of(self, model: str) -> int:
        """The version that ``name@3``, ``name@alias`` or a bare name means: the champion, else the newest."""
        name, _, reference = model.partition("@")
        if reference.isdecimal():
            return int(reference)
        aliases = self.aliases(name)
        if (reference or CHAMPION) in aliases:
            return aliases[reference or CHAMPION]
        if reference:
            raise NotFound("alias_not_found", f"Model {name} has no alias '{reference}'.")
        numbers = [version.number for version in self.versions(name)]
        if not numbers:
            raise NotFound("version_not_found", f"Model {name} has no versions.")
        return max(numbers)

    def schema(self, model: str) -> FeatureSchema:
        """What a prediction needs: the features of ``name``, ``name@alias`` or ``name@number``."""
        return self._connection.get(FeatureSchema, at("models", model, "schema"))

    def promote(self, name: str, version: int, alias: str = CHAMPION) -> AliasEvent:
        """Let the alias point at the version: from now on it serves."""
        body = {"version": version, "alias": alias}
        return parse(AliasEvent, self._connection.request("POST", at("models", name, "promote"), json=body))

    def rollback(self, name: str, alias: str = CHAMPION) -> AliasEvent:
        """Let the alias point again at what it pointed at before."""
        response = self._connection.request("POST", at("models", name, "rollback"), json={"alias": alias})
        return parse(AliasEvent, response)

    def aliases(self, name: str) -> dict[str, int]:
        return self._connection.get(dict[str, int], at("models", name, "aliases"))

    def set_alias(self, name: str, alias: str, version: int) -> AliasEvent:
        path = at("models", name, "aliases", alias)
        return parse(AliasEvent, self._connection.request("PUT", path, json={"version": version}))

    def remove_alias(self, name: str, alias: str) -> None:
        self._connection.request("DELETE", at("models", name, "aliases", alias))

    def history(self, name: str, limit: int | None = None) -> builtins.list[AliasEvent]:
        """Every move of the aliases, newest first: what served when."""
        return self._connection.all(AliasEvent, at("models", name, "history"), limit)

    def sharing(self, name: str) -> Sharing:
        """Whom the model is shared with: for its owner."""
        return self._connection.get(Sharing, at("models", name, "sharing"))

    def share(self, name: str, visibility: Visibility | str, users: Iterable[str] = ()) -> Sharing:
        """Let nobody else ("private"), everyone ("everyone") or these users ("named") see it and predict with it."""
        body = request_of(Sharing, None, {"visibility": visibility, "users": [*users]})
        return parse(Sharing, self._connection.request("PUT", at("models", name, "sharing"), json=body))

    def export(self, model: str, path: str | Path, *, number: int | None = None) -> Path:
        """Write a version's bundle as a zip file: the model as ONNX, its card, and a script that runs it alone."""
        name = model.partition("@")[0]
        chosen = self.number_of(model) if number is None else number
        return fetch(self._connection, at("models", name, "versions", chosen, "export"), Path(path))
