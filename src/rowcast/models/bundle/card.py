"""The model card: what the model is for, what it learned from, how good it is, where it ends.

After Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.models.bundle.contents import Manifest
from rowcast.models.calibrate.choice import Calibration
from rowcast.models.calibrate.maps import Method
from rowcast.models.recipe import EnsembleMember, Problem
from rowcast.models.views import Metric

_MOST_LINES = 15
_FEW_ROWS = 1000

_METHODS: dict[Method, str] = {
    "none": "The model's own probabilities are served: no map made the log loss on held-out rows smaller.",
    "sigmoid": "Log odds are scaled and shifted (Platt) by a map fitted on held-out rows.",
    "isotonic": "Log odds are mapped by rising straight pieces (isotonic) fitted on held-out rows.",
    "temperature": "Scores are scaled by one temperature fitted on held-out rows.",
    "per_class": "Each class's score is scaled and shifted by values fitted on held-out rows, then all are normalised.",
}
_PURPOSE = {
    Problem.BINARY: "Gives the probability that **{target}** is **{positive}** rather than {negative}.",
    Problem.MULTICLASS: "Gives the probability of each of the {count} classes of **{target}**.",
    Problem.REGRESSION: "Predicts the number **{target}**.",
}


def write_card(
    manifest: Manifest, schema: FeatureSchema, evaluation: dict[str, Any], warnings: list[str], algorithm: str
) -> str:
    """The card as Markdown; ``algorithm`` is its title."""
    sections = [
        _heading(manifest, algorithm),
        _data(manifest, schema),
        _left_out(manifest),
        _metrics(manifest, evaluation.get("shares")),
        _study(evaluation.get("study")),
        _shares(evaluation.get("shares")),
        _members(manifest.recipe.ensemble or []),
        _calibration(manifest.calibration),
        _intervals(manifest),
        _importance(evaluation.get("importance", [])),
        _limits(manifest, warnings),
        _use(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _heading(manifest: Manifest, algorithm: str) -> str:
    negative, positive = manifest.classes if len(manifest.classes) == 2 else ("", "")
    purpose = _PURPOSE[manifest.problem].format(
        target=_text(manifest.target), positive=_text(positive), negative=_text(negative), count=len(manifest.classes)
    )
    title = f"# {algorithm} for {_text(manifest.target)}"
    made = f"Imported from {_text(manifest.origin)}" if manifest.origin else "Made by Rowcast"
    return f"{title}\n\n{purpose}\n\n{made} on {manifest.created_at[:10]}."


def _data(manifest: Manifest, schema: FeatureSchema) -> str:
    source = manifest.dataset
    learned_from = (
        "The table that it learned from is not known here"
        if manifest.origin
        else f"{manifest.row_count:,} rows of version {source.version} of the dataset {_text(source.name)} "
        f"(SHA-256 `{source.content_hash}`)"
    )
    lines = [
        "## Data",
        "",
        f"{learned_from}; {len(schema.features)} features:",
        "",
        "| Feature | Kind | Seen | Meaning |",
        "|---|---|---|---|",
        *(
            f"| {_text(feature.name)} | {feature.kind.value} | {_seen(feature)} | {_text(feature.description or '')} |"
            for feature in schema.features
        ),
    ]
    return "\n".join(lines)


def _seen(feature: Feature) -> str:
    if feature.kind is Kind.CATEGORY:
        return f"{len(feature.categories)} categories" if feature.categories else ""
    if feature.minimum is None or feature.kind is Kind.FLAG:
        return ""
    low, high = (f"{end:g}" if isinstance(end, float) else str(end) for end in (feature.minimum, feature.maximum))
    return f"{low} to {high}"


def _left_out(manifest: Manifest) -> str:
    if not manifest.left_out:
        return ""
    lines = [f"- {_text(left.column)}: {_text(left.reason)}" for left in manifest.left_out]
    return "\n".join(["## Columns left out", "", *_shortened(lines)])


def _metrics(manifest: Manifest, shares: dict[str, Any] | None) -> str:
    if not manifest.metrics:
        return ""
    tested = f"{shares['held_out_rows']:,} held out" if shares else "cross-validation"
    rows = [f"| {metric.name} | {metric.value:.4g} | {_interval(metric)} |" for metric in manifest.metrics]
    return "\n".join(
        [
            "## How good it is",
            "",
            f"On rows that the model was not fitted on ({tested}); the interval is a 95 % bootstrap over rows.",
            "",
            "| Metric | Value | 95 % interval |",
            "|---|---|---|",
            *rows,
        ]
    )


def _shares(shares: dict[str, Any] | None) -> str:
    if shares is None:
        return ""
    return (
        f"## How it was learned\n\nBy {shares['processes']} processes together, each with a share of the rows. What "
        f"is done to a row before it is scored was learned from {shares['encoder_rows']:,} other rows of the table. "
        f"The trees stopped growing when {shares['watched_rows']:,} more said so, and {shares['held_out_rows']:,} were "
        "held out for the figures above and for calibration."
    )


def _study(study: dict[str, Any] | None) -> str:
    if study is None:
        return ""
    plain = {one["name"]: f"{one['value']:.4g}" for one in study["default_estimate"]}
    estimate = [Metric.model_validate(one) for one in study["estimate"]]
    rows = [f"| {one.name} | {one.value:.4g} | {_interval(one)} | {plain.get(one.name, '')} |" for one in estimate]
    said = (
        f"The best of {study['trials']} trials on {study['searched_rows']:,} rows. What wins a search looks better "
        f"there than it is; these figures are from {study['held_out_rows']:,} other rows, by models that learned "
        "without them, beside what a training with default settings comes to."
    )
    head = ["| Metric | Value | 95 % interval | By default |", "|---|---|---|---|"]
    return "\n".join(["## How it was found", "", said, "", *head, *rows])


def _members(members: Sequence[EnsembleMember]) -> str:
    if not members:
        return ""
    lines = [f"- {one.algorithm}, {one.weight:.0%}" for one in members]
    return "\n".join(["## Members", "", "The weighted mean of their scores is what is calibrated.", "", *lines])


def _interval(metric: Metric) -> str:
    return "" if metric.low is None or metric.high is None else f"{metric.low:.4g} to {metric.high:.4g}"


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return ""
    before, after = calibration.before, calibration.after
    lines = ["## Calibration", "", _METHODS[calibration.map.method]]
    if calibration.map.method != "none":
        lines += [
            "",
            "| On held-out rows | Before | After |",
            "|---|---|---|",
            f"| log loss | {before.log_loss:.4g} | {after.log_loss:.4g} |",
            f"| Brier score | {before.brier:.4g} | {after.brier:.4g} |",
            f"| expected calibration error | {before.ece:.4g} | {after.ece:.4g} |",
        ]
    return "\n".join(lines)


def _intervals(manifest: Manifest) -> str:
    if manifest.intervals is None:
        return ""
    rows = [f"| {100 * float(level):g} % | {share:.1%} |" for level, share in manifest.intervals.coverage.items()]
    said = "Every prediction comes with an interval that the true number lies in nine times in ten."
    return "\n".join(["## Intervals", "", said, "", "| Level | Held-out rows inside |", "|---|---|", *rows])


def _importance(importance: list[dict[str, Any]]) -> str:
    useful = [item for item in importance if item["mean"] > 0]
    if not useful:
        return ""
    lines = [f"| {_text(item['feature'])} | {item['mean']:.4g} |" for item in useful]
    return "\n".join(
        [
            "## What it looks at",
            "",
            "How much the first metric above gets worse when a feature is shuffled among held-out rows.",
            "",
            "| Feature | Loss |",
            "|---|---|",
            *_shortened(lines, "| and {} more | |"),
        ]
    )


def _limits(manifest: Manifest, warnings: list[str]) -> str:
    if manifest.origin:
        return "## Limits\n\nHow good it is, for whom and since when, is not known here: ask who made it."
    lines = [
        "The figures hold for rows drawn like those of the table; they say nothing about other populations or times.",
        "What the model looks at need not cause the outcome.",
        "Categories that were not in the table, or were rare there, are all treated alike.",
    ]
    if manifest.recipe.time_column is None:
        lines.append(
            "Tested on rows of the same time as those it learned from; give a time column to test on later ones."
        )
    weighed = manifest.recipe.imbalance == "balanced" and manifest.classes
    if weighed and (manifest.calibration is None or manifest.calibration.map.method == "none"):
        lines.append("Classes were weighed equally, so probabilities do not match the rates in the table.")
    if manifest.row_count < _FEW_ROWS:
        lines.append(f"{manifest.row_count} rows are few: expect other figures from other rows.")
    return "\n".join(["## Limits", "", *(f"- {_text(line)}" for line in [*lines, *warnings])])


def _use(manifest: Manifest) -> str:
    how = (
        "`pip install numpy onnxruntime`, then `python predict.py rows.json` scores a JSON list of rows: no Rowcast."
        if manifest.runtime == "onnx"
        else f"Served by Rowcast with the model's own library: {manifest.parity.reason}."
    )
    return (
        f"## Use\n\n{how} `schema.json` says what each field takes, `manifest.json` holds the recipe, the versions of "
        "the libraries and the hash of every file. No file here holds pickled code."
    )


def _shortened(lines: list[str], rest: str = "- and {} more") -> Iterable[str]:
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[:_MOST_LINES], rest.format(len(lines) - _MOST_LINES)]


def _text(text: str) -> str:
    """Text from a table or a dictionary as one line of Markdown that cannot break out of a table or become HTML."""
    line = " ".join(text.split())
    return line.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
