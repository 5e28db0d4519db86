"""A call that comes after its month was published: log file in, amendment out, through the real assets.

`shop` is the control: its log is like that of `desk`, and nothing comes late.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources import report_book
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.completion import due_months, due_weeks, enter
from aiops_pipelines.resources.erasing import Eraser, Request
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.report_pdf import attached
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_system

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SYSTEM = "name: {name}\ntitle: {name}\nas_of: 2026-08-10T06:00:00Z\ninference_log: {{folder: logs/{name}}}\n"
CALL = {
    "provider": "openai",
    "model_requested": "gpt-4.1-mini",
    "model_served": "gpt-4.1-mini",
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500},
}
FIRST = datetime(2026, 6, 29, 9, tzinfo=UTC)
NAMES = ("desk", "shop")


def call(number: int, **changes: Any) -> str:
    at = (FIRST + timedelta(days=number)).isoformat()
    return json.dumps(CALL | {"event_id": f"e{number}", "occurred_at": at} | changes) + "\n"


class Office:
    """The assets a month's report needs, over a project of two systems."""

    def __init__(self, project: Project, tables: dict[str, Table]):
        from aiops_pipelines.defs.compliance import (
            audit_log,
            audit_verifications,
            month_report,
            text_deletions,
        )
        from aiops_pipelines.defs.costs import call_costs
        from aiops_pipelines.defs.inference_log import ingestion
        from aiops_pipelines.defs.monitoring import user_signals

        self.project, self.warehouse = project, Warehouse(project.warehouse, tables)
        self.book = AuditBook(project, self.warehouse, Keys(project.keys))
        self.jobs = dg.Definitions(
            assets=[
                ingestion,
                call_costs,
                user_signals,
                audit_log,
                audit_verifications,
                text_deletions,
                month_report,
            ],
            resources={"project": project, "warehouse": self.warehouse, "audit_book": self.book},
            jobs=[
                dg.define_asset_job(
                    "continuous",
                    [*ingestion.keys, call_costs.key, user_signals.key, audit_log.key, text_deletions.key],
                ),
                dg.define_asset_job("weekly", [audit_verifications.key]),
                dg.define_asset_job("monthly", [*month_report.keys]),
            ],
        )

    def log(self, name: str, lines: str, file: str = "a.jsonl") -> None:
        folder = self.project.data / "logs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(lines)

    def run(
        self, instance: dg.DagsterInstance, months: tuple[str, str] = ("2026-06-01", "2026-07-01")
    ) -> None:
        from aiops_pipelines.defs.cadences import period_range, range_tags

        days = [datetime.fromisoformat(month).date() for month in months]
        for name, tags in (("continuous", range_tags(*NAMES)), ("monthly", period_range(days, NAMES))):
            assert self.jobs.resolve_job_def(name).execute_in_process(instance=instance, tags=tags).success

    def verified(self, instance: dg.DagsterInstance, tags: dict[str, str]) -> list[dict[str, Any]]:
        """Verify again; return what is on record of all verifications, in their order."""
        job = self.jobs.resolve_job_def("weekly")
        assert job.execute_in_process(instance=instance, tags=tags).success
        return self.warehouse.rows("compliance.audit_verifications").sort("verified_at").rows(named=True)

    def pages(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.project.reports)): file.read_bytes()
            for file in sorted(self.project.reports.rglob("*.*"))
        }

    def due(self, name: str) -> list[str]:
        system = load_system(self.project.systems / f"{name}.yaml", self.project.data)
        return [month.isoformat() for month in due_months(self.warehouse, system, datetime.now(UTC))]

    def amendments(self) -> list[dict[str, Any]]:
        return (
            self.warehouse.rows("compliance.report_amendments")
            .sort("system", "month", "number")
            .rows(named=True)
        )

    def value(self, figure: str, edition: int) -> Any:
        rows = self.warehouse.rows("compliance.report_figures", system="desk", figure=figure, edition=edition)
        return json.loads(rows.filter(pl.col("month") == datetime(2026, 7, 1).date())["value"][0])


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path_factory.mktemp("dagster"))) as instance:
        instance.add_dynamic_partitions("systems", list(NAMES))
        yield instance


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table], instance: dg.DagsterInstance
) -> Path:
    """A data folder whose June and July are published."""
    project = Project(tmp_path_factory.mktemp("published") / "data")
    project.systems.mkdir(parents=True)
    for name in NAMES:
        (project.systems / f"{name}.yaml").write_text(SYSTEM.format(name=name))
    office = Office(project, tables)
    for name in NAMES:
        office.log(name, "".join(call(number) for number in range(40)))
    office.run(instance)
    return project.data


@pytest.fixture
def office(published: Path, tables: dict[str, Table], project: Project) -> Office:
    shutil.copytree(published, project.data)
    return Office(project, tables)


