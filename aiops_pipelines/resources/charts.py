"""Charts as static SVG text: altair says what is drawn, vl-convert draws it; no script is left in the result.

The same rows give the same bytes. Colours come from the palette of Okabe and Ito and every verdict has its
own shape, so nothing hangs on telling red from green; what was not measured is said in grey, in its place.
"""

import re
from collections.abc import Sequence
from typing import Any

from aiops_pipelines.document import Chart
from aiops_pipelines.wording import inert, usd

INK, QUIET, LINE, GREY, PALE = "#1d2430", "#5b6472", "#e3e6eb", "#858d9b", "#f1f2f4"
BLUE, SKY, GREEN, VERMILION = "#0072b2", "#56b4e9", "#00795c", "#d55e00"
STACK = (BLUE, SKY, GREEN, "#e69f00", "#e0cf4a", "#a8558a", GREY, VERMILION)
PARTS = ("system_prompt", "tools", "context", "history", "user", "input", "completion")
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
SHAPES = {
    "OK": (GREEN, "circle"),
    "DEGRADED": (VERMILION, "triangle-down"),
    "CANNOT TELL": (GREY, "diamond"),
}
HALF, WHOLE, HEIGHT = 430, 920, 170
CATEGORIES_SHOWN, LONGEST_NAME = 5, 60
Rows = list[dict[str, Any]]


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
        spec = KINDS[chart.kind](rows, chart.settings).configure(**_style()).to_dict(validate=False)
    svg: str = vl_convert.vegalite_to_svg(spec)
    return re.sub(
        r'(<svg[^>]*?) width="(\d+)" height="\d+"', r'\1 style="width:100%;max-width:\2px"', svg, count=1
    )


def _safe(value: Any) -> Any:
    """Return text that vl-convert can draw: a character beyond the basic plane, cut in two, breaks it."""
    if not isinstance(value, str):
        return value
    return "".join(c if c <= "\uffff" else f"<U+{ord(c):X}>" for c in inert(value))[:LONGEST_NAME]


def _style() -> dict[str, Any]:
    label = {
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelColor": QUIET,
    }
    axis = {
        "titleColor": QUIET,
        "titleFontWeight": "normal",
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
    }
    legend = {
        "title": None,
        "orient": "top",
        "symbolSize": 90,
        "padding": 0,
        "columnPadding": 14,
        "labelLimit": 220,
    }
    style = {"background": "transparent", "padding": 4, "view": {"stroke": None}, "font": FONT}
    return {**style, "axis": {**label, **axis, "gridColor": LINE}, "legend": {**label, **legend}}


def _canvas(rows: Sequence[dict[str, Any]], width: int, height: int = HEIGHT) -> Any:
    import altair as alt

    return alt.Chart(alt.Data(values=list(rows)), width=width, height=height)


def _weeks(rows: Rows) -> Any:
    import altair as alt

    label = "utcFormat(toDate(datum.value), '%-d %b')"
    axis = alt.Axis(labelExpr=label, labelAngle=0, labelOverlap="parity", labelSeparation=7, grid=False)
    scale = alt.Scale(domain=sorted({row["week"] for row in rows}), padding=0)
    return alt.X("week:O", title=None, axis=axis, scale=scale)


