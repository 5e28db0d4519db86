"""Pages for people: jinja2 renders a review or a report to one self-contained, printable HTML file.

No page loads or runs anything: the policy in its head forbids it, every text is escaped, and characters that
act on a reader (control, bidirectional, invisible) are spelled out.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aiops_pipelines import wording
from aiops_pipelines.document import Chart
from aiops_pipelines.incidents.review import Review
from aiops_pipelines.resources.chart_parts import DARK, DARK_PAPER

TEMPLATES = Path(__file__).parent / "templates"
NUMBERS = frozenset({"count", "percent", "change", "score", "usd", "ms", "days"})
CHIPS = {
    "OK": ("good", "\u25cf"),
    "DEGRADED": ("bad", "\u25bc"),
    "CANNOT TELL": ("unknown", "\u25c7"),
    "intact": ("good", "\u25cf"),
    "broken": ("bad", "\u25bc"),
    "passed": ("good", "\u25cf"),
    "FAILED": ("bad", "\u25bc"),
    "met": ("good", "\u25cf"),
    "missed": ("bad", "\u25bc"),
    "running": ("plain", "\u25cb"),
    "firing": ("bad", "\u25bc"),
    "recovering": ("warn", "\u25d0"),
    "ok": ("good", "\u25cf"),
    "held": ("good", "\u25cf"),
    "better, not back": ("warn", "\u25d0"),
    "not held": ("bad", "\u25bc"),
    "EVIDENCED": ("good", "\u25cf"),
    "PARTLY EVIDENCED": ("warn", "\u25d0"),
}
"""Tone and shape of a verdict; a word that is not here is grey."""


TONES = ("good", "bad", "warn", "unknown", "plain")
STATES = dict(zip(TONES, ("in order", "act now", "watch", "cannot tell", "for information"), strict=True))
FINDINGS = dict(
    zip(TONES, ("no exception", "exceptions", "gaps", "cannot be stated", "for information"), strict=True)
)
"""What the tone of a section is called, in a review and in a report."""


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"show": wording.show, "chip": lambda word: CHIPS.get(word, ("unknown", "\u25c7"))}
    environment.filters |= {"svg": _svg, "day": wording.day, "moment": wording.moment}
    environment.globals |= {
        "NUMBERS": NUMBERS,
        "UNMEASURED": wording.UNMEASURED,
        "states": STATES,
        "findings": FINDINGS,
        "DARK": DARK,
        "DARK_PAPER": DARK_PAPER,
    }
    return environment


def _inert(value: Any) -> Any:
    return wording.inert(value) if type(value) is str else value


def _svg(chart: Chart | Mapping[str, Any]) -> Any:
    """Draw a chart; the only markup that no template escapes, since it was drawn from data by `charts`."""
    from markupsafe import Markup

    from aiops_pipelines.resources.charts import draw

    if not isinstance(chart, Chart):
        chart = Chart(**{**chart, "rows": tuple(chart["rows"])})
    return Markup(draw(chart))


def review_page(review: Review) -> str:
    """Render a weekly review as HTML; the same review gives the same bytes."""
    page: str = _environment().get_template("weekly_review.html.j2").render(review=review)
    return page


def report_page(report: Mapping[str, Any]) -> str:
    """Render a monthly compliance report as HTML; the same report gives the same bytes."""
    page: str = _environment().get_template("compliance_report.html.j2").render(report=report)
    return page


def amendment_page(amendment: Mapping[str, Any]) -> str:
    """Render an amendment to a monthly report as HTML; the same amendment gives the same bytes."""
    page: str = _environment().get_template("report_amendment.html.j2").render(amendment=amendment)
    return page
