"""``rowcast models``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.training import follow, next_step, started, wait
from rowcast.entrypoints.cli.tuning import estimates, held_out_title
from rowcast.entrypoints.cli.written import scalar, versioned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from rowcast.models.views import Algorithm, AliasEvent, Model, ModelVersion, ModelVersionDetail

app = typer.Typer(no_args_is_help=True, help="Models: compare, promote, roll back, take away.")
importing = typer.Typer(no_args_is_help=True, help="Models that were made elsewhere.")
app.add_typer(importing, name="import")

NameArgument = Annotated[str, typer.Argument(help="Name of the model.")]
ReferenceArgument = Annotated[
    str,
    typer.Argument(metavar="NAME[@ALIAS|@VERSION]", help="Model; the champion, else the newest version, by default."),
]
VersionArgument = Annotated[int, typer.Argument(min=1, help="Version number.")]
AliasOption = Annotated[str, typer.Option(help="Which alias to move.")]
IMPORTANT = 10


@command(app, "list")
def list_(session: Session) -> None:
    """List the models and what serves."""
    found = session.client.models.list()
    session.answer(found, lambda: _list(found))


@command(app, "show")
def show(session: Session, model: ReferenceArgument) -> None:
    """Show one version: what it predicts, how well, from what."""
    detail = session.client.models.version(model)
    session.answer(detail, lambda: _detail(detail))


@command(app, "versions")
def versions(session: Session, model: NameArgument) -> None:
    """List the versions of a model, the newest first, with their metrics."""
    found = sorted(session.client.models.versions(model), key=lambda version: -version.number)
    session.answer(found, lambda: _versions(found))


@command(app, "promote")
def promote(session: Session, model: NameArgument, version: VersionArgument, alias: AliasOption = "champion") -> None:
    """Let an alias (champion: what serves by default) point at a version."""
    _moved(session, model, session.client.models.promote(model, version, alias))


@command(app, "rollback")
def rollback(session: Session, model: NameArgument, alias: AliasOption = "champion") -> None:
    """Let an alias point again at what it pointed at before."""
    _moved(session, model, session.client.models.rollback(model, alias))


@command(app, "alias")
def alias_(
    session: Session,
    model: NameArgument,
    alias: Annotated[str | None, typer.Argument(help="Alias to set; without it, list them.")] = None,
    version: Annotated[int | None, typer.Argument(min=1, help="Version it shall point at.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
) -> None:
    """List, set or remove aliases."""
    if alias and not remove and version is None:
        raise typer.BadParameter("Name the version, too, or say --remove.")
    if remove and (alias is None or version is not None):
        raise typer.BadParameter("--remove takes the alias alone.")
    if alias and remove:
        session.client.models.remove_alias(model, alias)
    elif alias and version:
        session.client.models.set_alias(model, alias, version)
    found = session.client.models.aliases(model)
    session.answer(found, lambda: _aliases(found))


@command(app, "history")
def history(session: Session, model: NameArgument) -> None:
    """Show what served when."""
    found = session.client.models.history(model)
    session.answer(found, lambda: _history(found))


@command(app, "retrain")
def retrain(
    session: Session,
    model: ReferenceArgument,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME[@VERSION]", help="Other data; the newest version of the same by default."),
    ] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Hyperparameter. Repeatable.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let the new version serve when done.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return.")] = False,
) -> None:
    """Train again with the recipe of a version, on new data or with other hyperparameters."""
    name, number = versioned(dataset) if dataset else (None, None)
    fields: dict[str, Any] = {
        "dataset": name, "dataset_version": number, "hyperparameters": _values(param or ()), "promote": promote
    }  # fmt: skip
    task = session.client.retrain(model, **{field: value for field, value in fields.items() if value})
    started(session, task) if no_wait else follow(session, task)


@command(app, "delete")
def delete(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A model, or one version of it.")],
) -> None:
    """Delete a model with all its versions, or one version that no alias points at."""
    name, number = versioned(model)
    session.confirm(f"Delete {f'version {number}' if number else 'all versions'} of the model {name}?")
    if number:
        session.client.models.delete_version(name, number)
    else:
        session.client.models.delete(name)
    if session.json:
        session.emit({"deleted": model})
    else:
        session.say(f"Deleted {model}.")


@command(app, "export")
def export(
    session: Session,
    model: ReferenceArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; NAME-VERSION.zip by default.")] = None,
) -> None:
    """Take a version away as a zip file: the model as ONNX, its card, and a script that runs it without Rowcast."""
    name = model.partition("@")[0]
    number = session.client.models.number_of(model)
    path = session.client.models.export(name, output or Path(f"{name}-{number}.zip"), number=number)
    if session.json:
        session.emit({"model": name, "version": number, "path": str(path), "size_bytes": path.stat().st_size})
    else:
        session.say(f"Wrote {name}@{number} to {path} ({path.stat().st_size:,} bytes).")
        session.note("In it, golden.json holds up to ten rows of the table that it learned from: mind who gets it.")


@command(importing, "mlflow")
def import_from_mlflow(
    session: Session,
    source: Annotated[
        str,
        typer.Argument(metavar="NAME[@ALIAS|/VERSION]", help="A model of MLflow; its newest version by default."),
    ],
    model: Annotated[str | None, typer.Option("--as", help="What it is called here; by default the same.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let it serve when done.")] = False,
    pickled: Annotated[bool, typer.Option("--pickled", help="Take it even if it is pickled.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and return.")] = False,
) -> None:
    """Make a model that is registered in MLflow a version here: ONNX, LightGBM, XGBoost, CatBoost, scikit-learn."""
    task = session.client.import_model(source, model=model, promote=promote, pickled=pickled)
    if no_wait:
        started(session, task)
        return
    result = session.client.result(wait(session, task))
    if session.json:
        session.emit(result)
    else:
        session.say(f"{source} is {result.model}@{result.best_version} ({result.candidates[0].algorithm}).")
        session.note(f"Next: {next_step(session, result)}")


@command(app, "algorithms")
def algorithms(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="Show the hyperparameters of this one.")] = None,
) -> None:
    """List the algorithms, or the hyperparameters of one."""
    from rowcast.errors import NotFound

    found = session.client.algorithms()
    if name is None:
        session.answer(found, lambda: _algorithms(found))
        return
    chosen = next((item for item in found if item.name == name), None)
    if chosen is None:
        known = ", ".join(item.name for item in found)
        raise NotFound("algorithm_not_found", f"There is no algorithm of that name. There are {known}.")
    session.answer(chosen, lambda: _hyperparameters(chosen))


def importance(evaluation: dict[str, Any]) -> list[tuple[str, float]]:
    """The features that matter most with how much, the first first."""
    listed = evaluation.get("importance") or []
    pairs = [
        (str(item["feature"]), float(item["mean"] or 0)) for item in listed if "feature" in item and "mean" in item
    ]
    return sorted(pairs, key=lambda pair: -pair[1])


def _values(pairs: Sequence[str]) -> dict[str, Any]:
    wrong = next((pair for pair in pairs if "=" not in pair), None)
    if wrong is not None:
        raise typer.BadParameter(f"'{wrong}' must be written as NAME=VALUE.")
    return {name: scalar(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def _moved(session: Session, model: str, event: AliasEvent) -> None:
    if session.json:
        session.emit(event)
        return
    before = f" (before: {event.previous})" if event.previous else ""
    session.say(f"{model}@{event.alias} is now version {event.number}{before}.")


def _list(found: list[Model]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import metric, moment, table

    if not found:
        return "No models yet. Train one: rowcast train DATASET --target COLUMN"
    rows = [
        (
            model.name,
            model.version_count,
            ", ".join(f"{alias} = {number}" for alias, number in model.aliases.items()),
            f"{model.champion.metrics[0].name} {metric(model.champion.metrics[0])}"
            if model.champion and model.champion.metrics
            else None,
            moment(model.created_at),
        )
        for model in found
    ]
    return table(("name", "versions", "aliases", "champion", "created"), rows, right=("versions",))


def _versions(found: list[ModelVersion]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import find, metric, metric_names, moment, table

    primary = next((version.metrics[0].name for version in found if version.metrics), "")
    names = metric_names([version.metrics for version in found], primary)
    rows = [
        (
            version.number,
            version.algorithm,
            ", ".join(version.aliases),
            f"{version.dataset}@{version.dataset_version}",
            *(metric(find(version.metrics, name)) for name in names),
            moment(version.created_at),
        )
        for version in found
    ]
    headers = ("version", "algorithm", "aliases", "data", *names, "created")
    return table(headers, rows, right=("version", *names))


def _detail(detail: ModelVersionDetail) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import chart, left_out, metric, table

    aliases = f" ({', '.join(detail.aliases)})" if detail.aliases else ""
    about = [
        f"{detail.model}@{detail.number}{aliases}: {detail.algorithm} predicts {detail.target} ({detail.problem})",
        f"learned from {detail.dataset}@{detail.dataset_version}, served by {detail.runtime}",
        f"classes: {', '.join(detail.classes)}" if detail.classes else "",
        f"probability is that of {detail.positive_class}" if detail.positive_class else "",
    ]
    features = [
        (f.name, f.kind, "yes" if f.may_be_missing else "no", _example(f.example), f.description)
        for f in detail.feature_schema.features
    ]
    parts: list[RenderableType] = [clean("\n".join(line for line in about if line))]
    parts += _found(detail)
    parts.append(table(("metric", "value (95 %)"), [(item.name, metric(item)) for item in detail.metrics]))
    if top := importance(detail.evaluation)[:IMPORTANT]:
        parts += ["What matters most:", chart(top)]
    parts.append(table(("feature", "kind", "may be missing", "example", "meaning"), features))
    if detail.left_out:
        parts.append(left_out(detail.left_out))
    return Group(*parts)


def _found(detail: ModelVersionDetail) -> list[RenderableType]:
    """How good a search made it, which its own metrics flatter; nothing of a version that was trained."""
    from rowcast.models.tune.views import Study

    if "study" not in detail.evaluation:
        return []
    study = Study.model_validate(detail.evaluation["study"])
    primary = detail.metrics[0].name if detail.metrics else ""
    return [
        held_out_title(study),
        estimates(study, primary),
        "By cross-validation, where what wins a search looks better than it is:",
    ]


def _example(value: str | float | bool | None) -> str | None:
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)


def _aliases(found: dict[str, int]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    return table(("alias", "version"), list(found.items()), right=("version",)) if found else "No aliases."


def _history(found: list[AliasEvent]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    rows = [(moment(e.moved_at), e.alias, e.action, e.previous, e.number, e.moved_by) for e in found]
    return table(("when", "alias", "what", "from", "to", "by"), rows, right=("from", "to"))


def _algorithms(found: list[Algorithm]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import table

    rows = [(item.name, ", ".join(item.problems), item.description) for item in found]
    return table(("algorithm", "for", "what it is"), rows)


def _hyperparameters(algorithm: Algorithm) -> RenderableType:
    from rowcast.entrypoints.cli.tables import figure, table

    rows = [
        (
            knob.name,
            knob.type,
            knob.default,
            ", ".join(knob.choices) or f"{figure(knob.minimum)} .. {figure(knob.maximum)}",
            knob.description,
        )
        for knob in algorithm.hyperparameters
    ]
    headers = ("hyperparameter", "type", "default", "range", "what it does")
    return table(headers, rows, right=("default",), title=algorithm.title)
