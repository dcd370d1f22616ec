# Made from rowcast/client/asynchronous/policies.py by scripts/generate_sync_client.py: edit that one.
"""Policies: what a model's owner makes of its predictions."""

from __future__ import annotations

import builtins
from typing import Any

from rowcast.client.answers import parse, request_of
from rowcast.client.synchronous.connection import Connection, at
from rowcast.models.decide.policy import Policy, PolicyChange
from rowcast.models.views import PolicyPreview, PolicyVersion


class Policies:
    """``client.policies``"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, model: str, number: int | None = None) -> PolicyVersion:
        """The policy in force, or the one of that number."""
        path = at("models", model, "policy") if number is None else at("models", model, "policies", number)
        return self._connection.get(PolicyVersion, path)

    def set(
        self, model: str, policy: Policy | None = None, /, *, comment: str | None = None, **fields: Any
    ) -> PolicyVersion:
        """Put a policy in force: a Policy, or its fields such as ``bands={"yellow": 0.1, "red": 0.3}``.

        Raises:
            InvalidInput: it is no policy, or does not fit the model; the problems name the fields.
        """
        content = request_of(Policy, policy, fields)
        body = request_of(PolicyChange, None, {**content, "comment": comment})
        return parse(PolicyVersion, self._connection.request("PUT", at("models", model, "policy"), json=body))

    def history(self, model: str, limit: int | None = None) -> builtins.list[PolicyVersion]:
        """Every policy of the model, newest first."""
        return self._connection.all(PolicyVersion, at("models", model, "policies"), limit)

    def preview(
        self, model: str, policy: Policy | None = None, /, *, version: int | None = None, **fields: Any
    ) -> PolicyPreview:
        """What a policy, by default the one in force, would have done with the rows held out of a training."""
        body = request_of(Policy, policy, fields) if policy is not None or fields else None
        path = at("models", model, "policy", "preview")
        response = self._connection.request("POST", path, json=body, params={"version": version}, repeatable=True)
        return parse(PolicyPreview, response)
