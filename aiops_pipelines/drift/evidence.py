"""The observations of one metric, the week's and the baseline's, and why they may not carry a comparison.

Comparing them lives in `comparison`, deciding in `verdict`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from aiops_pipelines.drift.comparison import Comparison, Floats, effective_clusters, paired, post_stratified
from aiops_pipelines.drift.query_mix import between_strata, moved_share, with_strata
from aiops_pipelines.monitoring.baseline import fingerprint
from aiops_pipelines.monitoring.quality import JUDGE_CHANGED, RETIRED
from aiops_pipelines.wording import count, listed

FEWEST_UNITS = 10
"""Below ten independent observations no variance can be trusted, and 2^-n, the least p, passes 0.1 %."""
NAMED = 3
"""Endpoints that a reason names, those with the most calls: paths with an id in them are many."""
SAME = 1e-12
"""Scores closer than this differ by rounding only."""


@dataclass(frozen=True)
class Evidence:
    """One sample and metric of a week beside its frozen baseline; frames are empty where there is nothing."""

    sample: str
    metric: str
    week: pl.DataFrame
    baseline: pl.DataFrame
    frozen: pl.DataFrame
    """The metric's row of monitoring.baselines."""
    retired: frozenset[str] = frozenset()
    drifted: Mapping[str, str] = field(default_factory=dict)
    """Judge to why its scores of the week say nothing."""

    @property
    def still(self) -> pl.DataFrame:
        """The baseline's scores that this week can have as well: without the queries retired since."""
        if self.sample != "known":
            return self.baseline
        return self.baseline.filter(~pl.col("unit").is_in(list(self.retired)))

    def scope(self) -> str:
        """Say what is compared, where that is not all: without retired queries, or endpoint by endpoint."""
        if self.sample != "known":
            several = self.baseline["stratum"].n_unique() > 1
            return " on the week's own mix of endpoints" if several else ""
        gone = self.baseline.height - self.still.height
        return f", without {count(gone)} of its known queries, retired since" if gone else ""

    @property
    def measured(self) -> pl.DataFrame:
        """The week's scores that have a value."""
        return self.week.filter(pl.col("value").is_not_null())

    @property
    def held(self) -> pl.DataFrame:
        """The week's production scores of endpoints that the baseline has."""
        return self.measured.filter(pl.col("stratum").is_not_null())

    @property
    def pairs(self) -> pl.DataFrame:
        """Known queries scored in both periods: unit, value, value_week."""
        runs = self.measured.group_by(pl.col("query_id").alias("unit")).agg(pl.col("value").mean())
        return self.still.join(runs, on="unit", suffix="_week").sort("unit")

    @property
    def judges(self) -> list[str]:
        """Judges of the week's scores; unmeasured scores count where nothing was measured."""
        rows = self.measured if self.measured.height else self.week
        return sorted(rows["judge"].unique())

    def values(self) -> tuple[Floats, Floats]:
        """Return the scores that are compared: pair by pair, or all of production."""
        if self.sample == "known":
            return self.pairs["value"].to_numpy(), self.pairs["value_week"].to_numpy()
        return self.baseline["value"].to_numpy(), self.held["value"].to_numpy()

    def comparison(self) -> Comparison:
        """Return the two means with the variance that suits the sample."""
        baseline, week = self.values()
        if self.sample == "known":
            return paired(baseline, week)
        return post_stratified(
            baseline,
            self.baseline["cluster"].to_list(),
            self.baseline["stratum"].to_list(),
            week,
            self.held["cluster"].to_list(),
            self.held["stratum"].to_list(),
        )

    def mix(self) -> Comparison | None:
        """Compare what the baseline scored on its own mix of endpoints and on the week's."""
        return None if self.sample == "known" else between_strata(self.baseline, self.held)

    def moved(self) -> float:
        """Return the share of the calls that moved to other endpoints than in the baseline."""
        return moved_share(self.baseline, self.held)

    def unknown(self) -> str:
        """Say which calls cannot be held against the baseline, where they are more than a tenth; else ''."""
        if self.sample == "known" or 10 * self.held.height >= 9 * self.measured.height:
            return ""
        new = self.measured.filter(pl.col("stratum").is_null())
        calls = new.group_by("endpoint").len().sort("len", "endpoint", descending=[True, False])
        names, more = calls["endpoint"].head(NAMED).to_list(), calls.height - NAMED
        names += [f"{count(more)} more"] if more > 0 else []
        return (
            f"{new.height:,} of the {self.measured.height:,} scored calls are of endpoints that the baseline "
            f"does not have ({listed(names)})"
        )

    def rise_in_unmeasured(self) -> float:
        """Return by how much the unmeasured share grew: a drop could hide in scores that are not there."""
        if self.sample == "known":
            return 1 - self.pairs.height / self.still.height
        before = int(self.frozen["unmeasured"].item())
        frozen = before / (before + int(self.frozen["n"].item()))
        return 1 - self.measured.height / self.week.height - frozen

    def missing(self) -> str:
        """Return in words which scores are not there."""
        if self.sample == "known":
            lost = self.still.height - self.pairs.height
            has = "has" if lost == 1 else "have"
            return f"{lost:,} of the {self.still.height:,} known queries of the baseline {has} no score now"
        points = 100 * self.rise_in_unmeasured()
        return (
            f"the share of scores that could not be measured rose by {points:.1f} points against the baseline"
        )

    def _never_moves(self) -> bool:
        """Say whether all scores are one, or all of each endpoint, in both periods."""
        if self.sample == "known":
            return bool(np.ptp(np.concatenate(self.values())) < SAME)
        scores = pl.concat([rows.select("stratum", "value") for rows in (self.baseline, self.held)])
        spread = scores.group_by("stratum").agg(pl.col("value").max() - pl.col("value").min())
        return bool((spread["value"] < SAME).all())

    def _effective_users(self) -> tuple[float, float]:
        """Return the effective users of the baseline, on the week's own mix of endpoints, and of the week."""
        calls = self.held.group_by("stratum").agg(pl.len().alias("calls"))
        share = self.baseline.join(calls, on="stratum").with_columns(
            weight=pl.col("calls") / pl.len().over("stratum")
        )
        weights = (
            rows.group_by("cluster").agg(weight)["weight"].to_numpy().astype(np.float64)
            for rows, weight in ((share, pl.col("weight").sum()), (self.held, pl.len().alias("weight")))
        )
        before, now = (round(effective_clusters(of), 9) for of in weights)
        return before, now

    def obstacle(self) -> str | None:
        """Return why the week cannot be compared, in a sentence, or None."""
        return next(self._obstacles(), None)

    def _obstacles(self) -> Iterator[str]:
        if self.frozen.is_empty():
            yield "No baseline is frozen for this metric, or it had too few scores at the freeze."
        elif fingerprint(self.baseline) != self.frozen["fingerprint"].item():
            yield "The stored baseline scores do not match their fingerprint: they were edited."
        elif self.still.is_empty():
            yield f"{RETIRED}; replace it by weeks with the new ones."
        elif self.week.is_empty():
            yield "Nothing was scored in this week."
        elif self.measured.is_empty():
            reason, count = self.week["reason"].value_counts(sort=True).row(0)
            yield f"None of the {self.week.height} scores could be measured ({count} times: {reason})."
        elif len(self.judges) > 1:
            yield f"Several judges scored the week ({', '.join(self.judges)}); score it again with one."
        elif self.judges[0] != self.frozen["judge"].item():
            before = self.frozen["judge"].item()
            yield f"{JUDGE_CHANGED} from {before} to {self.judges[0]}; re-score the baseline."
        elif self.judges[0] in self.drifted:
            yield self.drifted[self.judges[0]]
        else:
            yield from self._thin_scores()

    def _thin_scores(self) -> Iterator[str]:
        if self.sample == "known" and self.pairs.height < FEWEST_UNITS:
            found = f"Known queries scored in both the baseline and the week: {self.pairs.height}"
            yield f"{found}; at least {FEWEST_UNITS} are needed."
            return
        if self.sample != "known":
            if self.held.is_empty():
                yield f"{self.unknown()}; replace it by weeks with them."
                return
            users = min(self._effective_users())
            if users < FEWEST_UNITS:
                yield (
                    f"The calls count as {users:.1f} independent users, because some make many of them; "
                    f"at least {FEWEST_UNITS} are needed."
                )
                return
        baseline, _ = self.values()
        compared = self.comparison()
        if compared.baseline <= 0:
            yield "The baseline mean is 0, so a relative drop is not defined."
        elif self._never_moves():
            same = f"{baseline[0]:.3g}" if np.ptp(baseline) < SAME else "that of its endpoint"
            yield (
                f"Every score is {same}, in the baseline and in the week: a metric that never "
                "moves neither shows nor excludes a drop."
            )
        elif compared.interval() is None:
            yield "The baseline mean cannot be told from 0, so a relative drop has no bounds."


