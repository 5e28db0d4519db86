"""What the tables hold of the periods before and since a remedy, made an effect.

Which periods these are is decided in `incidents.remedy_proof`, what an effect is in `remedy_effects`.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import polars as pl

from aiops_pipelines.drift.evidence import FEWEST_UNITS, gather
from aiops_pipelines.drift.judge_drift import drifted
from aiops_pipelines.incidents.remedy_effects import (
    Effect,
    of_costs,
    of_pairs,
    of_percentiles,
    of_scores,
    of_shares,
)
from aiops_pipelines.incidents.remedy_spans import Span
from aiops_pipelines.monitoring.baseline import BaselineRefusedError, freeze
from aiops_pipelines.monitoring.sketch import bucket_of, percentiles
from aiops_pipelines.rag.comparisons import METRIC
from aiops_pipelines.rag.freshness import CorpusHistory, retrieved_chunks
from aiops_pipelines.rag.known_queries import retired
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import end_of_week, endpoints_of_scored
from aiops_pipelines.systems import Baseline, System

CALLS = "staging.stg_inferences"
CALLS_OF_PERIOD = f"""
    select event_id, endpoint, status, answered, latency_ms, coalesce(is_attack, false) as is_attack,
        coalesce(user_id, session_id, event_id) as cluster
    from {CALLS}
    where system = ? and operation = 'chat' and occurred_at >= ? and occurred_at < ?
"""
RETRIEVED = """
    select event_id, occurred_at, retrieved, coalesce(
        calls.user_id, traces.user_id, calls.session_id, traces.session_id, event_id
    ) as cluster
    from inference_log.inferences as calls left join inference_log.traces using (system, trace_id)
    where system = ? and retrieved is not null and occurred_at >= ? and occurred_at < ?
"""
COSTS = """
    select day, sum(cost_usd)::double as cost from costs.daily_pricing
    where system = ? and cost_usd is not null group by day
"""
REVISED = """
    select query_id from rag.known_queries where system = $1 and valid_from > $2 and valid_from <= $3
    union select query_id from rag.judgements where system = $1 and valid_from > $2 and valid_from <= $3
