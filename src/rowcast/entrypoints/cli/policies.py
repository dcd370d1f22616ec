"""``rowcast policy``"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.drafts import Options, draft
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.models.decide.policy import Policy

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rowcast.errors import Problem
    from rowcast.models.views import PolicyPreview, PolicyVersion, ProfitCurve, ProfitPoint, Spread


_WORTH_SAYING = 0.001
"""Share of the best threshold's profit by which deciding case by case must exceed it to be spoken of."""

_BELOW = (
    "Dots are what cases did earn, which hangs on a few large ones. The best is marked where they are expected to earn "
    "most, so dots may lie above it."
)


def _of_the_model(name: str) -> str:
    model, at, _ = name.partition("@")
    if at:
        raise typer.BadParameter(f"A policy belongs to a model with all its versions: write {model} alone.")
    return name


app = typer.Typer(no_args_is_help=True, help="Policies: green, yellow or red, and what a prediction earns.")

NameArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.", callback=_of_the_model)]
TriedArgument = Annotated[
    str, typer.Argument(metavar="MODEL[@ALIAS|@VERSION]", help="Model; the champion by default, else the newest.")
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Policy in YAML or JSON; by default the one in force is changed.")
]
YellowOption = Annotated[float | None, typer.Option(help="Where yellow meets green, such as 0.15.")]
RedOption = Annotated[float | None, typer.Option(help="Where red begins; with one threshold alone, nothing is yellow.")]
OfOption = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Class whose probability decides; of two, the positive one.")
]
HighOption = Annotated[str | None, typer.Option(metavar="red|green", help="What a high probability or number means.")]
MeasureOption = Annotated[
    str | None,
    typer.Option(
        metavar="probability|profit|value|low|high",
        help="What decides. profit: what accepting a case is expected to earn; of numbers the value, or an end of its "
        "interval.",
    ),
]
GoodOption = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What accepting a good case earns: 120, COLUMN, 0.1*COLUMN or 10%*COLUMN."),
]
BadOption = Annotated[str | None, typer.Option(metavar="AMOUNT", help="What accepting a bad case earns: -900.")]
BestOption = Annotated[bool, typer.Option("--best", help="Take the threshold that is to earn most, by held-out rows.")]
CommentOption = Annotated[str | None, typer.Option(help="Why, for the history.")]
AgainOption = Annotated[int | None, typer.Option(metavar="NUMBER", min=1, help="Start from this earlier policy.")]
OffOption = Annotated[bool, typer.Option("--off", help="Switch decisions off.")]


@command(app, "show")
def show(
    session: Session,
    model: NameArgument,
    number: Annotated[int | None, typer.Option(min=1, help="An earlier one, by its number.")] = None,
) -> None:
    """Show the policy in force, or an earlier one."""
    found = session.client.policies.get(model, number)
    session.answer(found, lambda: _policy(found))


@command(app, "set")
def set_(
    session: Session,
    model: NameArgument,
    file: FileOption = None,
    yellow: YellowOption = None,
    red: RedOption = None,
    of: OfOption = None,
    high: HighOption = None,
    measure: MeasureOption = None,
    good: GoodOption = None,
    bad: BadOption = None,
    best: BestOption = False,
    again: AgainOption = None,
    off: OffOption = False,
    comment: CommentOption = None,
) -> None:
    """Put a policy in force: thresholds, and what cases earn. The model stays as it is."""
    options = Options(file, yellow, red, of, high, measure, good, bad, best)
    if off is not (options.empty and again is None):
        raise typer.BadParameter("Say what to set, as with --yellow and --red or --file, or --off and nothing else.")
    start = Policy() if off else _start(session, model, again)
    chosen = start if options.empty else draft(session.client, model, options, start)
    found = session.client.policies.set(model, chosen, comment=comment)
    session.answer(found, lambda: _policy(found))


@command(app, "preview")
def preview(
    session: Session,
    model: TriedArgument,
    file: FileOption = None,
    yellow: YellowOption = None,
    red: RedOption = None,
    of: OfOption = None,
    high: HighOption = None,
    measure: MeasureOption = None,
    good: GoodOption = None,
    bad: BadOption = None,
    best: BestOption = False,
    version: Annotated[int | None, typer.Option(min=1, help="The same as MODEL@VERSION.")] = None,
) -> None:
    """Show what a policy would have done with rows held out of the training; nothing is saved."""
    options = Options(file, yellow, red, of, high, measure, good, bad, best)
    model, at, _ = (reference := model).partition("@")
    if at and version is not None:
        raise typer.BadParameter("Give the version once: as MODEL@VERSION or with --version.")
    version = session.client.models.number_of(reference) if at else version
    if options.empty:
        found = session.client.policies.preview(model, version=version)
    else:
        chosen = draft(session.client, model, options, _start(session, model, None), version)
        found = session.client.policies.preview(model, chosen, version=version)
    session.answer(found, lambda: _preview(found))


@command(app, "history")
def history(session: Session, model: NameArgument) -> None:
    """Show what decided when, the newest first."""
    found = session.client.policies.history(model)
    session.answer(found, lambda: _history(found))


def _start(session: Session, model: str, number: int | None) -> Policy:
    """The policy that options change: an earlier one that was named, else the one in force, else none."""
    from rowcast.errors import NotFound

    try:
        return session.client.policies.get(model, number).policy
    except NotFound as error:
        if number is not None or error.code != "policy_not_found":
            raise
        return Policy()


