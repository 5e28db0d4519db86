"""Charts as static SVG text: altair says what is drawn, vl-convert draws it; no script is left in the result.

The same rows give the same bytes. Colours come from the palette of Okabe and Ito and every verdict has its
own shape, so nothing hangs on telling red from green; what was not measured is said in grey, in its place.
"""

import re
from collections.abc import Sequence
from typing import Any

from aiops_pipelines.document import Chart
from aiops_pipelines.resources.chart_parts import (
    AMBER,
    BASELINE,
    BLUE,
    EDGE,
    FONT,
    GREEN,
    GREY,
    HALF,
    INK,
    PURPLE,
    QUIET,
    SKY,
    VERMILION,
    WHOLE,
    YELLOW,
    Layers,
    Rows,
    absent,
    bands,
    canvas,
    layered,
    limit_line,
    usd_ticks,
    value_axis,
    week_axis,
)
from aiops_pipelines.wording import inert, usd

STACK = (BLUE, SKY, GREEN, AMBER, YELLOW, PURPLE, GREY, VERMILION)
PARTS = ("system_prompt", "tools", "context", "history", "user", "input", "completion")
SHAPES = {
    "OK": (GREEN, "circle"),
    "DEGRADED": (VERMILION, "triangle-down"),
    "CANNOT TELL": (GREY, "diamond"),
}
CATEGORIES_SHOWN, LONGEST_NAME = 5, 60


def draw(chart: Chart) -> str:
    """Return a chart as an SVG element that shrinks with its column.

    Raises:
        ValueError: no chart of that kind is known.
    """
    if chart.kind not in KINDS:
        raise ValueError(f"There is no chart of kind {chart.kind!r}; there are {', '.join(sorted(KINDS))}.")
    import vl_convert
    from altair.utils.schemapi import debug_mode

    rows = [{key: _safe(value) for key, value in row.items()} for row in chart.rows]
    with debug_mode(False):  # checking each part against the JSON schema takes longer than drawing
        spec = layered(KINDS[chart.kind](rows, chart.settings))
    svg: str = vl_convert.vegalite_to_svg(spec)
    return re.sub(
        r'(<svg[^>]*?) width="(\d+)" height="\d+"', r'\1 style="width:100%;max-width:\2px"', svg, count=1
    )


def _safe(value: Any) -> Any:
    """Return text that vl-convert can draw: a character beyond the basic plane, cut in two, breaks it."""
    if not isinstance(value, str):
        return value
    return "".join(c if c <= "\uffff" else f"<U+{ord(c):X}>" for c in inert(value))[:LONGEST_NAME]


def quality_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Draw mean and interval by week over the baseline's mean and the tolerated drop, a shape per verdict."""
    import altair as alt

    scored = [row for row in rows if row["verdict"] in SHAPES and row.get("mean") is not None]
    values = [
        row[key]
        for row in scored
        for key in ("low", "high", "floor", "baseline", "mean")
        if row.get(key) is not None
    ]
    room = max(max(values) - min(values), 0.02) * 0.15 if values else 0
    span = [max(0, min(values) - room), min(1, max(values) + room)] if values else [0, 1]
    scale = alt.Scale(domain=span, zero=False, nice=False)
    unscored = {
        row["week"]: row["verdict"].lower()
        for row in rows
        if row not in scored and row["verdict"] != "baseline"
    }
    frozen = {row["week"]: "baseline" for row in rows if row["verdict"] == "baseline"}
    base = canvas(_held(rows), HALF).encode(x=week_axis(rows))
    low = base.encode(y=value_axis("low", ".2f", scale), y2=alt.Y2("high:Q"))
    lines = [
        base.mark_line(color=INK, strokeWidth=1, strokeDash=dash, opacity=0.75).encode(
            y=value_axis(name, ".2f", scale)
        )
        for name, dash in (("baseline", [1, 0]), ("floor", [4, 3]))
    ]
    points = canvas(scored, HALF).mark_point(size=85, filled=True, opacity=1, stroke=EDGE, strokeWidth=1)
    verdict = points.encode(
        x=week_axis(rows),
        y=value_axis("mean", ".2f", scale),
        color=alt.Color(
            "verdict:N", scale=alt.Scale(domain=list(SHAPES), range=[c for c, _ in SHAPES.values()])
        ),
        shape=alt.Shape(
            "verdict:N", scale=alt.Scale(domain=list(SHAPES), range=[s for _, s in SHAPES.values()])
        ),
    )
    naming = [
        canvas([row for row in _held(rows)[-1:] if row[field] is not None], HALF)
        .mark_text(align="left", dx=4, dy=dy, fontSize=10, color=QUIET, font=FONT)
        .encode(x=alt.XValue(HALF), y=value_axis(field, ".2f", scale), text=alt.TextValue(word))
        for field, word, dy in (("baseline", "baseline", -3), ("floor", "margin", 3))
    ]
    return [
        *bands(rows, frozen, HALF, BASELINE),
        *bands(rows, unscored, HALF),
        low.mark_area(color=BLUE, opacity=0.12),
        low.mark_rule(color=BLUE, opacity=0.5),
        *lines,
        base.mark_line(color=BLUE, strokeWidth=1.5).encode(y=value_axis("mean", ".2f", scale)),
        verdict,
        *naming,
    ]


