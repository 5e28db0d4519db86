"""What a published month says: the figures of each edition, which of them have changed, and how it is logged.

Edition 0 is the report as it was published, edition n its nth amendment. No edition is ever written again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from math import isclose
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.document import plain_data
from aiops_pipelines.wording import some

FIGURES = ["system", "month", "edition", "figure", "value"]
ACTOR = "aiops_pipelines"
KINDS = ("json", "html", "pdf")
"""The files of an edition, by their ending; amendments have no PDF."""
SAME_WITHIN = 1e-9
"""Two sums of the same numbers differ by so much when they are added in another order."""
Said = Mapping[str, Any]


def edition_rows(system: str, of: Any, edition: int, known: Mapping[str, Figure]) -> pl.DataFrame:
    """Return one edition's rows of compliance.report_figures."""
    rows = [
        (system, of, edition, key, None if figure.value is None else json.dumps(plain_data(figure.value)))
        for key, figure in known.items()
    ]
    types = (pl.String(), pl.Date(), pl.Int64(), pl.String(), pl.String())
    return pl.DataFrame(rows, schema=dict(zip(FIGURES, types, strict=True)), orient="row")


def said(editions: pl.DataFrame, edition: int) -> Said:
    """Return the figures of one edition by key, as JSON holds them."""
    rows = editions.filter(pl.col("edition") == edition).select("figure", "value").iter_rows()
    return {key: None if value is None else json.loads(value) for key, value in rows}


def changed(before: Said, known: Mapping[str, Figure]) -> list[Figure]:
    """Return the figures of the month whose value is no longer what was said, in the report's order.

    Figures to date move on by themselves, and one that no edition had is new and not changed.
    """
    return [
        figure
        for key, figure in known.items()
        if not figure.to_date and key in before and not _same(before[key], plain_data(figure.value))
    ]


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float) and isinstance(now, float):
        return isclose(before, now, rel_tol=SAME_WITHIN, abs_tol=SAME_WITHIN)
    return bool(before == now)


def publications(system: str, reports: pl.DataFrame, amendments: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the audit entry of each published report and amendment; the same row gives the same entry.

    A report from before publications were dated has none.
    """
    for row in reports.drop_nulls("published_at").iter_rows(named=True):
        summary = f"The compliance report of {row['month']:%Y-%m} was published."
        details = {"month": str(row["month"])} | _files(row)
        yield decision_entry(system, "report_published", row["published_at"], ACTOR, summary, details)
    for row in amendments.iter_rows(named=True):
        what = f"Amendment {row['number']} to the compliance report of {row['month']:%Y-%m}"
        summary = f"{what} was made: {some(len(row['changed']), 'figure')} changed."
        details = {name: str(row[name]) for name in ("month", "number")} | _files(row)
        yield decision_entry(
            system, "report_amended", row["amended_at"], ACTOR, summary, details | {"changed": row["changed"]}
        )


def _files(row: Mapping[str, Any]) -> dict[str, str]:
    # An edition from before pages were hashed, or had a PDF, keeps its entry as it was.
    kinds = [kind for kind in KINDS if kind == "json" or row.get(f"{kind}_sha256")]
    return {name: row[name] for kind in kinds for name in (f"{kind}_file", f"{kind}_sha256")}


def tampered(row: Mapping[str, Any], digest_of: Callable[[str], str | None]) -> list[str]:
    """Say what is wrong with an edition's files.

    Args:
        row: of compliance.compliance_reports or compliance.report_amendments.
        digest_of: the SHA-256 of a file as it is now, or None if it is gone.
    """
    files, problems = _files(row), []
    for kind in KINDS:
        name = files.get(f"{kind}_file")
        if name and (digest := digest_of(name)) != files[f"{kind}_sha256"]:
            state = "is gone" if digest is None else "is no longer as it was published"
            problems.append(f"{name} {state}; restore it from a copy. Its SHA-256 stands in the audit log.")
    return problems
