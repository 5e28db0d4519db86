"""A verdict on a remedy in words: the sentence of `incidents.remedy_proofs`, and what pages say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aiops_pipelines.document import Column, Table, Tone
from aiops_pipelines.drift.comparison import CONFIDENCE
from aiops_pipelines.wording import Kind, count, inert, listed, moment, some

HELD, BETTER, NOT_HELD, CANNOT_TELL = "held", "better, not back", "not held", "CANNOT TELL"
WORST_FIRST = (NOT_HELD, BETTER, CANNOT_TELL, HELD)
TONES: Mapping[str | None, Tone] = {HELD: "good", BETTER: "warn", NOT_HELD: "bad", CANNOT_TELL: "unknown"}
NOT_YET = "not judged yet: the next run does"
Row = Mapping[str, Any]
Remedied = tuple[Row, list[Row]]
"""A remedy, and its rows of `incidents.remedy_proofs`."""


@dataclass(frozen=True)
class Said:
    """What a sentence says besides the figures of its row.

    `every` is how long the rule's periods are (day, week, month; empty where it judges events), `no_effect`
    why none can be computed, `tests` how many limits Holm's correction is over, `cut_short` whether another
    remedy ended what is judged, `alone` whether the period that raised the alarm is all there is before.
    """

    every: str
    no_effect: str
    tests: int
    cut_short: bool
    alone: bool


def reason(row: Row, about: Said) -> str:
    """Return the sentence of a row of `incidents.remedy_proofs`, whose other figures are given."""
    if not row["signal"]:
        return "No rule watches what a person reported, so no limit says whether it held; people judge."
    if not row["periods_after"]:
        return _waiting(row, about.every, about.cut_short)
    said = [f"{_by_rule(row, about.every)}{_values(row)}.", _effect(row, about)]
    said += ["So it may have passed by itself."] if row["verdict"] == CANNOT_TELL else []
    return " ".join([*said, changed_as_well(row)])


def changed_as_well(row: Row) -> str:
    """Say what else changed meanwhile, the last sentence of a verdict on a limit."""
    if row["also_changed"]:
        return f"Changed as well: {listed(list(row['also_changed']))}; before and after is no proof of cause."
    return "Nothing else is known to have changed; before and after is no proof of cause all the same."


def _by_rule(row: Row, every: str) -> str:
    number, broken = row["periods_after"], row["periods_broken"]
    period = f"whole {every}" if every else "reading"
    since = f"judged since, up to {moment(row['judged_until'])}"
    if not broken:
        return f"Calm in {'the' if number == 1 else f'all {number}'} {period}{'s' * (number > 1)} {since}"
    of = f"The {period}" if number == 1 else f"{count(broken)} of {some(number, period)}"
    return f"{of} {since}, {'breaks' if broken == 1 else 'break'} the limit"


def _waiting(row: Row, every: str, cut_short: bool) -> str:
    if row["waits_until"]:
        return f"No whole {every} was judged since; the first that can be ends {moment(row['waits_until'])}."
    if cut_short:
        return f"The next remedy came before a whole {every or 'period'} since was judged."
    return "Its rule judges what happens, and nothing did since that could be judged."


def _values(row: Row) -> str:
    before, after, limit = (row[f"{name}"] for name in ("value_before", "value_after", "limit_value"))
    if after is None:
        return ""
    was = "" if before is None else f", {before:.3g} before"
    return f" ({after:.3g} since{was}{'' if limit is None else f', limit {limit:.3g}'})"


def _effect(row: Row, about: Said) -> str:
    if row["effect"] is None:
        return f"No effect is computed, for {about.no_effect}; the rule alone decides."
    low, high, better = row["effect_low"], row["effect_high"], row["effect"] > 0
    ends = (low, high) if better else (-high, -low)
    p = row["p_adjusted"]
    chance = "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"
    chance += f" by Holm over {about.tests} limits" if about.tests > 1 else ""
    chance += ", given that the period before was picked for breaking it" if about.alone else ""
    return (
        f"{'Better' if better else 'Worse'} by {abs(row['effect']):.3g} ({row['effect_unit']}; 95 % interval "
        f"{ends[0]:.3g} to {ends[1]:.3g}, {chance}){'' if shown(row) else ', so no improvement is shown'}."
    )


def shown(row: Row) -> bool:
    """Say whether an improvement is shown: by its 95 % interval, and by its p after Holm's correction."""
    low, p = row["effect_low"], row["p_adjusted"]
    return low is not None and p is not None and low > 0 and p < 1 - CONFIDENCE


