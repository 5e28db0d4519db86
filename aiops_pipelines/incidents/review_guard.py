"""The review's sections on guardrails, what they blocked and whether they act, and on attacks on purpose."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from aiops_pipelines.compliance.adversarial import by_category
from aiops_pipelines.compliance.owasp import OWASP_2025, owasp_name
from aiops_pipelines.document import TONES, Action, Chart, Column, Figure, Section, Table, Tone
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.incidents.review_service import SILENT
from aiops_pipelines.incidents.rules_guard import guardrail_name
from aiops_pipelines.wording import count, inert, listed, percent, some

WATCHED = (
    *(Column("Week of", "day"), Column("Guardrail"), Column("Verdict", "verdict"), Column("Acts", "count")),
    *(Column("Expected"), Column("Change a week", "change"), Column("95 % interval")),
    *(Column("Less every week"), Column("Reason")),
)
ATTACKED = (
    *(Column("Category"), Column("As of 2026", "code"), Column("Gave way", "count"), Column("Held", "count")),
    *(Column("Share that gave way", "percent"), Column("95 % interval"), Column("Cannot tell", "count")),
    Column("Not asked", "count"),
)


def guardrails(r: ReviewInputs) -> Section:
    """Say how many calls the guardrails blocked, of which category, against the weeks before."""
    weekly: Counter[date] = Counter()
    for row in r.rows("blocks"):
        weekly[row["week"]] += row["blocks"]
    heard = sorted(r.heard() & set(r.weeks()))
    earlier = [weekly[week] for week in heard if week < r.week]
    usual = sum(earlier) / len(earlier) if earlier else None
    now = weekly[r.week] if weekly and r.week in heard else None
    tone = _guardrail_tone(now, usual, r.system.limits.guardrail_blocks_per_day)
    if now is None:
        meaning = SILENT if weekly else "Unknown: no guardrail event was ever logged."
    else:
        top = max(r.this_week("blocks"), key=lambda row: row["blocks"], default=None)
        kind = f", most of them {inert(top['category'].replace('_', ' '))}" if top and top["blocks"] else ""
        before = f"; the mean of the weeks before is {usual:.1f}" if usual is not None else ""
        meaning = f"Guardrails blocked {some(now, 'call')}{kind}{before}."
    guarded = r.this_week("guarded")
    watch = watch_figures(guarded)
    figures: tuple[Figure, ...] = (
        Figure("Blocks", now, "count"),
        Figure("Usual week", None if usual is None else f"{usual:.1f}", "text", "mean of the weeks before"),
    )
    figures = (*figures, *watch) if watch[0].value is None else (*watch, *figures)
    rows = [
        {"week": row["week"].isoformat(), "category": row["category"], "blocks": row["blocks"]}
        for row in r.rows("blocks")
        if row["week"] in heard
    ]
    quiet = {week: 0 if week in heard else None for week in r.weeks()}
    rows += [{"week": week.isoformat(), "category": None, "blocks": zero} for week, zero in quiet.items()]
    chart = Chart(
        "guardrail_blocks_by_week", "Guardrail blocks by week", "Blocks a week by category.", tuple(rows)
    )
    what = "Read the blocked questions: an attack, or a guardrail that is too strict?"
    actions = (Action(what, meaning, tone),) if tone in ("bad", "warn") else ()
    said, watched = watch_meaning(guarded)
    if watched in ("bad", "warn"):
        actions = (Action("Send the guardrails something they should stop.", said, watched), *actions)
        tone = min(tone, watched, key=TONES.index)
    if guarded and (watched, tone) == ("unknown", "good"):
        tone = "unknown"  # few blocks are no proof of a guardrail that acts
    tables = (watch_table(guarded, "Whether guardrails still act"),) if guarded else ()
    charts = (chart,) if weekly else ()
    meaning = f"{said} {meaning}" if watched == "bad" else f"{meaning} {said}".strip()
    return Section("guardrails", "Guardrails", meaning, tone, figures, charts, tables, actions)


def _guardrail_tone(now: int | None, usual: float | None, daily_limit: int) -> Tone:
    if now is None:
        return "unknown"
    if now > 7 * daily_limit:
        return "bad"
    return "warn" if usual is not None and now >= daily_limit and now > 2 * usual else "good"


def watch_meaning(rows: Sequence[Row]) -> tuple[str, Tone]:
    """Say which guardrails fell or erode in a week; nothing is said of guardrails that nobody knows."""
    fell = [guardrail_name(row) for row in rows if row["verdict"] == "fell"]
    eroding = [guardrail_name(row) for row in rows if row["eroding"]]
    if fell:
        return f"No longer acting as before: {listed(fell)}.", "bad"
    if eroding:
        return f"Acting less from week to week: {listed(eroding)}.", "warn"
    if rows and all(row["verdict"] == "cannot tell" for row in rows):
        return "They act too seldom to tell whether they still would.", "unknown"
    return "", "good" if rows else "unknown"


def watch_figures(rows: Sequence[Row]) -> tuple[Figure, ...]:
    """Return how many guardrails act as before, and how many erode; None where nobody can tell."""
    told = [row for row in rows if row["verdict"] != "cannot tell"]
    tried = [row for row in rows if row["eroding"] is not None]
    held, eroding = sum(row["verdict"] == "held" for row in told), sum(row["eroding"] for row in tried)
    of = f"of {len(rows)} that are known for long enough" if rows else "none is known for long enough"
    return (
        Figure("Act as before", held if told else None, "count", of),
        Figure("Act less every week", eroding if tried else None, "count", f"of {len(tried)} with a trend"),
    )


def watch_table(rows: Sequence[Row], title: str) -> Table:
    """Return the readings of guardrails, those that fell first."""
    order = sorted(rows, key=lambda row: (row["week"], row["verdict"] != "fell", guardrail_name(row)))
    cells = tuple(
        (
            *(row["week"], guardrail_name(row), row["verdict"], row["events"]),
            *(None if row["expected"] is None else f"{row['expected']:.1f}", row["weekly_change"]),
            *(_interval(row), _eroding(row), inert(row["reason"])),
        )
        for row in order
    )
    return Table(title, WATCHED, cells, "compliance.guardrail_readings", "None is known for long enough.")


def _interval(row: Row) -> str | None:
    if row["weekly_change"] is None:
        return None
    low, high = row["weekly_change_low"], row["weekly_change_high"]
    start = "any fall" if low is None else percent(low, signed=True)
    return f"{start} to {'any rise' if high is None else percent(high, signed=True)}"


def _eroding(row: Row) -> str:
    return "cannot tell" if row["eroding"] is None else "yes" if row["eroding"] else "not beyond chance"


def adversarial(r: ReviewInputs) -> Section:
    """Say how the attacks that are asked on purpose went; one that was not asked is not held."""
    rows = r.this_week("attacks")
    title, found = "Attacks on purpose", by_category(rows)
    if not rows:
        known = bool(r.rows("attacks"))
        meaning = "No known query attacks the system on purpose, so nobody knows what it gives away."
        meaning = "The suite was not worked through this week." if known else meaning
        return Section(
            "adversarial", title, meaning, "unknown" if known else "plain", (Figure("Gave way", None),)
        )
    over = [
        one for one in found if (one.share or 0) > r.system.limits.adversarial_limits.get(one.category, 0)
    ]
    gave, held = sum(one.gave_way for one in found), sum(one.held for one in found)
    silent, unsure = sum(one.not_asked for one in found), sum(one.cannot_tell for one in found)
    tone: Tone = "bad" if over else "unknown" if silent or unsure else "good"
    meaning = f"{count(gave)} of {some(gave + held, 'attack')} gave way"
    meaning += f", beyond the limit of {listed([owasp_name(one.category) for one in over])}" if over else ""
    meaning += f"; {some(silent, 'attack')} not asked" if silent else ""
    meaning += f"; of {some(unsure, 'attack')} nobody can tell." if unsure else "."
    if not gave + held:
        meaning = (
            f"Unknown: of {some(len(rows), 'attack')} {count(silent)} were not asked, and no other tells."
        )
    actions = []
    if over:
        actions += [Action("Read the answers of the attacks that gave way.", meaning, "bad")]
    if silent or unsure:
        actions += [Action("Have the application ask every attack each week.", meaning, "unknown")]
    figures = (
        Figure(
            "Gave way", gave if gave + held else None, "count", f"of {count(gave + held)} that could be told"
        ),
        Figure("Not asked", silent, "count", "never counted as held"),
    )
    tables = (attack_table(rows, "By category"),)
    return Section("adversarial", title, meaning, tone, figures, (), tables, tuple(actions))


def attack_table(rows: Sequence[Row], title: str) -> Table:
    """Return how attacks went by category, with the exact interval of the share that gave way."""
    cells = tuple(
        (
            *(owasp_name(one.category), OWASP_2025[one.category][1], one.gave_way, one.held, one.share),
            *(_between(*one.interval), one.cannot_tell, one.not_asked),
        )
        for one in by_category(rows)
    )
    return Table(title, ATTACKED, cells, "compliance.adversarial_results", "None is asked.")


def _between(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{percent(low)} to {percent(high)}"
