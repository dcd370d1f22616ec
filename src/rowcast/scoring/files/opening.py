"""A version of a model and the policy in force, opened to answer files."""

from __future__ import annotations

from typing import Any

from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.models.bundle.contents import load as load_bundle
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.policy import Policy
from rowcast.scoring.deciding import decider_of
from rowcast.scoring.files.bulk import BulkModel
from rowcast.scoring.files.scorer import Scorer
from rowcast.scoring.loaded import open_model
from rowcast.scoring.version_key import VersionKey


def open_scorer(storage: Storage, model: dict[str, Any], policy: dict[str, Any] | None) -> Scorer:
    """From ``VersionKey`` and ``NumberedPolicy`` as a job is given them.

    Raises:
        Unavailable: the model does not answer as it did when it was trained.
    """
    key = VersionKey(**model)
    loaded = open_model(storage, key)
    with storage.local_folder(key.bundle_key) as folder:
        bulk = BulkModel.open(load_bundle(folder, key.bundle_hash))
    if policy is None:
        return Scorer(loaded, bulk)
    content, columns = Policy.model_validate(policy["content"]), FeatureSchema.model_validate(policy["columns"])
    numbered = NumberedPolicy(policy["number"], content, columns)
    return Scorer(loaded, bulk, numbered, decider_of(loaded, numbered))