def test_a_late_call_amends_the_published_month_and_rewrites_nothing(
    office: Office, instance: dg.DagsterInstance
) -> None:
    published = office.pages()
    assert {name for name in published if name.endswith("json")} == {
        f"{name}/monthly/2026-0{month}.json" for name in NAMES for month in (6, 7)
    }
    assert office.due("desk") == office.due("shop") == []

    late = call(2, event_id="late-1"), call(3, event_id="late-2", model_served="gpt-4o-mini")
    office.log("desk", "".join(late), "late.jsonl")
    office.run(instance)
    assert {name: page for name, page in office.pages().items() if name in published} == published
    assert set(office.pages()) - set(published) == {
        f"desk/monthly/2026-07-amendment-1.{end}" for end in ("html", "json")
    }
    [row] = office.amendments()
    assert (row["system"], row["month"].isoformat(), row["number"]) == ("desk", "2026-07-01", 1)
    assert row["changed"] == ["integrity.entries", "record.inferences", "record.cost_usd", "changes.models"]
    assert row["why"][0].startswith("2 calls of the month arrived on ") and row["why"][0].endswith(
        "from late.jsonl."
    )
    assert [office.value("record.inferences", edition) for edition in (0, 1)] == [31, 33]
    assert office.due("desk") == []

    office.run(instance)
    assert len(office.amendments()) == 1
    log = office.warehouse.rows("compliance.audit_log", system="desk")
    told = log.filter(pl.col("kind").str.contains("report")).sort("entry_index")["kind"].to_list()
    assert told == ["decision.report_published"] * 2 + ["decision.report_amended"]
    findings, entries, _ = office.book.verify("desk")
    assert findings == [] and office.book.signed_size("desk") == entries


def test_late_feedback_and_a_price_that_was_unknown_amend_as_well(
    office: Office, instance: dg.DagsterInstance
) -> None:
    office.log(
        "desk",
        call(2, event_id="odd", model_requested="colossus-9", model_served="colossus-9", provider="acme"),
        "odd.jsonl",
    )
    office.run(instance)
    price = "prices: [{model: colossus-9, valid_from: 2026-01-01, input: '1', output: '2'}]\n"
    (office.project.systems / "desk.yaml").write_text(SYSTEM.format(name="desk") + price)
    office.log("desk", json.dumps({"feedback_on": "e4", "rating": -1}) + "\n", "ratings.jsonl")
    office.run(instance)
    first, second = office.amendments()
    assert "record.unpriced" in first["changed"] and "record.cost_usd" not in first["changed"]
    assert second["changed"] == [
        "record.cost_usd",
        "record.unpriced",
        "quality.rated_up",
        "quality.rated_down",
    ]
    page = json.loads((office.project.data / second["json_file"]).read_text())
    [unpriced] = [row for row in page["changes"] if row["key"] == "record.unpriced"]
    assert (unpriced["published"], unpriced["before"], unpriced["value"]) == (0, 1, 0)


def test_a_published_file_that_was_edited_is_told_and_left_alone(
    office: Office, instance: dg.DagsterInstance
) -> None:
    file = office.project.reports / "desk/monthly/2026-07.json"
    file.write_text(file.read_text().replace('"regulated"', '"light"').replace("31", "99"))
    edited = file.read_bytes()
    office.run(instance)
    said = "reports/desk/monthly/2026-07.{} is no longer as it was published"
    [problem] = office.warehouse.rows("operations.problems", area="compliance report")["problem"]
    assert problem.startswith(said.format("json"))
    assert file.read_bytes() == edited and office.amendments() == []
    page = file.with_suffix(".html")
    page.write_text(page.read_text().replace("31", "99"))
    office.run(instance)
    problems = office.warehouse.rows("operations.problems", area="compliance report")["problem"]
    assert [one.split(";")[0] for one in problems] == [said.format("json"), said.format("html")]


def test_a_week_that_is_verified_again_keeps_its_first_verification(
    office: Office, instance: dg.DagsterInstance
) -> None:
    from aiops_pipelines.defs.cadences import period_range

    week = datetime(2026, 7, 6).date()
    tags = period_range([week, week], ["desk"])
    [first] = office.verified(instance, tags)
    kept, second = office.verified(instance, tags)
    assert kept == first and second["week"] == first["week"] == week
    assert second["verified_at"] > first["verified_at"]


def test_the_report_lies_on_paper_too_and_the_log_holds_its_hash(
    office: Office, instance: dg.DagsterInstance
) -> None:
    row = (
        office.warehouse.rows("compliance.compliance_reports", system="desk")
        .sort("month")
        .row(-1, named=True)
    )
    file = office.project.data / row["pdf_file"]
    assert row["pdf_file"] == "reports/desk/monthly/2026-07.pdf"
    assert attached(file.read_bytes()) == file.with_suffix(".json").read_bytes()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row["pdf_sha256"]
    [entry] = office.warehouse.rows(
        "compliance.audit_log", system="desk", summary="The compliance report of 2026-07 was published."
    )["leaf"]
    assert json.loads(entry)["details"]["pdf_sha256"] == row["pdf_sha256"]
    file.unlink()
    office.run(instance)
    [problem] = office.warehouse.rows("operations.problems", area="compliance report")["problem"]
    assert problem.startswith("reports/desk/monthly/2026-07.pdf is gone; restore it from a copy.")
    assert office.amendments() == [] and not file.exists()


