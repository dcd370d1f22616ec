"""The registry: trained models, their numbered versions, and what is known of each.

Who may see a model may look at all of it. Analysts register and delete; what belongs to someone else is changed only by
an administrator.
The caller commits, then deletes from storage what a function returned to be deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import Visibility
from rowcast.datasets.names import check_name
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import Conflict, Unavailable
from rowcast.models import aliases
from rowcast.models.mirroring import Pages
from rowcast.models.recipe import Recipe, RetrainRequest, TrainingRequest
from rowcast.models.references import CHAMPION, aliases_of, check_may_change, find_model, find_version, seen_by
from rowcast.models.tables import AliasEventRow, AliasRow, ModelGrantRow, ModelRow, ModelVersionRow, PolicyRow
from rowcast.models.views import Candidate, Model, ModelVersion, ModelVersionDetail, TrainingResult
from rowcast.paging import page


@dataclass(frozen=True, slots=True)
class TrainedBundle:
    """What a new bundle says of itself: its manifest, the schema of its features, and the model card."""

    manifest: dict[str, Any]
    schema: dict[str, Any]
    card: str


def read_bundles(storage: Storage, outcome: dict[str, Any]) -> list[TrainedBundle]:
    """The bundles of a training's candidates, in their order; to be read before the transaction that registers them.

    Raises:
        Unavailable: the storage does not answer, or a bundle is not the one that the training wrote.
    """
    return [_read_bundle(storage, candidate) for candidate in outcome["candidates"]]


def check_may_train(session: Session, principal: Principal, name: str) -> None:
    """Pass when the caller may add versions to a model of that name: to be asked before a training starts.

    Raises:
        InvalidInput: no model can be called so.
        Forbidden: the caller's role may not train.
        Conflict: the name belongs to someone else.
    """
    principal.require(Role.ANALYST)
    model = session.scalar(select(ModelRow).where(ModelRow.name == check_name(name, "model")))
    if model is not None:
        _check_may_join(principal, model)


def register(
    session: Session,
    principal: Principal,
    *,
    task_id: str,
    request: TrainingRequest,
    dataset_version_id: str,
    outcome: dict[str, Any],
    bundles: Sequence[TrainedBundle],
) -> TrainingResult:
    """Add what a training made as versions of its model, the best first; a second call for the same task adds nothing.

    'champion' moves to the best one when the request says so, or when the model has no other versions.

    Raises:
        Forbidden: the caller's role may not train.
        Conflict: the model's name belongs to someone else.
    """
    principal.require(Role.ANALYST)
    model = _model_for_update(session, principal, check_name(request.model or request.dataset, "model"))
    versions = _versions_of_task(session, task_id)
    if not versions:
        alone = not _version_counts(session, [model.id])
        for candidate, bundle in zip(outcome["candidates"], bundles, strict=True):
            versions.append(_add_version(session, principal, model, request, task_id, candidate, bundle))
            versions[-1].dataset_version_id = dataset_version_id
        session.flush()
        numbers = [version.number for version in versions]
        record(session, "model.trained", model.name, principal=principal, versions=numbers, task=task_id)
        if request.promote or alone:
            aliases.move(session, principal, model, CHAMPION, versions[0].number, "promote")
    return _result(session, model, versions, outcome)


def list_models(
    session: Session, principal: Principal, *, limit: int = 50, after: str | None = None
) -> tuple[list[Model], str | None]:
    """Models that the caller may see, by name, each with its champion, and the cursor of the next page."""
    query = select(ModelRow, UserRow.name).join(UserRow, UserRow.id == ModelRow.owner_id).where(seen_by(principal))
    rows, following = page(session, query, [ModelRow.name], limit=limit, after=after)
    return _model_views(session, [(model, owner) for model, owner in rows]), following


def model_view(session: Session, principal: Principal, name: str) -> Model:
    """The model of that name with its aliases and its champion.

    Raises:
        NotFound: there is none.
    """
    model = find_model(session, principal, name)
    return _model_views(session, [(model, _user_name(session, model.owner_id))])[0]


def list_versions(
    session: Session, principal: Principal, name: str, *, limit: int = 50, after: str | None = None
) -> tuple[list[ModelVersion], str | None]:
    """Versions of a model, newest first, and the cursor of the next page.

    Raises:
        NotFound: there is no such model.
    """
    model = find_model(session, principal, name)
    query = (
        select(ModelVersionRow, UserRow.name)
        .join(UserRow, UserRow.id == ModelVersionRow.created_by)
        .where(ModelVersionRow.model_id == model.id)
    )
    rows, following = page(session, query, [ModelVersionRow.number], limit=limit, after=after, descending=True)
    pointing = aliases_of(session, model)
    return [_version_view(model, version, creator, pointing) for version, creator in rows], following


def version_view(
    session: Session, principal: Principal, name: str, number: int, tracked: Pages | None = None
) -> ModelVersionDetail:
    """A version with all that is needed to use it, judge it and train it again, and where it is ``tracked``.

    Raises:
        NotFound: there is no such model or version.
    """
    model, version = find_version(session, principal, name, number, details=True)
    brief = _version_view(model, version, _user_name(session, version.created_by), aliases_of(session, model))
    manifest = version.manifest
    return ModelVersionDetail(
        **brief.model_dump(),
        classes=manifest["classes"],
        positive_class=manifest["positive_class"],
        feature_schema=FeatureSchema.model_validate(version.schema),
        recipe=Recipe.model_validate(version.recipe),
        hyperparameters=manifest["hyperparameters"],
        left_out=manifest["left_out"],
        runtime=manifest["runtime"],
        parity=manifest["parity"],
        evaluation=version.evaluation,
        bundle_hash=version.bundle_hash,
        card=version.card,
        tracking=tracked.run_of(session, version.id) if tracked else None,
    )


def delete_version(session: Session, principal: Principal, name: str, number: int) -> list[str]:
    """Remove a version; its number is not given again. Returns the keys of its bundle, to be deleted after the commit.

    Raises:
        NotFound: there is no such model or version.
        Conflict: an alias points at it.
        Forbidden: the caller may not change the model.
    """
    check_may_change(principal, find_model(session, principal, name, for_update=True))
    model, version = find_version(session, principal, name, number)
    pointing = [alias for alias, pointed in aliases_of(session, model).items() if pointed == number]
    if pointing:
        named = ", ".join(f"'{alias}'" for alias in pointing)
        raise Conflict(
            "version_in_use", f"{named} of model '{name}' points at this version. Move or remove that first."
        )
    session.delete(version)
    record(session, "model.version_deleted", name, principal=principal, version=number)
    session.flush()
    return [version.bundle_key]


def delete_model(session: Session, principal: Principal, name: str) -> list[str]:
    """Remove a model with its versions, aliases and history; returns the keys of its bundles, to be deleted after.

    Raises:
        NotFound: there is no such model.
        Forbidden: the caller may not change it.
    """
    model = find_model(session, principal, name, for_update=True)
    check_may_change(principal, model)
    keys = session.scalars(select(ModelVersionRow.bundle_key).where(ModelVersionRow.model_id == model.id)).all()
    for table in (AliasEventRow, AliasRow, PolicyRow, ModelVersionRow, ModelGrantRow):
        session.execute(delete(table).where(table.model_id == model.id))
    session.delete(model)
    record(session, "model.deleted", name, principal=principal)
    session.flush()
    return sorted(keys)


def retrain_request(
    session: Session, principal: Principal, name: str, number: int, changes: RetrainRequest
) -> TrainingRequest:
    """The training that makes a version again: its recipe and algorithm, on newer data or with other hyperparameters.

    What the recipe left to be inferred stays as it was inferred then, so that the answers keep their meaning.

    Raises:
        NotFound: there is no such model or version.
        Forbidden: the caller may not change the model.
        Conflict: the version was imported.
    """
    model, version = find_version(session, principal, name, number, details=True)
    check_may_change(principal, model)
    if version.manifest.get("origin"):
        message = "This version was imported and its table is not known here. Start a training on a table of your own."
        raise Conflict("version_imported", message)
    recipe = Recipe.model_validate(version.recipe)
    return TrainingRequest.model_validate(
        {
            **recipe.model_dump(),
            "problem": version.problem,
            "positive_class": version.manifest["positive_class"],
            **changes.learning(recipe, version.algorithm, version.manifest["hyperparameters"]),
            "dataset": changes.dataset or version.dataset,
            "dataset_version": changes.dataset_version,
            "model": name,
            "promote": changes.promote,
        }
    )


def _read_bundle(storage: Storage, candidate: dict[str, Any]) -> TrainedBundle:
    key = candidate["bundle_key"]
    manifest = storage.read(f"{key}/manifest.json")
    if hashlib.sha256(manifest).hexdigest() != candidate["bundle_hash"]:
        raise Unavailable("bundle_damaged", "A trained model changed in the storage before it was registered.")
    schema = storage.read(f"{key}/schema.json")
    card = storage.read(f"{key}/README.md").decode()
    return TrainedBundle(json.loads(manifest), json.loads(schema), card)


def _check_may_join(principal: Principal, model: ModelRow) -> None:
    if not principal.owns(model.owner_id):
        raise Conflict("model_name_taken", "This name is taken. Choose another.")


def _model_for_update(session: Session, principal: Principal, name: str) -> ModelRow:
    """The model of that name, created when there is none, locked so that version numbers are given in turn."""
    query = select(ModelRow).where(ModelRow.name == name).with_for_update()
    model = session.scalar(query)
    if model is None:
        try:
            with session.begin_nested():
                session.add(ModelRow(name=name, owner_id=principal.id))
        except IntegrityError:  # someone else created it between the look and the insert
            pass
        model = session.scalars(query).one()
    _check_may_join(principal, model)
    return model


def _versions_of_task(session: Session, task_id: str) -> list[ModelVersionRow]:
    query = select(ModelVersionRow).where(ModelVersionRow.training_task_id == task_id)
    return list(session.scalars(query.order_by(ModelVersionRow.number)))


def _add_version(
    session: Session,
    principal: Principal,
    model: ModelRow,
    request: TrainingRequest,
    task_id: str,
    candidate: dict[str, Any],
    bundle: TrainedBundle,
) -> ModelVersionRow:
    model.last_number += 1
    version = ModelVersionRow(
        model_id=model.id,
        number=model.last_number,
        algorithm=candidate["algorithm"],
        problem=bundle.manifest["problem"],
        training_task_id=task_id,
        target=bundle.manifest["target"],
        dataset=bundle.manifest["dataset"]["name"],
        dataset_number=bundle.manifest["dataset"]["version"],
        metrics=candidate["metrics"],
        recipe=request.recipe().model_dump(mode="json"),
        manifest=bundle.manifest,
        schema=bundle.schema,
        evaluation=candidate["evaluation"],
        card=bundle.card,
        bundle_key=candidate["bundle_key"],
        bundle_hash=candidate["bundle_hash"],
        created_by=principal.id,
    )
    session.add(version)
    return version


def _result(
    session: Session, model: ModelRow, versions: Sequence[ModelVersionRow], outcome: dict[str, Any]
) -> TrainingResult:
    numbers = {version.algorithm: version.number for version in versions}
    best = outcome["candidates"][0]["algorithm"]
    candidates = [
        Candidate.model_validate({**candidate, "version": numbers.get(candidate["algorithm"])})
        for candidate in outcome["candidates"]
    ]
    return TrainingResult(
        model=model.name,
        best_version=numbers[best],
        promoted=aliases_of(session, model).get(CHAMPION) == numbers[best],
        problem=outcome["problem"],
        primary_metric=outcome["primary_metric"],
        candidates=candidates,
        left_out=outcome["left_out"],
        warnings=outcome["warnings"],
        row_count=outcome["row_count"],
    )


def _model_views(session: Session, models: Sequence[tuple[ModelRow, str]]) -> list[Model]:
    """Views of models, each given with its owner's name, in three queries for all of them."""
    ids = [model.id for model, _ in models]
    pointing: dict[str, dict[str, int]] = {model_id: {} for model_id in ids}
    for alias in session.scalars(select(AliasRow).where(AliasRow.model_id.in_(ids)).order_by(AliasRow.name)):
        pointing[alias.model_id][alias.name] = alias.number
    champions = _champions(session, ids)
    counts = _version_counts(session, ids)
    views = []
    for model, owner in models:
        champion = champions.get(model.id)
        views.append(
            Model(
                name=model.name,
                description=model.description,
                owner=owner,
                created_at=model.created_at,
                visibility=Visibility(model.visibility),
                version_count=counts.get(model.id, 0),
                aliases=pointing[model.id],
                champion=_version_view(model, *champion, pointing[model.id]) if champion else None,
            )
        )
    return views


