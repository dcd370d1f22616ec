"""EDA.md: what is in the loans, what gives the outcome away, and how the later ones differ from the earlier."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import plots
from loans import CALENDAR, Loans
from measures import Figure, share
from steps import Learned

from rowcast.datasets.views import ColumnProfile, TableProfile

RECESSION = date(2007, 12, 1)
_SHOWN = 8
_FEWEST = 20
_CLEAR = 0.03
"""A difference of two columns' ROC AUC below this is not spoken of."""


def write(folder: Path, loans: Loans, earlier: TableProfile, later: TableProfile, learned: Learned, made: str) -> None:
    """Write the report with its plots; every sentence is made from the figures beside it."""
    left_out = {one.column: one.message for one in earlier.warnings if one.exclude and one.column}
    leaks = [one for one in earlier.warnings if one.code == "leak"]
    before, after = share(_bad(loans)[0], loans.earlier.height), share(_bad(loans)[1], loans.later.height)
    parts = [
        f"# What is in the loans\n\n{made}",
        _table(loans, before, after),
        "## What knows the outcome\n\n" + _leaks(leaks, learned),
        _others(earlier, {str(leak.column) for leak in leaks}),
        "## What goes with the outcome\n\n" + _association(folder, earlier, left_out),
        "## The split in time\n\n" + _split(folder, loans, before, after),
        _changed(earlier, later, set(left_out)),
    ]
    (folder / "EDA.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _bad(loans: Loans) -> tuple[int, int]:
    cut = loans.earlier.height
    return int(loans.bad[:cut].sum()), int(loans.bad[cut:].sum())


def _table(loans: Loans, before: Figure, after: Figure) -> str:
    rows = loans.earlier.height + loans.later.height
    whole = share(sum(_bad(loans)), rows)
    return (
        f"{rows:,} loans with {loans.earlier.width} columns, approved from {loans.days.min()} to {loans.days.max()}. "
        f"{whole.text('.1%')} of them were charged off: that is what is to be predicted just before a loan is paid "
        "out, the last moment to say no, when its amount and the day of payment are set. Who decides earlier has to "
        "leave out the two columns of the disbursement. Where a figure has an interval, it is a 95 % one. The page of "
        "every column is `loans.html`: "
        "`rowcast datasets report credit_default --target MIS_Status`."
    )


def _leaks(leaks: list, learned: Learned) -> str:
    if not leaks:
        return "No column was found that gives the outcome away."
    lines = "\n".join(f"- **{leak.column}**: {leak.message}" for leak in leaks)
    honest = learned.steps["lightgbm"].in_folds
    gain = round(learned.leaking.value, 3) - round(honest.value, 3)
    apart = learned.leaking.low > honest.high
    consequence = (
        f"The difference of {gain:.3f} is what such columns would promise and not keep, if they are filled in "
        "afterwards as they seem to be."
        if apart
        else "The intervals overlap: in these data the leaks are not seen to flatter."
    )
    return (
        f"{lines}\n\nWith these columns LightGBM reaches a ROC AUC of {learned.leaking} in folds at random, without "
        f"them {honest}. {consequence}"
    )


def _others(earlier: TableProfile, leaks: set[str]) -> str:
    others = [one for one in earlier.warnings if one.column not in leaks]
    if not others:
        return "Nothing else was warned of."
    return "Also seen:\n\n" + "\n".join(f"- {one.message}" for one in others)


def _association(folder: Path, earlier: TableProfile, left_out: dict[str, str]) -> str:
    ranked = _ranked(earlier)
    plots.bars(
        folder / "association.svg",
        [one.name for one in ranked],
        [max(0.5, one.association or 0.5) for one in ranked],
        [one.name in left_out for one in ranked],
        "ROC AUC of the column alone, held out",
    )
    kept = [one for one in ranked if one.name not in left_out]
    best = kept[0]
    dated = [one.name for one in kept[:_SHOWN] if one.name in CALENDAR]
    remark = (
        f" Of the best {_SHOWN}, {', '.join(dated)} tell when the loan was made; every loan to come is "
        "later than these."
        if dated
        else ""
    )
    return (
        "![ROC AUC of each column alone](association.svg)\n\n"
        f"Orange columns are left out. Of the others {best.name} says most alone, with a ROC AUC of "
        f"{best.association:.3f}.{remark}"
    )


def _ranked(profile: TableProfile) -> list[ColumnProfile]:
    known = [one for one in profile.columns if one.association is not None]
    return sorted(known, key=lambda one: -(one.association or 0.0))


def _split(folder: Path, loans: Loans, before: Figure, after: Figure) -> str:
    years = loans.days.dt.year()
    listed = [int(year) for year in years.unique().sort() if (years == year).sum() >= _FEWEST]
    found = [share(int(loans.bad.filter(years == year).sum()), int((years == year).sum())) for year in listed]
    split = int(loans.first_later[:4]) + (int(loans.first_later[5:7]) - 1) / 12 - 0.5
    plots.rates(folder / "rates.svg", listed, found, split)
    highest = max(zip(found, listed, strict=True), key=lambda pair: pair[0].value)
    if after.low > before.high:
        change = f"The later loans failed {after.value / before.value:.1f} times as often as the earlier."
    elif after.high < before.low:
        change = f"The later loans failed {after.value / before.value:.2f} times as often as the earlier."
    else:
        change = "That the later loans fail more or less often is not what these data show."
    return (
        f"![Share charged off by year of approval](rates.svg)\n\n(Years with {_FEWEST} loans or more.)\n\n"
        f"Models learn from the {loans.earlier.height:,} loans approved before {loans.first_later} and are judged on "
        f"the {loans.later.height:,} approved from then on, as a lender would meet them. Of the earlier "
        f"{before.text('.1%')} were charged off, of the later {after.text('.1%')}. {change} The worst year was "
        f"{highest[1]} with {highest[0].text('.1%')}; {_surprised(loans)} of the later loans were approved "
        "before the recession began that the NBER dates from December 2007 to June 2009. The table holds only loans "
        "whose end is known: of the latest years, those that ended early."
    )


def _surprised(loans: Loans) -> str:
    later = loans.days.slice(loans.earlier.height)
    return f"{int((later < RECESSION).sum()):,}"


def _changed(earlier: TableProfile, later: TableProfile, left_out: set[str]) -> str:
    after = {one.name: one.association for one in later.columns}
    pairs = [
        (one.name, one.association, after[one.name])
        for one in _ranked(earlier)
        if one.name not in left_out and one.association is not None and after.get(one.name) is not None
    ][:_SHOWN]
    lines = "\n".join(f"| {name} | {old:.3f} | {new:.3f} |" for name, old, new in pairs)
    weaker = [name for name, old, new in pairs if new < old - _CLEAR]
    stronger = [name for name, old, new in pairs if new > old + _CLEAR]
    told = [f"say less of the later loans: {', '.join(weaker)}"] if weaker else []
    told += [f"say more of them: {', '.join(stronger)}"] if stronger else []
    sentence = f"By more than {_CLEAR}, {'; '.join(told)}." if told else f"None changes by more than {_CLEAR}."
    return (
        "What the columns that say most of the earlier loans say of the later, each learned anew within its part (of "
        "these figures no intervals are known):\n\n"
        f"| column | ROC AUC alone, earlier | later |\n| --- | ---: | ---: |\n{lines}\n\n{sentence}"
    )
