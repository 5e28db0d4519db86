"""The three cadences: each is one constant = tag = job = schedule = column of the README's grid.

Partitions live here too, because a cadence decides them. The dimension is called `period` so that it sorts
before `system`: a range of periods then covers every system, and 14 weeks of all systems are one run.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from aiops_pipelines.periods import EPOCH

CONTINUOUS, WEEKLY, MONTHLY = "continuous", "weekly", "monthly"
CADENCES = (CONTINUOUS, WEEKLY, MONTHLY)

systems = dg.DynamicPartitionsDefinition(name="systems")
weeks = dg.MultiPartitionsDefinition(
    {"period": dg.WeeklyPartitionsDefinition(start_date=EPOCH.isoformat(), day_offset=1), "system": systems}
)
months = dg.MultiPartitionsDefinition(
    {"period": dg.MonthlyPartitionsDefinition(start_date=EPOCH.isoformat()), "system": systems}
)
one_run = dg.BackfillPolicy.single_run()

weeks_of_month = dg.MultiPartitionMapping(
    {
        "period": dg.DimensionPartitionMapping("period", dg.TimeWindowPartitionMapping()),
        "system": dg.DimensionPartitionMapping("system", dg.IdentityPartitionMapping()),
    }
)

FRESHNESS = {
    CONTINUOUS: dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=2), warn_window=timedelta(minutes=45)
    ),
    WEEKLY: dg.FreshnessPolicy.cron(deadline_cron="0 10 * * 1", lower_bound_delta=timedelta(hours=4)),
    MONTHLY: dg.FreshnessPolicy.cron(deadline_cron="0 10 1 * *", lower_bound_delta=timedelta(hours=4)),
}


BOOKS = ("signals", "incidents", "remedy_proofs", "audit_log", "text_deletions", "analyst_copy")
"""Continuous assets over all systems at once; the other cadences bring them up to date as well."""


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the run tags that make one run cover a range of partition keys."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def period_range(periods: Iterable[date], registered: Sequence[str]) -> dict[str, str]:
    """Return the run tags for all systems, in the order of registration, over the span of some periods."""
    days = sorted(periods)
    first = dg.MultiPartitionKey({"period": days[0].isoformat(), "system": registered[0]})
    last = dg.MultiPartitionKey({"period": days[-1].isoformat(), "system": registered[-1]})
    return range_tags(first, last)


def utc_now() -> datetime:
    """Return the clock; the only place of the package that asks for it."""
    return datetime.now(UTC)