def _champions(session: Session, model_ids: Iterable[str]) -> dict[str, tuple[ModelVersionRow, str]]:
    rows = session.execute(
        select(ModelVersionRow, UserRow.name)
        .join(UserRow, UserRow.id == ModelVersionRow.created_by)
        .join(
            AliasRow,
            (AliasRow.model_id == ModelVersionRow.model_id) & (AliasRow.number == ModelVersionRow.number),
        )
        .where(AliasRow.name == CHAMPION, AliasRow.model_id.in_(model_ids))
    )
    return {version.model_id: (version, creator) for version, creator in rows}


def _version_counts(session: Session, model_ids: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(ModelVersionRow.model_id, func.count())
        .where(ModelVersionRow.model_id.in_(model_ids))
        .group_by(ModelVersionRow.model_id)
    )
    return dict(rows.all())


def _version_view(model: ModelRow, version: ModelVersionRow, creator: str, pointing: dict[str, int]) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "model": model.name,
            "number": version.number,
            "algorithm": version.algorithm,
            "problem": version.problem,
            "target": version.target,
            "dataset": version.dataset,
            "dataset_version": version.dataset_number,
            "aliases": [alias for alias, number in pointing.items() if number == version.number],
            "metrics": version.metrics,
            "created_at": version.created_at,
            "created_by": creator,
        }
    )


def _user_name(session: Session, user_id: str) -> str:
    return session.scalar(select(UserRow.name).where(UserRow.id == user_id)) or ""
