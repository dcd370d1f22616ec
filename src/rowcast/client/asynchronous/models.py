"""Models: their versions, and the aliases that say which one serves."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from pathlib import Path

from rowcast.accounts.views import Sharing, Visibility
from rowcast.client.answers import parse, request_of
from rowcast.client.asynchronous.connection import AsyncConnection, at
from rowcast.client.asynchronous.datasets import fetch
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import NotFound
from rowcast.models.views import AliasEvent, Model, ModelVersion, ModelVersionDetail

CHAMPION = "champion"


class AsyncModels:
    """``client.models``"""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self, limit: int | None = None) -> list[Model]:
        """The models, or the first ``limit`` of them."""
        return await self._connection.all(Model, at("models"), limit)

    async def get(self, name: str) -> Model:
        return await self._connection.get(Model, at("models", name))

    async def delete(self, name: str) -> None:
        """Remove a model with all its versions and aliases."""
        await self._connection.request("DELETE", at("models", name))

    async def versions(self, name: str, limit: int | None = None) -> builtins.list[ModelVersion]:
        return await self._connection.all(ModelVersion, at("models", name, "versions"), limit)

    async def version(self, model: str, number: int | None = None) -> ModelVersionDetail:
        """One version in full: by number, or by a reference as ``number_of`` reads it."""
        name = model.partition("@")[0]
        chosen = await self.number_of(model) if number is None else number
        return await self._connection.get(ModelVersionDetail, at("models", name, "versions", chosen))

    async def delete_version(self, name: str, number: int) -> None:
        """Remove one version; Conflict while an alias points at it."""
        await self._connection.request("DELETE", at("models", name, "versions", number))

    async def number_of(self, model: str) -> int:
        """The version that ``name@3``, ``name@alias`` or a bare name means: the champion, else the newest."""
        name, _, reference = model.partition("@")
        if reference.isdecimal():
            return int(reference)
        aliases = await self.aliases(name)
        if (reference or CHAMPION) in aliases:
            return aliases[reference or CHAMPION]
        if reference:
            raise NotFound("alias_not_found", f"Model {name} has no alias '{reference}'.")
        numbers = [version.number for version in await self.versions(name)]
        if not numbers:
            raise NotFound("version_not_found", f"Model {name} has no versions.")
        return max(numbers)

    async def schema(self, model: str) -> FeatureSchema:
        """What a prediction needs: the features of ``name``, ``name@alias`` or ``name@number``."""
        return await self._connection.get(FeatureSchema, at("models", model, "schema"))

    async def promote(self, name: str, version: int, alias: str = CHAMPION) -> AliasEvent:
        """Let the alias point at the version: from now on it serves."""
        body = {"version": version, "alias": alias}
        return parse(AliasEvent, await self._connection.request("POST", at("models", name, "promote"), json=body))

    async def rollback(self, name: str, alias: str = CHAMPION) -> AliasEvent:
        """Let the alias point again at what it pointed at before."""
        response = await self._connection.request("POST", at("models", name, "rollback"), json={"alias": alias})
        return parse(AliasEvent, response)

    async def aliases(self, name: str) -> dict[str, int]:
        return await self._connection.get(dict[str, int], at("models", name, "aliases"))

    async def set_alias(self, name: str, alias: str, version: int) -> AliasEvent:
        path = at("models", name, "aliases", alias)
        return parse(AliasEvent, await self._connection.request("PUT", path, json={"version": version}))

    async def remove_alias(self, name: str, alias: str) -> None:
        await self._connection.request("DELETE", at("models", name, "aliases", alias))

    async def history(self, name: str, limit: int | None = None) -> builtins.list[AliasEvent]:
        """Every move of the aliases, newest first: what served when."""
        return await self._connection.all(AliasEvent, at("models", name, "history"), limit)

    async def sharing(self, name: str) -> Sharing:
        """Whom the model is shared with: for its owner."""
        return await self._connection.get(Sharing, at("models", name, "sharing"))

    async def share(self, name: str, visibility: Visibility | str, users: Iterable[str] = ()) -> Sharing:
        """Let nobody else ("private"), everyone ("everyone") or these users ("named") see it and predict with it."""
        body = request_of(Sharing, None, {"visibility": visibility, "users": [*users]})
        return parse(Sharing, await self._connection.request("PUT", at("models", name, "sharing"), json=body))

    async def export(self, model: str, path: str | Path, *, number: int | None = None) -> Path:
        """Write a version's bundle as a zip file: the model as ONNX, its card, and a script that runs it alone."""
        name = model.partition("@")[0]
        chosen = await self.number_of(model) if number is None else number
        return await fetch(self._connection, at("models", name, "versions", chosen, "export"), Path(path))