def _policy(found: PolicyVersion) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment

    why = f": {found.comment}" if found.comment else ""
    lines = [f"Policy {found.number} of {found.model}, set {moment(found.created_at)} by {found.created_by}{why}"]
    return clean("\n".join([*lines, *_sentences(found.policy), *_warnings(found.warnings)]))


def _warnings(found: Iterable[Problem]) -> list[str]:
    return [f"! {warning.message}" for warning in found]


def _sentences(policy: Policy) -> list[str]:
    from rowcast.entrypoints.cli.decided import payoff_lines, thresholds_sentence

    if not policy.decides:
        return ["It decides nothing: predictions come without a colour."]
    lines = [thresholds_sentence(policy.bands)] if policy.bands else []
    return lines + (payoff_lines(policy.payoff) if policy.payoff else [])


def _history(found: list[PolicyVersion]) -> RenderableType:
    from rowcast.entrypoints.cli.tables import moment, table

    if not found:
        return "No policies. Set one: rowcast policy set MODEL --yellow 0.15 --red 0.3"
    rows = [
        (item.number, moment(item.created_at), item.created_by, " ".join(_sentences(item.policy)), item.comment)
        for item in found
    ]
    return table(("policy", "when", "who", "what", "why"), rows, right=("policy",))


def _preview(found: PolicyPreview) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.tables import counted

    about = f"{found.model}@{found.version} on {counted(found.rows, 'row')} held out of its training:"
    parts: list[RenderableType] = [clean("\n".join([about, *_sentences(found.policy)]))]
    if found.colors:
        parts.append(_colors(found))
    if found.profit is not None:
        by_profit = found.policy.bands is not None and found.policy.bands.measure == "profit"
        parts.append(_curve(found.profit, recommends=not found.warnings and not by_profit))
    if found.warnings:
        parts.append(clean("\n".join(_warnings(found.warnings))))
    return Group(*parts)


def _colors(found: PolicyPreview) -> RenderableType:
    from rowcast.entrypoints.cli.decided import money
    from rowcast.entrypoints.cli.tables import figure, percent, probability, table

    numbers = found.policy.bands is None or found.policy.bands.of is None
    observed, earned = clean(f"mean {found.of}" if numbers else f"were {found.of}"), "accepting one earned"
    rows = [
        (
            item.color,
            item.count,
            percent(item.count, found.rows),
            _spread(item.observed, figure if numbers else probability),
            *([_spread(item.accepted, money)] if found.policy.payoff else []),
        )
        for item in found.colors
    ]
    headers = ("colour", "cases", "share", observed, *([earned] if found.policy.payoff else []))
    return table(headers, rows, right=headers[1:])


def _spread(found: Spread | None, write: object) -> str:
    """``21.0 % (18.2 % to 24.1 %)``"""
    assert callable(write)
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return str(write(found.value))
    return f"{write(found.value)} ({write(found.low)} to {write(found.high)})"


def _curve(curve: ProfitCurve, *, recommends: bool) -> RenderableType:
    from rich.console import Group

    from rowcast.entrypoints.cli.decided import money
    from rowcast.entrypoints.cli.plots import MARK, plot
    from rowcast.entrypoints.cli.tables import probability, table

    points = [(point.threshold or 0.0, point.profit) for point in curve.points]
    best = (curve.best.threshold or 0.0, curve.best.profit)
    drawn = plot(points, best, probability, money, _floor(curve))
    named: list[tuple[str, ProfitPoint | None]] = [
        (f"{MARK} best", curve.best), ("yellow", curve.yellow), ("red", curve.red), ("one half", curve.half),
        ("each by its own", curve.each), ("all accepted", curve.accept_all), ("all declined", curve.decline_all),
    ]  # fmt: skip
    rows = [
        (
            name,
            "" if point.threshold is None else probability(point.threshold),
            probability(point.accepted_share),
            money(point.profit),
            money(point.profit_per_case),
        )
        for name, point in named
        if point is not None
    ]
    headers = ("threshold", "at", "accepted", "profit of all", "of each")
    title = f"Profit by threshold of the probability of {curve.of}; cases {curve.accepted} it are accepted:"
    below = any(point.profit > curve.best.profit for point in curve.points)
    return Group(
        clean("\n".join([title, *drawn, *([_BELOW] if below else [])])),
        table(headers, rows, right=headers[1:]),
        clean(_expectation(curve, recommends)),
    )


def _floor(curve: ProfitCurve) -> float:
    """The lowest profit worth drawing: as far below what needs no model (all, or none) as the best is above it."""
    without = max(curve.accept_all.profit, curve.decline_all.profit)
    gained = curve.best.profit - without
    return without - gained if gained > 0 else min(point.profit for point in curve.points)


def _expectation(curve: ProfitCurve, recommends: bool) -> str:
    from rowcast.entrypoints.cli.decided import money
    from rowcast.entrypoints.cli.tables import counted

    said = f"With a threshold chosen so, a new case earns about {_spread(curve.new_cases, money)}."
    more = curve.each.profit - curve.best.profit
    if recommends and more > abs(curve.best.profit) * _WORTH_SAYING:
        said += f" Decided on by the expected profit of each, all earned {money(more)} more: see --measure profit."
    left_out = f"Left out: {counted(curve.unknown, 'case')} whose amounts cannot be computed."
    return f"{said} {left_out}" if curve.unknown else said
