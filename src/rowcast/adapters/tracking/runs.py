"""One run of MLflow for each version that a training made, under one for the training where it made several."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow.pyfunc
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, ViewType

from rowcast.adapters.tracking.plots import draw_all
from rowcast.adapters.tracking.signature import frame_of, signature_of
from rowcast.models.bundle import contents
from rowcast.models.bundle.contents import Bundle
from rowcast.models.recipe import Source, TrainingRequest
from rowcast.models.tune.views import TuningRequest

MODEL_ID = "rowcast.model_id"
_VERSION_ID = "rowcast.version_id"
_TRAINING_ID = "rowcast.training_id"
_PARENT = "rowcast.training"
"""On the run of a training that made several versions: its id."""

_SCRIPT = Path(__file__).with_name("pyfunc_script.py")
_TRIAL = "rowcast.trial"
_MOST_RUNS = 10_000
_LONGEST_TEXT = 5000
_LONGEST_DIGEST = 36
_NEEDED = ("mlflow", "onnxruntime", "numpy", "pandas")
_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Training:
    """Where a version comes from, or would have; ``made`` is a ``models.mirroring.Version`` or ``Failed``. Moments are
    milliseconds since 1970."""

    client: Any
    artifacts: str | None
    public_url: str
    model_id: str
    began_ms: int
    made: dict[str, Any]
    trials: Sequence[dict[str, Any]] = ()
    """Of a search, each a ``models.tune.views.TrialResult`` with ``ended_ms``."""


def run_of(training: Training, version_id: str, folder: Path) -> str:
    """The finished run of the version whose bundle is in a folder."""
    bundle = contents.load(folder)
    experiment_id = _experiment(training)
    several = training.made["siblings"] > 1 or training.trials
    parent = _parent_run(training, experiment_id, bundle) if several else None
    run = _run(training, experiment_id, (_VERSION_ID, version_id), _run_tags(training, bundle, parent))
    run_id: str = run.info.run_id
    if run.info.status != "FINISHED":
        training.client.log_batch(run_id, _metrics(training, bundle), _params(bundle))
        _log_dataset(training, run_id, bundle)
        _log_artifacts(training, run_id, bundle)
        training.client.set_terminated(run_id, "FINISHED", training.made["created_ms"])
    return run_id


def failed_run_of(training: Training, failed: dict[str, Any]) -> str:
    """The ended run of a training that made no version: a ``models.mirroring.Failed``."""
    model, training_id, request = failed["model"], failed["training_id"], failed["request"]
    tags = {
        "mlflow.runName": f"{model} training {training_id[:8]}",
        "mlflow.user": failed["created_by"],
        "mlflow.source.name": "rowcast",
        "rowcast.model": model,
        _TRAINING_ID: training_id,
        "rowcast.dataset": f"{request['dataset']}@{request['dataset_version']}",
    }
    told = {MODEL_ID: failed["model_id"], "rowcast.error": failed["error"]}
    if training.public_url:
        told["rowcast.url"] = f"{training.public_url}/api/v1/tasks/{training_id}"
    tags |= {name: value for name, value in told.items() if value is not None}
    experiment_id = _experiment(training)
    run = _run(training, experiment_id, (_PARENT, training_id), tags)
    run_id: str = run.info.run_id
    if run.info.status != failed["status"]:
        asked = (TuningRequest if failed["kind"] == "tune" else TrainingRequest).model_validate(request)
        params = asked.model_dump(mode="json", exclude_defaults=True, exclude=set(Source.model_fields))
        training.client.log_batch(run_id, params=[Param(name, _written(value)) for name, value in params.items()])
        _log_trials(training, experiment_id, run_id)
        training.client.set_terminated(run_id, failed["status"], failed["ended_ms"])
    return run_id


def _experiment(training: Training) -> str:
    """The model's experiment; one that somebody removed comes back."""
    name, client = f"rowcast/{training.made['model']}", training.client
    found = client.get_experiment_by_name(name)
    if found is None:
        place = None if training.artifacts is None else f"{training.artifacts}/{training.model_id}"
        return str(client.create_experiment(name, place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _run(training: Training, experiment_id: str, key: tuple[str, str], tags: dict[str, str]) -> Any:
    """The run with that tag, which is made when there is none."""
    query = f"tags.`{key[0]}` = '{key[1]}'"
    found = training.client.search_runs([experiment_id], query, ViewType.ACTIVE_ONLY, max_results=1)
    if found:
        return found[0]
    name = tags["mlflow.runName"]
    return training.client.create_run(experiment_id, training.began_ms, {key[0]: key[1], **tags}, name)


def _parent_run(training: Training, experiment_id: str, bundle: Bundle) -> str:
    """The run of the whole training, with what its versions have in common and the figures of the first, the best."""
    manifest, training_id = bundle.manifest, training.made["training_id"]
    name = f"{training.made['model']} {'search' if training.trials else 'training'} {training_id[:8]}"
    run = _run(
        training, experiment_id, (_PARENT, training_id), {**_common_tags(training, bundle), "mlflow.runName": name}
    )
    run_id: str = run.info.run_id
    if run.info.status != "FINISHED":
        recipe = manifest.recipe.model_dump(mode="json", exclude_defaults=True)
        params = [Param(key, _written(value)) for key, value in recipe.items()]
        training.client.log_batch(run_id, _metrics(training, bundle) + _estimate(training, bundle), params)
        _log_dataset(training, run_id, bundle)
        _log_trials(training, experiment_id, run_id)
        training.client.set_terminated(run_id, "FINISHED", training.made["created_ms"])
    return run_id


def _log_trials(training: Training, experiment_id: str, parent: str) -> None:
    """A run for each trial, under that of the search; those that a killed process had ended are passed over."""
    if not training.trials:
        return
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    found = training.client.search_runs([experiment_id], query, ViewType.ACTIVE_ONLY, max_results=_MOST_RUNS)
    known = {run.data.tags.get(_TRIAL): run for run in found}
    for trial in training.trials:
        run = known.get(str(trial["number"]))
        if run is None or run.info.status == "RUNNING":
            _log_trial(training, experiment_id, parent, trial, run)


def _log_trial(training: Training, experiment_id: str, parent: str, trial: dict[str, Any], run: Any) -> None:
    ended, client = trial["ended_ms"], training.client
    if run is None:
        tags = {
            "mlflow.parentRunId": parent,
            "mlflow.user": training.made["created_by"],
            "mlflow.source.name": "rowcast",
            MODEL_ID: training.model_id,
            _TRAINING_ID: training.made["training_id"],
            _TRIAL: str(trial["number"]),
            "rowcast.algorithm": trial["algorithm"],
            "rowcast.state": trial["state"],
        }
        tags |= {"rowcast.error": trial["failure"]["code"]} if trial["failure"] else {}
        began = ended - round(trial["seconds"] * 1000)
        run = client.create_run(experiment_id, began, tags, f"trial {trial['number']} {trial['algorithm']}")
    told = {name: trial[name] for name in ("algorithm", "outliers", "imbalance", "selection")} | trial[
        "hyperparameters"
    ]
    params = [Param(name, _written(value)) for name, value in told.items() if value is not None]
    metrics = []
    if trial["score"] is not None:
        metrics = [Metric(trial["metric"], trial["score"], ended, 0)]
        folds = enumerate(trial["fold_scores"], start=1)
        metrics += [Metric(f"{trial['metric']}_fold", score, ended, fold) for fold, score in folds]
    client.log_batch(run.info.run_id, metrics, params)
    client.set_terminated(run.info.run_id, "FAILED" if trial["state"] == "failed" else "FINISHED", ended)


def _common_tags(training: Training, bundle: Bundle) -> dict[str, str]:
    made, dataset = training.made, bundle.manifest.dataset
    return {
        "mlflow.user": made["created_by"],
        "mlflow.source.name": "rowcast",
        MODEL_ID: training.model_id,
        "rowcast.model": made["model"],
        _TRAINING_ID: made["training_id"],
        "rowcast.dataset": f"{dataset.name}@{dataset.version}",
        "rowcast.owner": made["owner"],
    }


def _run_tags(training: Training, bundle: Bundle, parent: str | None) -> dict[str, str]:
    made, manifest = training.made, bundle.manifest
    name = f"{made['model']}@{made['number']}"
    tags = {
        **_common_tags(training, bundle),
        "mlflow.runName": f"{name} {manifest.algorithm}",
        "mlflow.note.content": contents.card(bundle)[:_LONGEST_TEXT],
        "rowcast.version": str(made["number"]),
        "rowcast.algorithm": manifest.algorithm,
        "rowcast.problem": manifest.problem.value,
        "rowcast.target": manifest.target,
        "rowcast.bundle": made["bundle_key"],
        "rowcast.bundle_hash": bundle.bundle_hash,
    }
    if training.public_url:
        tags["rowcast.url"] = f"{training.public_url}/api/v1/models/{made['model']}/versions/{made['number']}"
    return tags | ({"mlflow.parentRunId": parent} if parent else {})


def _params(bundle: Bundle) -> list[Param]:
    manifest = bundle.manifest
    recipe = manifest.recipe
    told = {
        "algorithm": manifest.algorithm,
        **manifest.hyperparameters,
        "target": manifest.target,
        "preset": recipe.preset.value,
        "folds": recipe.folds,
        "seed": recipe.seed,
        "imbalance": recipe.imbalance,
        "time_column": recipe.time_column,
        "features": len(bundle.schema.features),
        "calibration": manifest.calibration.map.method if manifest.calibration else None,
        "runtime": manifest.runtime,
    }
    return [Param(key, _written(value)) for key, value in told.items() if value is not None]


def _written(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:_LONGEST_TEXT]


def _metrics(training: Training, bundle: Bundle) -> list[Metric]:
    """Every figure overall, with the ends of its interval, and under ``<name>_fold`` that of each fold, the fold as the
    step."""
    moment, found = training.made["created_ms"], []
    for metric in bundle.manifest.metrics:
        ends = {metric.name: metric.value, f"{metric.name}_low": metric.low, f"{metric.name}_high": metric.high}
        found += [Metric(key, value, moment, 0) for key, value in ends.items() if value is not None]
        found += [
            Metric(f"{metric.name}_fold", value, moment, fold) for fold, value in enumerate(metric.folds, start=1)
        ]
    return found


def _estimate(training: Training, bundle: Bundle) -> list[Metric]:
    """The figures of a search on rows that it never saw, as ``held_out_<name>``."""
    if contents.EVALUATION not in bundle.manifest.files:
        return []
    study = contents.evaluation(bundle).get("study") or {"estimate": []}
    moment = training.made["created_ms"]
    return [Metric(f"held_out_{metric['name']}", metric["value"], moment, 0) for metric in study["estimate"]]


def _log_dataset(training: Training, run_id: str, bundle: Bundle) -> None:
    """The version of the dataset, as the run's input; that of an imported model is not known."""
    manifest = bundle.manifest
    if manifest.origin is not None:
        return
    source = {"dataset": manifest.dataset.name, "version": manifest.dataset.version}
    if training.public_url:
        source["url"] = f"{training.public_url}/api/v1/datasets/{source['dataset']}/versions/{source['version']}"
    dataset = Dataset(
        name=f"{manifest.dataset.name}@{manifest.dataset.version}",
        digest=manifest.dataset.content_hash[:_LONGEST_DIGEST],
        source_type="rowcast",
        source=json.dumps({**source, "sha256": manifest.dataset.content_hash}),
        schema=json.dumps({"mlflow_colspec": signature_of(manifest, bundle.schema).inputs.to_dict()}),
        profile=json.dumps({"num_rows": manifest.row_count}),
    )
    tag = InputTag("mlflow.data.context", "training")
    training.client.log_inputs(run_id, [DatasetInput(dataset, [tag])])


def _log_artifacts(training: Training, run_id: str, bundle: Bundle) -> None:
    """The model with its bundle, the plots, the evaluation as data and the model card."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plots").mkdir()
        if contents.EVALUATION in bundle.manifest.files:
            draw_all(contents.evaluation(bundle), folder / "plots")
            shutil.copyfile(bundle.folder / contents.EVALUATION, folder / contents.EVALUATION)
        shutil.copyfile(bundle.folder / contents.CARD, folder / "model_card.md")
        _save_model(bundle, folder / "model", folder / "bundle")
        shutil.rmtree(folder / "bundle")
        training.client.log_artifacts(run_id, name)


def _save_model(bundle: Bundle, folder: Path, copy: Path) -> None:
    """As a model that MLflow loads by running our script: with a signature, an example, and the bundle in it."""
    shutil.copytree(bundle.folder, copy)
    needed = _NEEDED if bundle.manifest.runtime == "onnx" else (*_NEEDED, "rowcast")
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(_SCRIPT),
        artifacts={"bundle": str(copy)},
        signature=signature_of(bundle.manifest, bundle.schema),
        input_example=frame_of(bundle.schema, bundle.golden.rows[:_EXAMPLE_ROWS]),
        pip_requirements=[f"{library}=={version_of(library)}" for library in needed],
    )
