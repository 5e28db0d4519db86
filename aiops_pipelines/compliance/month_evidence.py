"""The evidence of one system and month: the frames a compliance report is computed from, cut to the month.

How each figure is computed, here and in SQL, is `figures`; what the report says about them is `report`.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.compliance.retention import kept_from
from aiops_pipelines.incidents.legal_clocks import legal_rows
from aiops_pipelines.incidents.remedy_words import Remedied, with_proofs
from aiops_pipelines.periods import midnight, next_month
from aiops_pipelines.systems import System, monday

MOMENT: pl.DataType = pl.Datetime("us", "UTC")
EVENT: pl.DataType = pl.Struct({"guardrail": pl.String(), "category": pl.String(), "action": pl.String})
INFERENCES = pl.Schema(
    {
        "system": pl.String(),
        "event_id": pl.String(),
        "occurred_at": MOMENT,
        "endpoint": pl.String(),
        "provider": pl.String(),
        "model_served": pl.String(),
        "prompt_version": pl.String(),
        "index_version": pl.String(),
        "latency_ms": pl.Int64(),
        "status": pl.String(),
        "guardrail_events": pl.List(EVENT),
        "pii_counts": pl.String(),
        "cost_reported_usd": pl.Decimal(38, 12),
    }
)
"""What is read of inference_log.inferences."""
AUDIT_LOG = pl.Schema(
    {
        "system": pl.String(),
        "entry_index": pl.Int64(),
        "kind": pl.String(),
        "occurred_at": MOMENT,
        "event_id": pl.String(),
        "actor": pl.String(),
        "summary": pl.String(),
    }
)
"""What is read of compliance.audit_log."""
Row = dict[str, Any]


def _none() -> pl.DataFrame:
    return pl.DataFrame()


@dataclass(frozen=True)
class MonthEvidence:
    """Frames of one system, columns as in the tables of the same names; one that does not exist yet is empty.

    `inferences` and `audit_log` need the columns of INFERENCES and AUDIT_LOG only. Frames may reach back as
    far as they go, and the audit log must: its gaps are counted. `invoices` is costs.invoice_checks,
    `guarded` compliance.guardrail_readings, `attacks` adversarial_results, `changes` drift.change_events,
    `costs` costs.call_costs, `hallucinations` monitoring.hallucination_rates, `savings`
    costs.savings_proposals, and `reports` and `amendments` are what was published so far. `verifier_key` is
    the key that the checkpoints are verified with, `texts_over_term` how many calls from before `texts_until`
    still hold their question or answer, `oldest_text` the start of the first call that does. `deletions` are
    compliance.text_deletions, `holds` compliance.legal_holds, `drills` compliance.restore_drills.
    """

    system: System
    month: date
    now: datetime
    inferences: pl.DataFrame = field(default_factory=INFERENCES.to_frame)
    audit_log: pl.DataFrame = field(default_factory=AUDIT_LOG.to_frame)
    checkpoints: pl.DataFrame = field(default_factory=_none)
    verifications: pl.DataFrame = field(default_factory=_none)
    quarantine: pl.DataFrame = field(default_factory=_none)
    verdicts: pl.DataFrame = field(default_factory=_none)
    source_days: pl.DataFrame = field(default_factory=_none)
    invoices: pl.DataFrame = field(default_factory=_none)
    guarded: pl.DataFrame = field(default_factory=_none)
    attacks: pl.DataFrame = field(default_factory=_none)
    causes: pl.DataFrame = field(default_factory=_none)
    baselines: pl.DataFrame = field(default_factory=_none)
    hallucinations: pl.DataFrame = field(default_factory=_none)
    proposals: pl.DataFrame = field(default_factory=_none)
    savings: pl.DataFrame = field(default_factory=_none)
    incidents: pl.DataFrame = field(default_factory=_none)
    legal_clocks: pl.DataFrame = field(default_factory=_none)
    remedies: pl.DataFrame = field(default_factory=_none)
    remedy_proofs: pl.DataFrame = field(default_factory=_none)
    changes: pl.DataFrame = field(default_factory=_none)
    costs: pl.DataFrame = field(default_factory=_none)
    user_signals: pl.DataFrame = field(default_factory=_none)
    reports: pl.DataFrame = field(default_factory=_none)
    amendments: pl.DataFrame = field(default_factory=_none)
    deletions: pl.DataFrame = field(default_factory=_none)
    erasures: pl.DataFrame = field(default_factory=_none)
    holds: pl.DataFrame = field(default_factory=_none)
    backups: pl.DataFrame = field(default_factory=_none)
    drills: pl.DataFrame = field(default_factory=_none)
    verifier_key: str = ""
    texts_over_term: int = 0
    oldest_text: datetime | None = None

    def __post_init__(self) -> None:
        if self.month.day != 1:
            raise ValueError(f"A month is named by its first day; {self.month} is not one.")
        for name in self.__dataclass_fields__:
            frame = getattr(self, name)
            if not isinstance(frame, pl.DataFrame) or "system" not in frame.columns:
                continue
            strangers = sorted(set(frame["system"].unique()) - {self.system.name}, key=str)
            if strangers:
                raise ValueError(
                    f"The frame {name!r} holds rows of {strangers}, not only of {self.system.name!r}."
                )

    @property
    def start(self) -> datetime:
        """First moment of the month, UTC."""
        return midnight(self.month)

    @property
    def end(self) -> datetime:
        """First moment after the month, UTC."""
        return midnight(next_month(self.month))

    @property
    def until(self) -> datetime:
        """The moment up to which records about earlier times were read: `now`, or the latest of them."""
        stamps = [row["signed_at"] for row in self.rows("checkpoints")]
        stamps += [row["quarantined_at"] for row in self.rows("quarantine")]
        stamps += [row["amended_at"] for row in self.rows("amendments")]
        latest: datetime = max([self.now, *(stamp for stamp in stamps if stamp is not None)])
        return latest

    @property
    def texts_until(self) -> datetime:
        """The moment before which no text should be left, by the system's file."""
        return kept_from(self.until, self.system.retention.text_days)

    @property
    def last_report(self) -> datetime:
        """When the report of an earlier month was last published; the start of the month if none was."""
        earlier = [row["published_at"] for row in self.rows("reports") if row["month"] < self.month]
        latest: datetime = max((at for at in earlier if at is not None), default=self.start)
        return latest

    def rows(self, name: str) -> list[Row]:
        """Return all rows of a frame."""
        frame: pl.DataFrame = getattr(self, name)
        return list(frame.iter_rows(named=True))

    def calls(self) -> pl.DataFrame:
        """Return the month's inferences."""
        return self._month(self.inferences)

    def entries(self) -> pl.DataFrame:
        """Return the month's entries of the audit log."""
        return self._month(self.audit_log)

    def _month(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("occurred_at").is_between(self.start, self.end, closed="left"))

    def weeks(self) -> list[date]:
        """Return the Mondays of the weeks that ended in the month, and so were judged in it.

        August 2026: 27 July (it ended on 3 August) to 24 August; the week of 31 August belongs to September.
        """
        last = monday(self.end - timedelta(days=7))
        weeks = [last - timedelta(days=7 * ago) for ago in reversed(range(5))]
        return [week for week in weeks if week + timedelta(days=7) > self.month]

    def weekly(self, name: str) -> list[Row]:
        """Return a weekly frame's rows of the weeks that ended in the month."""
        weeks = self.weeks()
        return [row for row in self.rows(name) if row["week"] in weeks]

    def touched_incidents(self) -> list[Row]:
        """Return the incidents that were open at some time of the month."""
        rows = [row for row in self.rows("incidents") if row["opened_at"] < self.end]
        return [row for row in rows if row["resolved_at"] is None or row["resolved_at"] >= self.start]

    def legal_rows(self) -> list[Row]:
        """Return the legal clocks of the month."""
        return legal_rows(self.rows("legal_clocks"), self.rows("incidents"), self.start, self.end)

    def recorded_remedies(self) -> list[Remedied]:
        """Return the remedies that were recorded in the month, in order, with what was found of each."""
        every = with_proofs(self.remedies, self.remedy_proofs)
        return [(row, proofs) for row, proofs in every if self.start <= row["recorded_at"] < self.end]

    def decided_erasures(self) -> list[Row]:
        """Return the requests to erase a person that were decided in the month, in order."""
        rows = [row for row in self.rows("erasures") if self.start <= row["decided_at"] < self.end]
        return sorted(rows, key=lambda row: (row["decided_at"], row["erasure_id"]))

    def holding(self) -> list[Row]:
        """Return the legal holds in force when the evidence was read, the oldest first."""
        rows = [row for row in self.rows("holds") if row["released_at"] is None]
        return sorted(rows, key=lambda row: (row["placed_at"], row["hold_id"]))

    def last_drill(self) -> Row:
        """Return the last restore drill; an empty row without one."""
        return max(self.rows("drills"), key=lambda row: row["number"], default={})

    def masked(self) -> list[tuple[str, int]]:
        """Return the month's personal data masked: type and times, most first."""
        sums: Counter[str] = Counter()
        for text in self.calls()["pii_counts"].drop_nulls():
            sums.update({kind: int(times) for kind, times in json.loads(text).items()})
        return sorted(sums.items(), key=lambda item: (-item[1], item[0]))

    def guardrail_events(self) -> pl.DataFrame:
        """Return the month's guardrail verdicts, one row each: guardrail, category, action."""
        listed = self.calls().select("guardrail_events").explode("guardrail_events", empty_as_null=False)
        return listed.drop_nulls().unnest("guardrail_events")

    def costs_of_month(self) -> list[Decimal]:
        """Return the known costs of the month's inferences, USD."""
        if not self.costs.width:
            return []
        mine = self.costs.join(self.calls().select("event_id"), on="event_id", how="semi")
        return mine["cost_usd"].drop_nulls().to_list()

    def costs_reported(self) -> tuple[Decimal, Decimal]:
        """Return what the source says the month's inferences cost and what we compute, of those with both."""
        if not self.costs.width:
            return Decimal(0), Decimal(0)
        stated = self.calls().select("event_id", "cost_reported_usd")
        both = self.costs.join(stated, on="event_id").drop_nulls(["cost_usd", "cost_reported_usd"])
        sums = (sum(both[name].to_list(), Decimal(0)) for name in ("cost_reported_usd", "cost_usd"))
        return tuple(sums)  # type: ignore[return-value]

    def last_invoice(self) -> Row:
        """Return the check of the newest whole bill up to the month; an empty row without one."""
        bills = [row for row in self.rows("invoices") if row["holds"] and row["month"] <= self.month]
        whole = [row for row in bills if row["model"] is None]
        return max(whole, key=lambda row: row["month"], default={})

    def ratings(self) -> list[str]:
        """Return rated_up or rated_down for each of the month's inferences that users rated."""
        if not self.user_signals.width:
            return []
        mine = self.user_signals.join(self.calls().select("event_id"), on="event_id", how="semi")
        return mine.filter(pl.col("signal").is_in(("rated_up", "rated_down")))["signal"].to_list()

    def amendments_to_name(self) -> list[Row]:
        """Return the amendments to earlier months' reports that were made since the last report, in order."""
        since = self.last_report
        rows = [
            row for row in self.rows("amendments") if row["month"] < self.month and row["amended_at"] > since
        ]
        return sorted(rows, key=lambda row: (row["month"], row["number"]))