def _held(rows: Rows) -> Rows:
    """Return the rows with baseline and margin carried into the weeks that have no verdict of their own."""
    known = [row for row in rows if row.get("baseline") is not None]
    nothing = {"mean": None, "low": None, "high": None, "baseline": None, "floor": None}
    held: Rows = []
    for row in rows:
        near = row if row in known else held[-1] if held else known[0] if known else nothing
        held.append({**nothing, **row, "baseline": near["baseline"], "floor": near.get("floor")})
    return held


def _stacked(rows: Rows, by: str, field: str, order: Sequence[str], number_format: str, width: int) -> Layers:
    import altair as alt

    shown = [
        row | {"rank": order.index(row[by])} for row in rows if row[by] is not None and row[field] is not None
    ]
    colour = alt.Color(
        f"{by}:N", sort=list(order), scale=alt.Scale(domain=list(order), range=list(STACK[: len(order)]))
    )
    bars = canvas(shown, width).mark_bar(width={"band": 0.72})
    stack = bars.encode(
        x=week_axis(rows), y=value_axis(field, number_format), color=colour, order=alt.Order("rank:O")
    )
    return [*absent(rows, field, width), stack]


def spend_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Stack each week's spend by part of the call, the prompt at the bottom and the answer on top."""
    found = sorted({row["part"] for row in rows if row["part"] is not None})
    order = [p for p in PARTS if p in found] + [p for p in found if p not in PARTS]
    names = {part: part.replace("_", " ") for part in order}
    named = [row | {"part": names.get(row["part"])} for row in rows]
    weeks: dict[Any, float] = {}
    for row in rows:
        weeks[row["week"]] = weeks.get(row["week"], 0.0) + float(row["cost_usd"] or 0)
    ticks = usd_ticks(max(weeks.values(), default=0.0))
    return _stacked(named, "part", "cost_usd", list(names.values()), ticks, HALF)


def guardrail_blocks_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Stack each week's blocked calls by category; rare categories share one colour."""
    sums: dict[str, int] = {}
    for row in rows:
        if row["category"] is not None:
            sums[row["category"]] = sums.get(row["category"], 0) + (row["blocks"] or 0)
    top = sorted(sums, key=lambda name: (-sums[name], name))[:CATEGORIES_SHOWN]
    names = {name: name.replace("_", " ") if name in top else "other" for name in sums}
    order = list(dict.fromkeys([names[name] for name in top] + (["other"] if len(sums) > len(top) else [])))
    named = [row | {"category": names.get(row["category"])} for row in rows]
    return _stacked(named, "category", "blocks", order, ",.0f", WHOLE)