def _bands(rows: Rows, said: dict[str, str], width: int, tint: str = PALE) -> list[Any]:
    """Tint the columns of some weeks (week -> word) and write each run's word once, upright."""
    import altair as alt

    weeks = sorted({row["week"] for row in rows})
    runs: list[list[str]] = []
    for before, week in zip([None, *weeks], weeks, strict=False):
        if week in said and (before is None or said.get(before) != said[week]):
            runs.append([])
        if week in said:
            runs[-1].append(week)
    marked = [{"week": week} for week in said]
    words = [
        {"week": run[(len(run) - 1) // 2], "said": said[run[0]], "even": len(run) % 2 == 0} for run in runs
    ]
    band = (
        _canvas(marked, width)
        .mark_bar(color=tint, width={"band": 1})
        .encode(x=_weeks(rows), y=alt.value(0), y2=alt.value(HEIGHT))
    )
    written = [
        _canvas([word for word in words if word["even"] is even], width)
        .mark_text(angle=270, color=QUIET, fontSize=10, font=FONT, dy=width / len(weeks) / 2 if even else 0)
        .encode(x=_weeks(rows), y=alt.value(HEIGHT / 2), text="said:N")
        for even in (False, True)
    ]
    return [band, *written] if said else []


def _absent(rows: Rows, field: str, width: int) -> list[Any]:
    known = {row["week"] for row in rows if row.get(field) is not None}
    return _bands(rows, {row["week"]: "no data" for row in rows if row["week"] not in known}, width)


def _limit(rows: Rows, limit: float | None, field: str, width: int) -> list[Any]:
    """Draw a limit as a dashed line when the figures come near it; far above, it would flatten them."""
    import altair as alt

    highest = max((row[field] for row in rows if row.get(field) is not None), default=0)
    if limit is None or limit > 2 * highest:
        return []
    base = _canvas([{"limit": limit}], width).encode(y="limit:Q")
    word = base.mark_text(align="left", dx=4, color=VERMILION, fontSize=10, font=FONT)
    said = word.encode(x=alt.value(width), text=alt.value("limit"))
    return [base.mark_rule(color=VERMILION, strokeDash=[5, 3]), said]


def _y(field: str, number_format: str, scale: Any = None) -> Any:
    import altair as alt

    axis = alt.Axis(format=number_format, tickCount=5)
    return alt.Y(f"{field}:Q", title=None, axis=axis, **({"scale": scale} if scale else {}))


def quality_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
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
    base = _canvas(_held(rows), HALF).encode(x=_weeks(rows))
    low = base.encode(y=_y("low", ".2f", scale), y2="high:Q")
    lines = [
        base.mark_line(color=INK, strokeWidth=1, strokeDash=dash, opacity=0.75).encode(
            y=_y(name, ".2f", scale)
        )
        for name, dash in (("baseline", [1, 0]), ("floor", [4, 3]))
    ]
    points = _canvas(scored, HALF).mark_point(size=85, filled=True, opacity=1, stroke="white", strokeWidth=1)
    verdict = points.encode(
        x=_weeks(rows),
        y=_y("mean", ".2f", scale),
        color=alt.Color(
            "verdict:N", scale=alt.Scale(domain=list(SHAPES), range=[c for c, _ in SHAPES.values()])
        ),
        shape=alt.Shape(
            "verdict:N", scale=alt.Scale(domain=list(SHAPES), range=[s for _, s in SHAPES.values()])
        ),
    )
    naming = [
        _canvas([row for row in _held(rows)[-1:] if row[field] is not None], HALF)
        .mark_text(align="left", dx=4, dy=dy, fontSize=10, color=QUIET, font=FONT)
        .encode(x=alt.value(HALF), y=_y(field, ".2f", scale), text=alt.value(word))
        for field, word, dy in (("baseline", "baseline", -3), ("floor", "margin", 3))
    ]
    return alt.layer(
        *_bands(rows, frozen, HALF, "#e6f0f8"),
        *_bands(rows, unscored, HALF),
        low.mark_area(color=BLUE, opacity=0.12),
        low.mark_rule(color=BLUE, opacity=0.5),
        *lines,
        base.mark_line(color=BLUE, strokeWidth=1.5).encode(y=_y("mean", ".2f", scale)),
        verdict,
        *naming,
    )


def _held(rows: Rows) -> Rows:
    """Return the rows with baseline and margin carried into the weeks that have no verdict of their own."""
    known = [row for row in rows if row.get("baseline") is not None]
    nothing = {"mean": None, "low": None, "high": None, "baseline": None, "floor": None}
    held: Rows = []
    for row in rows:
        near = row if row in known else held[-1] if held else known[0] if known else nothing
        held.append({**nothing, **row, "baseline": near["baseline"], "floor": near.get("floor")})
    return held


def _stacked(rows: Rows, by: str, field: str, order: Sequence[str], number_format: str, width: int) -> Any:
    import altair as alt

    shown = [
        row | {"rank": order.index(row[by])} for row in rows if row[by] is not None and row[field] is not None
    ]
    colour = alt.Color(
        f"{by}:N", sort=list(order), scale=alt.Scale(domain=list(order), range=list(STACK[: len(order)]))
    )
    bars = _canvas(shown, width).mark_bar(width={"band": 0.72})
    stack = bars.encode(x=_weeks(rows), y=_y(field, number_format), color=colour, order=alt.Order("rank:O"))
    return alt.layer(*_absent(rows, field, width), stack)


def spend_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
    """Stack each week's spend by part of the call, the prompt at the bottom and the answer on top."""
    found = sorted({row["part"] for row in rows if row["part"] is not None})
    order = [p for p in PARTS if p in found] + [p for p in found if p not in PARTS]
    names = {part: part.replace("_", " ") for part in order}
    named = [row | {"part": names.get(row["part"])} for row in rows]
    return _stacked(named, "part", "cost_usd", list(names.values()), "$,.2f", HALF)


def guardrail_blocks_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
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


def spend_waterfall(rows: Rows, settings: dict[str, Any]) -> Any:
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
        axis=alt.Axis(format="$,.0f", tickCount=4),
        scale=alt.Scale(domain=[0, highest * 1.18]),
    )
    base = _canvas(labelled, HALF - 150, height).encode(y=y)
    bars = base.mark_bar(height=16).encode(
        x=x, x2="end:Q", color=alt.Color("step:N", scale=colours, legend=None)
    )
    said = base.mark_text(align="left", dx=5, fontSize=11, color=INK, font=FONT).encode(
        x=alt.X("top:Q"), text="said:N"
    )
    return alt.layer(bars, said)


def stale_share_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
    """Draw the share of answers given from stale chunks; a week that is unknown is not a week at zero."""
    import altair as alt

    highest = max((row["share"] for row in rows if row["share"] is not None), default=0)
    y = _y("share", ".0%" if highest > 0.04 else ".1%", alt.Scale(domain=[0, max(highest * 1.1, 0.01)]))
    base = _canvas([row for row in rows if row["share"] is not None], WHOLE).encode(x=_weeks(rows), y=y)
    zero = base.transform_filter("datum.share == 0").mark_point(
        shape="stroke", size=160, color=GREEN, strokeWidth=3
    )
    bars = base.mark_bar(color=VERMILION, width={"band": 0.6})
    return alt.layer(
        *_absent(rows, "share", WHOLE), bars, zero, *_limit(rows, settings.get("limit"), "share", WHOLE)
    )


def latency_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
    """Draw median and 95th percentile of latency by week, named at the line's end."""
    import altair as alt

    base = _canvas(rows, HALF).encode(x=_weeks(rows))
    lines = []
    for field, colour, name in (("p95", BLUE, "p95"), ("p50", GREY, "median")):
        line = base.encode(y=_y(field, ",.0f"))
        last = [row for row in rows if row[field] is not None][-1:]
        word = _canvas(last, HALF).mark_text(align="left", dx=8, fontSize=10, color=colour, font=FONT)
        lines += [
            line.mark_line(color=colour, strokeWidth=1.8),
            line.mark_point(color=colour, filled=True, size=35, opacity=1),
        ]
        lines += [word.encode(x=_weeks(rows), y=_y(field, ",.0f"), text=alt.value(name))]
    return alt.layer(*_absent(rows, "p95", HALF), *lines, *_limit(rows, settings.get("limit"), "p95", HALF))


def calls_by_week(rows: Rows, settings: dict[str, Any]) -> Any:
    """Draw logged calls by week."""
    import altair as alt

    heard = [row for row in rows if row["calls"]]
    bars = _canvas(heard, HALF).mark_bar(color=BLUE, width={"band": 0.6})
    said = [row | {"calls": row["calls"] or None} for row in rows]
    return alt.layer(*_absent(said, "calls", HALF), bars.encode(x=_weeks(rows), y=_y("calls", ",.0f")))


def retrieval_by_version(rows: Rows, settings: dict[str, Any]) -> Any:
    """Draw nDCG@10 with its interval for each index version, each way of ranking beside the BM25 floor."""
    import altair as alt

    order = list(dict.fromkeys(row["version"] for row in rows))
    marks = {"dense": (BLUE, "circle"), "bm25": (GREY, "square"), "fusion": (GREEN, "triangle-up")}
    marks = {ranker: mark for ranker, mark in marks.items() if any(row["ranker"] == ranker for row in rows)}
    rankers = list(marks)
    colours, outlines = [mark[0] for mark in marks.values()], [mark[1] for mark in marks.values()]
    base = _canvas(rows, WHOLE).encode(
        x=alt.X("version:N", sort=order, title=None, axis=alt.Axis(labelAngle=0, labelLimit=200)),
        xOffset=alt.XOffset("ranker:N", sort=rankers, scale=alt.Scale(domain=rankers, paddingOuter=1)),
        color=alt.Color("ranker:N", scale=alt.Scale(domain=rankers, range=colours)),
    )
    low = min((row["low"] for row in rows if row["low"] is not None), default=0)
    scale = alt.Scale(domain=[max(0, low - 0.05), 1], nice=False)
    interval = base.mark_rule(strokeWidth=2).encode(y=_y("low", ".2f", scale), y2="high:Q")
    shapes = alt.Scale(domain=rankers, range=outlines)
    mean = base.mark_point(filled=True, size=90, opacity=1).encode(
        y=_y("mean", ".2f", scale), shape=alt.Shape("ranker:N", scale=shapes)
    )
    said = base.mark_text(align="left", dx=9, fontSize=11, font=FONT).encode(
        y=_y("mean", ".2f", scale), text=alt.Text("mean:Q", format=".3f")
    )
    return alt.layer(interval, mean, said)


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
