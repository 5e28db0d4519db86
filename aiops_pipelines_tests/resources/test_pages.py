"""Pages: one file, nothing loaded, nothing run, hostile text inert, and grey where nothing is known."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser

import polars as pl
import pytest

from aiops_pipelines import wording
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.report import compliance_report
from aiops_pipelines.incidents.review import weekly_review
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.resources import chart_parts
from aiops_pipelines.resources.pages import report_page, review_page
from aiops_pipelines_tests.compliance import august
from aiops_pipelines_tests.incidents import fourteen_weeks as weeks
from aiops_pipelines_tests.incidents.fourteen_weeks import NOW, SYSTEM, WEEKS, inputs

HOSTILE = "<script>fetch('//evil.example')</script>[x](javascript:alert(1))![y](//evil.example/p.png)\u202e\u2066\x1b[2J{{7*7}}"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
ALLOWED = set(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "nav",
        "section",
        "footer",
        "h1",
        "h2",
        "h3",
        "p",
        "span",
        "a",
        "b",
        "i",
        "small",
        "ol",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "div",
        "code",
        "pre",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "svg",
        "g",
        "path",
        "rect",
        "line",
        "text",
    ]
)


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def hostile_review() -> str:
    incidents = weeks.incidents().with_columns(
        title=pl.lit(HOSTILE), evidence=pl.lit(HOSTILE), runbook=pl.lit(HOSTILE)
    )
    retrieval = weeks.retrieval().with_columns(index_version=pl.lit(HOSTILE))
    blocks = weeks.blocks().with_columns(category=pl.lit(HOSTILE))
    causes = weeks.causes().with_columns(cause=pl.lit(HOSTILE), evidence=pl.lit(HOSTILE))
    verdicts = weeks.verdicts().with_columns(metric=pl.lit(HOSTILE), reason=pl.lit(HOSTILE))
    spend = weeks.spend().with_columns(endpoint=pl.lit(HOSTILE), part=pl.lit(HOSTILE))
    return review_page(
        weekly_review(
            inputs(
                WEEKS[11],
                incidents=incidents,
                retrieval=retrieval,
                blocks=blocks,
                causes=causes,
                verdicts=verdicts,
                spend=spend,
            )
        )
    )


def hostile_evidence() -> MonthEvidence:
    calls = august.inferences().with_columns(
        endpoint=pl.lit(HOSTILE), provider=pl.lit(HOSTILE), model_served=pl.lit(HOSTILE)
    )
    notes = august.checkpoints().with_columns(note=pl.lit(HOSTILE))
    log = august.audit_log().with_columns(actor=pl.lit(HOSTILE), summary=pl.lit(HOSTILE))
    return august.evidence(inferences=calls, checkpoints=notes, audit_log=log)


PAGES: dict[str, Callable[[], str]] = {
    "review": lambda: review_page(weekly_review(inputs(WEEKS[11]))),
    "silent review": lambda: review_page(weekly_review(inputs(weeks.SILENT))),
    "empty review": lambda: review_page(weekly_review(ReviewInputs(SYSTEM, WEEKS[0], NOW))),
    "hostile review": hostile_review,
    "report": lambda: report_page(compliance_report(august.evidence())),
    "empty report": lambda: report_page(compliance_report(MonthEvidence(SYSTEM, august.MONTH, NOW))),
    "hostile report": lambda: report_page(compliance_report(hostile_evidence())),
}


@cache
def drawn(name: str) -> str:
    """Return a page, which is drawn by the first test that looks at it: every worker imports this file."""
    return PAGES[name]()


every_page = pytest.mark.parametrize("name", PAGES)


@every_page
def test_a_page_is_one_file_that_runs_and_loads_nothing(name: str) -> None:
    page = Page(drawn(name))
    assert drawn(name).startswith("<!doctype html>")
    assert ("content", POLICY) in page.attributes
    assert page.tags <= ALLOWED
    assert not [
        attribute for attribute, _ in page.attributes if attribute.startswith("on") or attribute == "src"
    ]
    assert all(value.startswith("#") for attribute, value in page.attributes if attribute == "href")
    assert not re.search(r"@import|url\(", drawn(name))


@every_page
def test_every_anchor_leads_somewhere(name: str) -> None:
    page = Page(drawn(name))
    ids = [value for attribute, value in page.attributes if attribute == "id"]
    assert {value for attribute, value in page.attributes if attribute == "href"} <= {
        f"#{found}" for found in ids
    }
    assert len(ids) == len(set(ids))


@every_page
def test_no_character_acts_on_the_reader(name: str) -> None:
    assert wording.inert(drawn(name)) == drawn(name)


@pytest.mark.parametrize("name", ["hostile review", "hostile report"])
def test_hostile_text_is_shown_and_does_nothing(name: str) -> None:
    assert "<script" not in drawn(name)
    words = "".join(Page(drawn(name)).words)
    assert "<script>fetch('//evil.example')</script>" in words
    assert "<U+202E>" in words and "<U+001B>" in words
    assert "{{7*7}}" in words


@every_page
def test_no_cell_is_blank(name: str) -> None:
    assert not re.search(r"<t[dh][^>]*>\s*</t[dh]>|<dd>\s*</dd>", drawn(name))


def test_the_same_review_and_report_give_the_same_bytes() -> None:
    assert review_page(weekly_review(inputs(WEEKS[11]))) == drawn("review")
    assert report_page(compliance_report(august.evidence())) == drawn("report")


def test_what_cannot_be_told_is_grey() -> None:
    chips = re.findall(r'class="chip tone-(\w+)"><i[^>]*>.</i>CANNOT TELL', drawn("review"))
    assert chips and set(chips) == {"unknown"}
    assert "tone-good" not in drawn("empty review").split("<main>")[1]


def test_not_evidenced_is_an_alarm_wherever_it_stands() -> None:
    body = drawn("empty report").split("<main>")[1]
    assert body.count("NOT EVIDENCED") > 60
    bare = re.sub(
        r'<(span|p) class="[^"]*alarm[^"]*">NOT EVIDENCED[^<]*</\1>|<pre>NOT EVIDENCED[^<]*</pre>', "", body
    )
    assert "NOT EVIDENCED" not in bare


def test_a_report_never_says_that_anybody_is_compliant() -> None:
    assert not re.search("compliant", drawn("report") + drawn("empty report"), re.IGNORECASE)


def test_each_figure_of_the_report_has_its_sql_on_the_page() -> None:
    words = "".join(Page(drawn("report")).words)
    for section in compliance_report(august.evidence())["sections"]:
        assert all(figure["sql"] in words for figure in section["figures"])


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "usd", "not measured"),
        (5700, "count", "5,700"),
        (0.0812, "percent", "8.1\u00a0%"),
        (-0.05, "change", "\u22125.0\u00a0%"),
        ("1234.5", "usd", "$1,234.50"),
        (0.0042, "usd", "$0.0042"),
        (0, "usd", "$0.00"),
        ("2026-08-03", "day", "3\u00a0Aug\u00a02026"),
        ("2026-08-03T14:05:00+00:00", "moment", "3\u00a0Aug\u00a02026 14:05\u00a0UTC"),
        ("a\u202eb", "text", "a<U+202E>b"),
    ],
)
def test_values_are_written_for_people(value: object, kind: wording.Kind, expected: str) -> None:
    assert wording.show(value, kind) == expected


def test_a_report_says_which_legal_facts_nobody_checked_of_late() -> None:
    assert "not checked for 180 days" not in drawn("report")
    later = replace(august.evidence(), now=datetime(2027, 9, 7, tzinfo=UTC))
    report = compliance_report(later)
    assert all(fact["stale"] for fact in report["legal_facts"])
    number = len(report["legal_facts"])
    assert f"{number} of {number} not checked for 180 days" in report_page(report)


# --- in the dark


def contrast(one: str, other: str) -> float:
    """Return the ratio of WCAG 2.2 of two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of a page that is read in the light and in the dark, by their names."""
    light, dark = drawn("report").split("@media screen and (prefers-color-scheme: dark) {", 1)
    colours = r"--([\w-]+): (#[0-9a-f]{3,6});"
    of_light = {name: "#ffffff" if value == "#fff" else value for name, value in re.findall(colours, light)}
    return of_light, dict(re.findall(colours, dark))


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_in_the_light_and_in_the_dark(dark: bool) -> None:
    colours = palettes()[dark]
    assert colours.keys() == palettes()[0].keys()
    tones = ("good", "bad", "warn", "unknown", "plain")
    pairs = [(name, paper) for name in ("ink", "quiet") for paper in ("paper", "soft")]
    pairs += [(tone, f"{tone}-tint") for tone in tones] + [(tone, "paper") for tone in (*tones, "alarm")]
    pairs += [("quiet", f"{tone}-tint") for tone in tones]
    assert [pair for pair in pairs if contrast(*(colours[name] for name in pair)) < 4.5] == []


@every_page
def test_every_colour_of_a_chart_is_seen_on_both_papers(name: str) -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", drawn(name), re.DOTALL))
    found = set(re.findall(r'(?:fill|stroke)="([^"]+)"', charts)) - {"none", "transparent"}
    grounds = {chart_parts.PALE, chart_parts.LINE, chart_parts.BASELINE, chart_parts.EDGE}
    for colour in found - grounds:
        assert contrast(chart_parts.DARK.get(colour, colour), chart_parts.DARK_PAPER) >= 3, colour
    for ground in found & grounds:
        assert contrast(chart_parts.DARK[ground], chart_parts.DARK[chart_parts.QUIET]) >= 4.5


def test_paper_stays_light() -> None:
    style = drawn("report").split("</style>")[0]
    assert (
        style.count("prefers-color-scheme")
        == style.count("@media screen and (prefers-color-scheme: dark)")
        == 1
    )