def spend_waterfall(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Walk from a baseline week's spend to this week's, a step per cause."""
    import altair as alt

    labelled = []
    for row in rows:
        total = row["step"] == "total"
        said = usd(row["end"]) if total else usd(row["end"] - row["start"], signed=True)
        labelled.append(row | {"said": said, "top": max(row["start"], row["end"])})
    height = 30 * len(rows)
    y = alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=190, labelColor=INK))
    colours = alt.Scale(domain=["total", "up", "down"], range=[GREY, VERMILION, BLUE])
    highest = max(row["top"] for row in labelled) or 1
    x = alt.X(
        "start:Q",
        title=None,
        axis=alt.Axis(format=usd_ticks(highest), tickCount=4),
        scale=alt.Scale(domain=[0, highest * 1.18]),
    )
    base = canvas(labelled, HALF - 150, height).encode(y=y)
    bars = base.mark_bar(height=16).encode(
        x=x, x2=alt.X2("end:Q"), color=alt.Color("step:N", scale=colours, legend=None)
    )
    said = base.mark_text(align="left", dx=5, fontSize=11, color=INK, font=FONT).encode(
        x=alt.X("top:Q"), text=alt.Text("said:N")
    )
    return [bars, said]


def stale_share_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Draw the share of answers given from stale chunks; a week that is unknown is not a week at zero."""
    import altair as alt

    highest = max((row["share"] for row in rows if row["share"] is not None), default=0)
    y = value_axis(
        "share", ".0%" if highest > 0.04 else ".1%", alt.Scale(domain=[0, max(highest * 1.1, 0.01)])
    )
    base = canvas([row for row in rows if row["share"] is not None], WHOLE).encode(x=week_axis(rows), y=y)
    zero = base.transform_filter("datum.share == 0").mark_point(
        shape="stroke", size=160, color=GREEN, strokeWidth=3
    )
    bars = base.mark_bar(color=VERMILION, width={"band": 0.6})
    return [
        *absent(rows, "share", WHOLE),
        bars,
        zero,
        *limit_line(rows, settings.get("limit"), "share", WHOLE),
    ]


def latency_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Draw median and 95th percentile of latency by week, named at the line's end."""
    import altair as alt

    base = canvas(rows, HALF).encode(x=week_axis(rows))
    lines = []
    for field, colour, name in (("p95", BLUE, "p95"), ("p50", GREY, "median")):
        line = base.encode(y=value_axis(field, ",.0f"))
        last = [row for row in rows if row[field] is not None][-1:]
        word = canvas(last, HALF).mark_text(align="left", dx=8, fontSize=10, color=colour, font=FONT)
        lines += [
            line.mark_line(color=colour, strokeWidth=1.8),
            line.mark_point(color=colour, filled=True, size=35, opacity=1),
        ]
        lines += [word.encode(x=week_axis(rows), y=value_axis(field, ",.0f"), text=alt.TextValue(name))]
    return [*absent(rows, "p95", HALF), *lines, *limit_line(rows, settings.get("limit"), "p95", HALF)]


def calls_by_week(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Draw logged calls by week."""
    heard = [row for row in rows if row["calls"]]
    bars = canvas(heard, HALF).mark_bar(color=BLUE, width={"band": 0.6})
    said = [row | {"calls": row["calls"] or None} for row in rows]
    return [*absent(said, "calls", HALF), bars.encode(x=week_axis(rows), y=value_axis("calls", ",.0f"))]


def retrieval_by_version(rows: Rows, settings: dict[str, Any]) -> Layers:
    """Draw nDCG@10 with its interval for each index version, each way of ranking beside the BM25 floor."""
    import altair as alt

    order = list(dict.fromkeys(row["version"] for row in rows))
    marks = {"dense": (BLUE, "circle"), "bm25": (GREY, "square"), "fusion": (GREEN, "triangle-up")}
    marks = {ranker: mark for ranker, mark in marks.items() if any(row["ranker"] == ranker for row in rows)}
    rankers = list(marks)
    colours, outlines = [mark[0] for mark in marks.values()], [mark[1] for mark in marks.values()]
    base = canvas(rows, WHOLE).encode(
        x=alt.X("version:N", sort=order, title=None, axis=alt.Axis(labelAngle=0, labelLimit=200)),
        xOffset=alt.XOffset("ranker:N", sort=rankers, scale=alt.Scale(domain=rankers, paddingOuter=1)),
        color=alt.Color("ranker:N", scale=alt.Scale(domain=rankers, range=colours)),
    )
    low = min((row["low"] for row in rows if row["low"] is not None), default=0)
    scale = alt.Scale(domain=[max(0, low - 0.05), 1], nice=False)
    interval = base.mark_rule(strokeWidth=2).encode(y=value_axis("low", ".2f", scale), y2=alt.Y2("high:Q"))
    shapes = alt.Scale(domain=rankers, range=outlines)
    mean = base.mark_point(filled=True, size=90, opacity=1).encode(
        y=value_axis("mean", ".2f", scale), shape=alt.Shape("ranker:N", scale=shapes)
    )
    said = base.mark_text(align="left", dx=9, fontSize=11, font=FONT).encode(
        y=value_axis("mean", ".2f", scale), text=alt.Text("mean:Q", format=".3f")
    )
    return [interval, mean, said]


KINDS = {
    draw_kind.__name__: draw_kind
    for draw_kind in (
        quality_by_week,
        spend_by_week,
        spend_waterfall,
        stale_share_by_week,
        latency_by_week,
        calls_by_week,
        guardrail_blocks_by_week,
        retrieval_by_version,
    )
}