def gather(
    week_scores: pl.DataFrame,
    baselines: pl.DataFrame,
    baseline_scores: pl.DataFrame,
    week: date,
    retired: Collection[str] = (),
    drifted: Mapping[str, str] | None = None,
    endpoints: pl.DataFrame | None = None,
) -> list[Evidence]:
    """Return the evidence for every sample and metric that has a baseline or a measured score in the week.

    A metric that does not apply to a sample (no reference answers in production) has neither and needs no
    verdict. `endpoints` has the event_id and endpoint of production calls; without it they are of one.
    """
    now = week_scores.filter(pl.col("week") == week)
    wanted = pl.concat(
        [frame.select("sample", "metric") for frame in (baselines, now.filter(pl.col("value").is_not_null()))]
    )
    found = []
    for sample, metric in wanted.unique().sort("sample", "metric").iter_rows():
        scored, frozen_scores, frozen = (
            frame.filter(pl.col("sample") == sample, pl.col("metric") == metric)
            for frame in (now, baseline_scores, baselines)
        )
        if sample != "known":
            frozen_scores, scored = with_strata(
                _placed(frozen_scores, "unit", endpoints), _placed(scored, "event_id", endpoints)
            )
        gone = frozenset(retired)
        found.append(Evidence(sample, metric, scored, frozen_scores, frozen, gone, drifted or {}))
    return found


def _placed(rows: pl.DataFrame, call: str, endpoints: pl.DataFrame | None) -> pl.DataFrame:
    """Return production scores with the endpoint of each; a call without a cluster stands alone."""
    if endpoints is None:
        endpoints = pl.DataFrame(schema={"event_id": pl.String(), "endpoint": pl.String()})
    known = endpoints.select(pl.col("event_id").alias(call), pl.col("endpoint"))
    return rows.join(known, on=call, how="left", maintain_order="left").with_columns(
        pl.col("endpoint").fill_null("unnamed"), pl.coalesce("cluster", call).alias("cluster")
    )
