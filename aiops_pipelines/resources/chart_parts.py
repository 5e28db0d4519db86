"""What charts are put together from: palette, type, canvas, axes, and how a week without data is drawn."""

from collections.abc import Sequence
from typing import Any

INK, QUIET, LINE, GREY, PALE = "#1d2430", "#5b6472", "#e3e6eb", "#858d9b", "#f1f2f4"
BLUE, SKY, GREEN, VERMILION = "#0072b2", "#56b4e9", "#00795c", "#d55e00"
BASELINE, EDGE = "#e6f0f8", "white"
AMBER, YELLOW, PURPLE = "#e69f00", "#e0cf4a", "#a8558a"
DARK_PAPER = "#171b22"
DARK = {
    **{INK: "#e4e8ee", QUIET: "#9aa4b2", LINE: "#2f3743", GREY: "#929cab", PALE: "#252b34"},
    **{BLUE: "#3f9fe0", SKY: "#a5dafa", GREEN: "#35b892", VERMILION: "#ff8a45", PURPLE: "#d08dba"},
    **{BASELINE: "#1c2c3c", EDGE: DARK_PAPER},
}
"""Each colour that is another one on a page that is read in the dark; the others are seen on both."""
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
HALF, WHOLE, HEIGHT = 430, 920, 170
Rows = list[dict[str, Any]]
Layers = list[Any]
"""Charts of altair, the lowest first."""


def style() -> dict[str, Any]:
    """Return type, colours of axes and legend, for every chart."""
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


def canvas(rows: Sequence[dict[str, Any]], width: int, height: int = HEIGHT) -> Any:
    """Return an empty chart over rows; sizes in pixels."""
    import altair as alt

    return alt.Chart(alt.Data(values=list(rows)), width=width, height=height)


def layered(layers: Layers) -> dict[str, Any]:
    """Return charts of one size laid over one another, as vl-convert takes them.

    `altair.layer` does the same and copies every chart four times, which is half the time of a drawing.
    """
    parts = [layer.to_dict(validate=False, context={"top_level": False}) for layer in layers]
    *_, size = [{side: part.pop(side) for side in ("width", "height")} for part in parts]
    return {**size, "layer": parts, "config": style()}


def week_axis(rows: Rows) -> Any:
    """Return the horizontal axis: the rows' weeks, each at its place."""
    import altair as alt

    label = "utcFormat(toDate(datum.value), '%-d %b')"
    axis = alt.Axis(labelExpr=label, labelAngle=0, labelOverlap="parity", labelSeparation=7, grid=False)
    scale = alt.Scale(domain=sorted({row["week"] for row in rows}), padding=0)
    return alt.X("week:O", title=None, axis=axis, scale=scale)


def bands(rows: Rows, said: dict[str, str], width: int, tint: str = PALE) -> Layers:
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
        canvas(marked, width)
        .mark_bar(color=tint, width={"band": 1})
        .encode(x=week_axis(rows), y=alt.YValue(0), y2=alt.Y2Value(HEIGHT))
    )
    written = [
        canvas([word for word in words if word["even"] is even], width)
        .mark_text(angle=270, color=QUIET, fontSize=10, font=FONT, dy=width / len(weeks) / 2 if even else 0)
        .encode(x=week_axis(rows), y=alt.YValue(HEIGHT / 2), text=alt.Text("said:N"))
        for even in (False, True)
    ]
    return [band, *written] if said else []


def absent(rows: Rows, field: str, width: int) -> Layers:
    """Tint the weeks in which a figure is missing, and say so."""
    known = {row["week"] for row in rows if row.get(field) is not None}
    return bands(rows, {row["week"]: "no data" for row in rows if row["week"] not in known}, width)


def limit_line(rows: Rows, limit: float | None, field: str, width: int) -> Layers:
    """Draw a limit as a dashed line when the figures come near it; far above, it would flatten them."""
    import altair as alt

    highest = max((row[field] for row in rows if row.get(field) is not None), default=0)
    if limit is None or limit > 2 * highest:
        return []
    base = canvas([{"limit": limit}], width).encode(y=alt.Y("limit:Q"))
    word = base.mark_text(align="left", dx=4, color=VERMILION, fontSize=10, font=FONT)
    said = word.encode(x=alt.XValue(width), text=alt.TextValue("limit"))
    return [base.mark_rule(color=VERMILION, strokeDash=[5, 3]), said]


def value_axis(field: str, number_format: str, scale: Any = None) -> Any:
    """Return the vertical axis of a figure."""
    import altair as alt

    axis = alt.Axis(format=number_format, tickCount=5)
    return alt.Y(f"{field}:Q", title=None, axis=axis, **({"scale": scale} if scale else {}))


def usd_ticks(largest: float) -> str:
    """Return the format of an axis in US dollars on which no two of four or five ticks read the same."""
    step = largest / 5
    return f"$,.{0 if step >= 1 else 2 if step >= 0.01 else 4 if step >= 0.0001 else 6}f"
