"""Charts as SVG: well-formed, inert, repeatable, and honest about what is missing."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from aiops_pipelines.document import Chart
from aiops_pipelines.incidents.review import weekly_review
from aiops_pipelines.resources.charts import KINDS, draw
from aiops_pipelines.wording import usd
from aiops_pipelines_tests.incidents.fourteen_weeks import WEEKS, inputs

CHARTS = {
    (part.key, chart.title): chart
    for part in weekly_review(inputs(WEEKS[11])).sections
    for chart in part.charts
}
BY_KIND = {chart.kind: chart for chart in CHARTS.values()}
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def texts(svg: str) -> list[str]:
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")
    ]


def test_every_kind_of_chart_is_in_the_review() -> None:
    assert set(BY_KIND) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_chart_is_static_well_formed_and_repeatable(kind: str) -> None:
    svg = draw(BY_KIND[kind])
    tags = {node.tag.split("}")[1] for node in ElementTree.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
    assert not re.search(r"\son\w+=|href=|url\(", svg)
    assert draw(BY_KIND[kind]) == svg
    assert len(svg) < 60_000
    assert texts(svg), "text is text, not outlines"


@pytest.mark.parametrize(
    "kind",
    [
        "quality_by_week",
        "spend_by_week",
        "stale_share_by_week",
        "latency_by_week",
        "calls_by_week",
        "guardrail_blocks_by_week",
    ],
)
def test_a_missing_week_says_so(kind: str) -> None:
    assert "no data" in texts(draw(BY_KIND[kind]))


@pytest.mark.parametrize("factor", [0.00002, 0.001, 0.07, 1, 4, 5000])
@pytest.mark.parametrize("kind", ["spend_by_week", "spend_waterfall"])
def test_no_two_ticks_of_money_read_the_same(kind: str, factor: float) -> None:
    chart = BY_KIND[kind]
    money = {"cost_usd", "start", "end"}
    rows = [
        {name: float(v) * factor if name in money and v is not None else v for name, v in row.items()}
        for row in chart.rows
    ]
    steps = [row for row in rows if "step" in row]
    said = {usd(row["end"]) for row in steps} | {usd(row["end"] - row["start"], signed=True) for row in steps}
    ticks = [text for text in texts(draw(replace(chart, rows=rows))) if re.fullmatch(r"\$[\d,.]+", text)]
    ticks = [text for text in ticks if text not in said]
    assert len(ticks) > 1 and len(set(ticks)) == len(ticks), ticks


def test_verdicts_have_shapes_as_well_as_colours() -> None:
    rows = tuple(
        {
            "week": f"2026-06-{1 + 7 * n:02}",
            "verdict": verdict,
            "mean": 0.8,
            "low": 0.7,
            "high": 0.9,
            "baseline": 0.8,
            "floor": 0.78,
        }
        for n, verdict in enumerate(("OK", "DEGRADED", "CANNOT TELL"))
    )
    svg = draw(Chart("quality_by_week", "t", "s", rows))
    points = {
        match[1]: match[0]
        for match in re.findall(r'aria-roledescription="point"[^>]*? d="([^"]+)"[^>]*? fill="([^"]+)"', svg)
    }
    assert len(set(points.values())) == len(points) == 3


@pytest.mark.parametrize("verdict", ["OK", "DEGRADED", "CANNOT TELL", "no data", "baseline"])
def test_a_single_week_can_be_drawn_without_a_score(verdict: str) -> None:
    said = "baseline" if verdict == "baseline" else verdict.lower()
    assert said in texts(
        draw(Chart("quality_by_week", "t", "s", ({"week": "2026-06-01", "verdict": verdict},)))
    )


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("guardrail_blocks_by_week", {"week": "2026-06-01", "category": HOSTILE, "blocks": 3}),
        ("spend_by_week", {"week": "2026-06-01", "part": HOSTILE, "cost_usd": 3.0}),
        (
            "retrieval_by_version",
            {"version": HOSTILE, "ranker": "dense", "mean": 0.8, "low": 0.7, "high": 0.9},
        ),
        ("spend_waterfall", {"label": HOSTILE, "start": 0.0, "end": 3.0, "step": "total"}),
    ],
)
def test_hostile_names_are_text(kind: str, row: dict[str, object]) -> None:
    svg = draw(Chart(kind, "t", "s", (row,)))
    assert "<script" not in svg
    assert not set("\u202e\x1b") & set(svg)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"spend_waterfall", "retrieval_by_version"}))
def test_a_year_of_silence_can_be_drawn(kind: str) -> None:
    nothing = {
        "verdict": "no data",
        "part": None,
        "category": None,
        "cost_usd": None,
        "blocks": None,
        "share": None,
        "p50": None,
        "p95": None,
        "calls": None,
    }
    rows = tuple({"week": week.isoformat(), **nothing} for week in WEEKS)
    assert "no data" in texts(draw(Chart(kind, "t", "s", rows, {"limit": 1.0})))


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f600" * 30,
        "\ufffe\uffff",
        "\U000e0100x" * 40,
        "\ud800",
        "\u0e01\u0e33" * 30,
        "\u05d0\u0628" * 30,
        "x" * 5000,
        "",
    ],
)
def test_any_name_can_be_drawn(name: str) -> None:
    svg = draw(
        Chart("spend_waterfall", "t", "s", ({"label": name, "start": 0.0, "end": 3.0, "step": "total"},))
    )
    assert "$3.00" in texts(svg)


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no chart of kind 'pie'"):
        draw(Chart("pie", "t", "s", ()))
