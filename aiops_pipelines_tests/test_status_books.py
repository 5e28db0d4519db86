"""What a status says of the published reports."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from aiops_pipelines.resources.tables import Table
from aiops_pipelines.status_books import Line, audit_log_line, report_line

JULY, AT = date(2026, 7, 1), datetime(2026, 8, 1, 8, tzinfo=UTC)
LATE = {"month": pl.Date, "calls": pl.Int64}


def line(tables: dict[str, Table], amendments: int, late: list[tuple[date, int]]) -> Line:
    def frame(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=tables[name].schema)

    report = {"month": JULY, "evidenced": 2, "not_evidenced": 18, "published_at": AT}
    rows: list[dict[str, object]] = [
        {
            "month": JULY,
            "number": n + 1,
            "amended_at": AT.replace(day=10 + n),
            "changed": ["a", "b"],
            "why": [f"{n}."],
        }
        for n in range(amendments)
    ]
    return report_line(
        frame("compliance.compliance_reports", [report]),
        frame("compliance.report_amendments", rows),
        pl.DataFrame(late, schema=LATE, orient="row"),
    )


def plain(found: Line) -> list[str]:
    return [text.replace("\u00a0", " ") for text in (found.sentence, *(text for _, text in found.details))]


def test_a_published_month_is_named_with_what_it_evidences(tables: dict[str, Table]) -> None:
    found = line(tables, 0, [])
    assert plain(found) == [
        "July 2026 was published 1 Aug 2026 08:00 UTC: 2 of 20 controls are evidenced in full."
    ]
    assert (found.tone, found.figures["amendments"]) == ("plain", [])


def test_the_newest_amendments_are_named_and_the_others_counted(tables: dict[str, Table]) -> None:
    assert plain(line(tables, 1, []))[1:] == [
        "Amendment 1 of July 2026, 10 Aug 2026 08:00 UTC: 2 figures changed. 0."
    ]
    several = plain(line(tables, 5, []))[1:]
    assert several[0] == "2 earlier amendments." and len(several) == 4


def test_late_calls_that_wait_for_an_amendment_are_a_warning(tables: dict[str, Table]) -> None:
    found = line(tables, 0, [(JULY, 12)])
    assert plain(found)[1] == "12 calls of July 2026 came after its report; the next monthly run amends it."
    assert (found.tone, found.figures["late_calls"]) == ("warn", {"2026-07-01": 12})


def test_without_a_report_nothing_is_green(tables: dict[str, Table]) -> None:
    none = (tables[f"compliance.{name}"].empty() for name in ("compliance_reports", "report_amendments"))
    assert report_line(*none, pl.DataFrame(schema=LATE)).tone == "plain"


def test_one_entry_is_one_entry() -> None:
    nothing = pl.DataFrame(schema={"tree_size": pl.Int64, "signed_at": pl.Datetime("us", "UTC")})
    said = [audit_log_line(entries, nothing, ()).sentence for entries in (1, 1000)]
    assert said == ["1 entry; nothing is signed yet.", "1,000 entries; nothing is signed yet."]


@pytest.mark.parametrize(
    ("quorum", "by", "tone", "said"),
    [
        (None, None, "unknown", "No witness cosigns it."),
        (2, ["a", "b"], "good", "Its checkpoint is cosigned by a and b; 2 needed."),
        (2, ["a"], "bad", "Its checkpoint is cosigned by 1 of the 2 witnesses needed. b is away."),
    ],
)
def test_who_cosigned_the_newest_checkpoint(
    tables: dict[str, Table], quorum: int | None, by: list[str] | None, tone: str, said: str
) -> None:
    schema = tables["compliance.audit_checkpoints"].schema
    at = datetime(2026, 9, 7, tzinfo=UTC)
    rows = [
        {"tree_size": 5, "signed_at": at, "quorum": 1, "cosigned_by": ["z"]},
        {
            "tree_size": 9,
            "signed_at": at,
            "quorum": quorum,
            "cosigned_by": by,
            "not_cosigned": ["b is away."],
        },
        {"tree_size": 9, "signed_at": at, "quorum": quorum, "cosigned_by": []},  # once more in that instant
    ]
    stored = pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)
    found = audit_log_line(9, stored, ())
    assert found.details[-1] == (tone, said)
    assert found.figures["cosigned_by"] == (by if by else found.figures["cosigned_by"])
    older = stored.drop("quorum", "cosigned_by", "not_cosigned")  # a copy that an earlier version published
    assert audit_log_line(9, older, ()).details[-1] == ("unknown", "No witness cosigns it.")