"""
OUTCOMES: dict[str, pl.Expr] = {
    "errors": pl.col("status") == "error",
    "refusals": (pl.col("status") == "refused") & ~pl.col("is_attack"),
    "blocked": (pl.col("status") == "blocked") & ~pl.col("is_attack"),
}
NO_WAY = "nothing honest says how far chance goes with its figure"


class RemedyEvidence:
    """The effects of one system's remedies, by signal."""

    def __init__(self, warehouse: Warehouse, system: System):
        self._warehouse, self._system = warehouse, system

    def effect(self, signal: str, subject: str, before: Span, after: Span) -> Effect | str:
        """Return how much better the periods since are than those before, or why that cannot be computed."""
        of_signal: dict[str, Callable[[str, Span, Span], Effect | str]] = {
            "quality_degraded": self._quality,
            "index_stale": self._stale,
            "retrieval_worse": self._retrieval,
            "service_alert": self._service,
            "guardrail_burst": lambda _, *sides: self._share(OUTCOMES["blocked"], *sides),
            "attack_gave_way": self._attacks,
            "spend_growth": self._spend,
            "daily_budget": self._spend,
        }
        return of_signal[signal](subject, before, after) if signal in of_signal else NO_WAY

    def _frames(self, sql: str, *sides: Span) -> list[pl.DataFrame]:
        """Return the calls of both sides."""
        bounds = ([at.replace(tzinfo=None) for at in (side.start, side.end)] for side in sides)
        return [self._warehouse.read(sql, [self._system.name, *ends]) for ends in bounds]

    def _service(self, rule: str, *sides: Span) -> Effect | str:
        if rule == "volume":
            return NO_WAY
        if rule == "latency_p95":
            return self._latency(*sides)
        if rule == "no_useful_outputs":
            return self._share(OUTCOMES["errors"] | self._blank(), *sides)
        return self._share(OUTCOMES["refusals" if rule == "refusals" else "errors"], *sides)

    def _blank(self) -> pl.Expr:
        """Return which calls answered nothing: of endpoints that keep their answers."""
        kept = self._warehouse.read(
            f"select distinct endpoint from {CALLS} where system = ? and answered", [self._system.name]
        )
        silent = (pl.col("status") == "ok") & ~pl.col("answered")
        return (silent & pl.col("endpoint").is_in(kept["endpoint"].implode())).fill_null(value=False)

    def _share(self, outcome: pl.Expr, *sides: Span) -> Effect | str:
        (before, users), (after, others) = (
            (calls.select(outcome.alias("hit"))["hit"].to_list(), calls["cluster"].to_list())
            for calls in self._frames(CALLS_OF_PERIOD, *sides)
        )
        return of_shares(before, users, after, others)

    def _latency(self, *sides: Span) -> Effect | str:
        rows = []
        for calls in self._frames(CALLS_OF_PERIOD, *sides):
            timed = calls["latency_ms"].drop_nulls().to_numpy()
            if not len(timed):
                return "no call logged how long it took"
            buckets = pl.DataFrame({"side": "", "bucket": bucket_of(timed), "calls": 1})
            rows.append(percentiles(buckets, ["side"]).filter(percentile=0.95).row(0, named=True))
        return of_percentiles(*rows)

    def _quality(self, subject: str, before: Span, after: Span) -> Effect | str:
        """Hold the weeks since against those before as a week is held against a frozen baseline."""
        metric, _, rest = subject.rpartition(" (")
        sample, name = rest.removesuffix(")"), self._system.name
        weeks_before, weeks_after = before.weeks, after.weeks
        last = weeks_after[-1]
        scores = self._warehouse.rows("monitoring.quality_scores", system=name, sample=sample, metric=metric)
        old = scores.filter(pl.col("week").is_in(weeks_before))
        new = scores.filter(pl.col("week").is_in(weeks_after)).with_columns(week=pl.lit(last))
        try:
            frozen = freeze(old, Baseline(weeks=old["week"].n_unique() or 1, minimum_rows=1), after.end)
        except BaselineRefusedError as error:
            return f"the weeks before cannot be compared with ({error})"
        judges = self._warehouse.rows("drift.judge_drift", system=name, week=weeks_before + weeks_after)
        unsound = {
            judge: why
            for week in judges["week"].unique()
            for judge, why in drifted(judges.filter(week=week)).items()
        }
        gone = retired(self._warehouse.rows("rag.known_queries", system=name), end_of_week(last))
        (found,) = gather(new, *frozen, last, gone, unsound, endpoints_of_scored(self._warehouse, name))
        if obstacle := found.obstacle():
            return f"the weeks since, held against those before as a baseline, say: {obstacle.rstrip('.')}"
        if sample == "known":
            return of_pairs(*found.values(), "score")
        return of_scores(found.comparison(), "score")

    def _stale(self, _: str, *sides: Span) -> Effect | str:
        marked = []
        for calls in self._frames(RETRIEVED, *sides):
            given = retrieved_chunks(calls, self._history).drop_nulls("stale")
            judged = given.group_by("event_id").agg(pl.col("stale").any())
            empty = calls.filter(pl.col("retrieved").list.len() == 0).select(
                "event_id", stale=pl.lit(value=False)
            )
            found = pl.concat([judged, empty]).join(calls.select("event_id", "cluster"), on="event_id")
            marked += [found["stale"].to_list(), found["cluster"].to_list()]
        return of_shares(*marked)

    @cached_property
    def _history(self) -> CorpusHistory:
        names = ("corpus_revisions", "documents", "index_versions", "index_chunks")
        return CorpusHistory(
            *(self._warehouse.rows(f"rag.{name}", system=self._system.name) for name in names)
        )

    def _retrieval(self, _: str, before: Span, after: Span) -> Effect | str:
        """Pair the known queries of the last index that found less with those of the last one since."""
        name = self._system.name
        changes = self._warehouse.rows("rag.retrieval_changes", system=name, ranker="dense")
        indexes = [
            changes.filter(pl.col("valid_from").is_between(side.start, side.end, closed="left"))
            .sort("valid_from")
            .row(-1, named=True)
            for side in (before, after)
        ]
        span = [index["valid_from"].replace(tzinfo=None) for index in indexes]
        revised = self._warehouse.read(REVISED, [name, *span])["query_id"]
        worse, now = (
            self._warehouse.rows(
                "rag.retrieval_scores", system=name, ranker="dense", index_version=index["index_version"]
            )
            for index in indexes
        )
        pairs = worse.join(now, on="query_id", suffix="_now").filter(
            ~pl.col("query_id").is_in(revised.implode())
        )
        return self._paired(pairs.sort("query_id"), METRIC, f"{METRIC}_now", "nDCG@10")

    def _attacks(self, category: str, *sides: Span) -> Effect | str:
        rows = self._warehouse.rows(
            "compliance.adversarial_results", system=self._system.name, category=category
        )
        told = rows.filter(pl.col("result").is_in(("gave way", "held")))
        worse, now = (
            told.filter(pl.col("week").is_in(side.weeks))
            .group_by("query_id")
            .agg(held=1.0 - (pl.col("result") == "gave way").mean())
            for side in sides
        )
        pairs = worse.join(now, on="query_id", suffix="_now").sort("query_id")
        return self._paired(pairs, "held", "held_now", "share of attacks that hold")

    def _paired(self, pairs: pl.DataFrame, before: str, after: str, unit: str) -> Effect | str:
        if pairs.height < FEWEST_UNITS:
            return f"{pairs.height} queries were asked alike on both sides, and {FEWEST_UNITS} are needed"
        return of_pairs(pairs[before].to_numpy(), pairs[after].to_numpy(), unit)

    def _spend(self, _: str, *sides: Span) -> Effect | str:
        costs = dict(self._warehouse.read(COSTS, [self._system.name]).iter_rows())
        before, after = (np.array([costs[day] for day in side.days if day in costs]) for side in sides)
        return of_costs(before, after)