def worst(proofs: Iterable[Row]) -> str | None:
    """Return the verdict on a remedy out of those on its limits, the worst; None before a run judged it."""
    return min((row["verdict"] for row in proofs), key=WORST_FIRST.index, default=None)


def with_proofs(remedies: pl.DataFrame, proofs: pl.DataFrame) -> list[Remedied]:
    """Return remedies in order, each with its rows of `incidents.remedy_proofs`."""
    if not remedies.width:
        return []
    found: dict[str, list[Row]] = {}
    for row in proofs.rows(named=True):
        found.setdefault(row["remedy_id"], []).append(row)
    ordered = remedies.sort("at", "recorded_at", "remedy_id").rows(named=True)
    return [(row, found.get(row["remedy_id"], [])) for row in ordered]


def told(remedy: Row, proofs: Sequence[Row]) -> Iterator[tuple[Tone, str]]:
    """Yield a remedy with its verdict, and a sentence for each limit, the worst first; proofs are its own."""
    verdict = worst(proofs)
    did = inert(f"{remedy['did']} {remedy['outcome'] or ''}".strip())
    by = f"{moment(remedy['at'])}, by {inert(remedy['actor'])} ({remedy['kind']})"
    yield TONES.get(verdict, "unknown"), f"{remedy['remedy_id']}, {by}: {did} {_in_capitals(verdict)}."
    for row in sorted(proofs, key=lambda row: WORST_FIRST.index(row["verdict"])):
        body = row["reason"].removesuffix(changed_as_well(row)).strip()
        yield TONES[row["verdict"]], inert(f"{limit_name(row)}: {row['verdict']}. {body}")
    changes = [changed_as_well(row) for row in proofs if row["periods_after"]]
    if changes:
        yield "plain", inert(max(changes, key=len))


def remedy_table(remedies: Iterable[Remedied], title: str) -> Table:
    """Return remedies with the worst verdict on their limits; each comes with its proofs."""
    columns = ("Incident", "Remedy", "Done", "By", "Verdict", "Why")
    kinds: Mapping[str, Kind] = {"Incident": "code", "Remedy": "text", "Done": "moment", "Verdict": "verdict"}
    cells = []
    for remedy, proofs in remedies:
        verdict = worst(proofs)
        why = [f"{limit_name(row)}: {row['reason']}" for row in proofs if row["verdict"] == verdict]
        what = f"{remedy['did']} ({remedy['kind']}, {remedy['remedy_id']})"
        said = verdict or NOT_YET, inert(why[0]) if why else "No run was made since it was recorded."
        cells.append((remedy["incident_id"], inert(what), remedy["at"], inert(remedy["actor"]), *said))
    named = tuple(Column(name, kinds.get(name, "text")) for name in columns)
    return Table(title, named, tuple(cells), "incidents.remedy_proofs", "No remedy.")


def some_remedies(number: int) -> str:
    """Write a number of remedies: 1 remedy, 2 remedies."""
    return "1 remedy" if number == 1 else f"{count(number)} remedies"


def _in_capitals(verdict: str | None) -> str:
    words = verdict or NOT_YET
    return words[0].upper() + words[1:]


def limit_name(row: Row) -> str:
    """Name the limit that a proof is about: quality degraded, answer support (known)."""
    name = row["signal"].replace("_", " ") or "no rule"
    return f"{name}, {row['subject']}" if row["subject"] else name