def test_a_report_that_no_pdf_can_be_made_of_is_published_and_told(
    office: Office, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise report_book.PdfError("The report cannot be made a PDF: an element.")

    monkeypatch.setattr(report_book, "report_pdf", fail)
    file = office.project.systems / "desk.yaml"
    file.write_text(file.read_text().replace("2026-08-10", "2026-09-10"))
    office.run(instance, ("2026-08-01", "2026-08-01"))
    [row] = office.warehouse.rows(
        "compliance.compliance_reports", system="desk", month=datetime(2026, 8, 1).date()
    ).rows(named=True)
    assert (office.project.data / row["html_file"]).is_file() and row["pdf_file"] is None
    [problem] = office.warehouse.rows("operations.problems", area="compliance report")["problem"]
    assert problem.startswith("The report of 2026-08 is published without a PDF.")


def test_the_next_report_names_the_amendment(office: Office, instance: dg.DagsterInstance) -> None:
    office.log("desk", call(2, event_id="late-1") + call(70), "late.jsonl")
    for name in NAMES:
        file = office.project.systems / f"{name}.yaml"
        file.write_text(file.read_text().replace("2026-08-10", "2026-09-10"))
    office.run(instance, ("2026-07-01", "2026-08-01"))
    named = {}
    for name in NAMES:
        report = json.loads((office.project.reports / f"{name}/monthly/2026-08.json").read_text())
        named[name] = [(row[0], row[1]) for row in report["sections"][1]["tables"][2]["rows"]]
    assert named == {"desk": [("July\u00a02026", 1)], "shop": []}


def test_nothing_is_read_or_logged_under_new_keys_when_the_old_ones_are_lost(
    office: Office, instance: dg.DagsterInstance
) -> None:
    office.log("desk", call(3, event_id="new-1"), "new.jsonl")
    office.log("shop", call(3, event_id="new-1"), "new.jsonl")
    before = office.warehouse.rows("compliance.audit_log", system="desk").height
    shutil.rmtree(office.project.keys / "desk")
    office.run(instance)
    assert not (office.project.keys / "desk").exists()
    assert office.warehouse.rows("compliance.audit_log", system="desk").height == before
    new = office.warehouse.rows("inference_log.inferences", event_id="new-1")["system"].to_list()
    assert new == ["shop"]
    problems = office.warehouse.rows("operations.problems", system="desk")
    assert set(problems["area"]) >= {"inference log", "audit log"}
    assert all("Keys of desk are missing" in said for said in problems["problem"])


def test_texts_that_go_and_people_who_are_erased_amend_nothing(
    office: Office, instance: dg.DagsterInstance
) -> None:
    """What was published was said of calls, and of these nothing changes but whose they are."""
    texts = {"query": "Where is my parcel, please?", "answer": "On its way.", "session_id": "session-1"}
    asked = [call(n, event_id=f"u{n}", user_id=f"customer-{n % 3}", rating=1, **texts) for n in range(40)]
    office.log("desk", "".join(asked), "people.jsonl")
    office.run(instance)
    amended = office.amendments()
    file = office.project.systems / "desk.yaml"
    system = load_system(file, office.project.data)
    with office.warehouse.held():
        weeks = due_weeks(office.warehouse, system, system.now(datetime.now(UTC)))
        enter(office.warehouse, system, "weekly", weeks, datetime.now(UTC))
    eraser = Eraser(office.project, office.warehouse, office.book, [system])
    request = Request("customer-1", "Mary", "Asked")
    (outcome,) = eraser.erase([system], request, lambda: datetime.now(UTC), lambda: None)
    assert outcome.rows["inference_log.inferences"] == 13 and outcome.left == {}

    file.write_text(file.read_text() + "retention: {text_days: 30}\n")
    office.run(instance)
    (row,) = office.warehouse.rows("compliance.text_deletions", system="desk").rows(named=True)
    assert row["calls"] == 8 and row["rewritten_at"]  # u0 to u11 without the four of customer-1
    kept = office.warehouse.rows("inference_log.inferences", system="desk").drop_nulls("query")
    assert kept["occurred_at"].min() == datetime(2026, 7, 11, 9, tzinfo=UTC)
    assert office.amendments() == amended and office.due("desk") == []
    findings = office.book.verify("desk")[0]
    assert {one.severity for one in findings} == {"note"} and len(findings) == 2
    assert office.warehouse.rows("operations.problems").is_empty()
