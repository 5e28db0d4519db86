"""Another mix of questions: what it does to scores by itself, at what each kind scored in the baseline.

Between endpoints the mix is counted, and no part of a drop; within them questions are known by their vectors.
"""

import math

import numpy as np
import polars as pl

from aiops_pipelines.drift.comparison import Comparison, clustered, mix_alone

ALIKE = 10
"""So many questions of the baseline say how a question would have been answered there."""
FEWEST_QUESTIONS = 100
"""With fewer questions in the baseline the most alike ones are not alike."""
FEWEST_USERS = 10
"""Below ten independent users the noise of what an endpoint scored cannot be told."""
OTHERS = "(others)"
SURE = 1.645
"""Standard errors above zero from which a shift counts, one-sided 5 %."""


def only_production_fell(verdicts: pl.DataFrame) -> bool:
    """Say whether some metric of a week is DEGRADED in production while the known queries hold."""
    fallen = verdicts.filter(pl.col("verdict") == "DEGRADED")
    known = fallen.filter(pl.col("sample") == "known")["metric"].to_list()
    return not fallen.filter(pl.col("sample") == "production", ~pl.col("metric").is_in(known)).is_empty()


def with_strata(frozen: pl.DataFrame, now: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a metric's scores of the baseline and the week with a `stratum`, within which both are compared.

    An endpoint with ten users in the baseline is a stratum; those with fewer are one together, joined by the
    smallest other while it has fewer itself. So are endpoints of as few users that only the week has, where
    the baseline had such: paths with an id in them are new every day. The stratum of any other endpoint that
    the baseline does not have is null: nothing says how well it should be answered.

    Args:
        frozen: scores of the baseline with endpoint and cluster.
        now: those of the week.
    """
    users, in_week = _users(frozen), _users(now)
    together, pooled = set[str](), set[str]()
    for endpoint, asked in users.items():
        if len(asked) >= FEWEST_USERS and (not together or len(pooled) >= FEWEST_USERS):
            break
        together.add(endpoint)
        pooled |= asked
    if any(len(users[endpoint]) < FEWEST_USERS for endpoint in together):
        together |= {one for one in in_week.keys() - users if len(in_week[one]) < FEWEST_USERS}
    strata = {one: OTHERS if one in together else one for one in {*users, *together}}
    stratum = pl.col("endpoint").replace_strict(strata, default=None, return_dtype=pl.String())
    return frozen.with_columns(stratum=stratum), now.with_columns(stratum=stratum)


def _users(rows: pl.DataFrame) -> dict[str, set[str]]:
    """Return the users of each endpoint, the one with the fewest first."""
    found = rows.group_by("endpoint").agg(pl.col("cluster").unique()).iter_rows()
    return {endpoint: set(asked) for endpoint, asked in sorted(found, key=lambda one: (len(one[1]), one[0]))}


def between_strata(frozen: pl.DataFrame, now: pl.DataFrame) -> Comparison | None:
    """Return the drop that the shift between strata makes by itself; None with one stratum."""
    if frozen["stratum"].n_unique() < 2:
        return None
    before, after = ((rows["cluster"].to_list(), rows["stratum"].to_list()) for rows in (frozen, now))
    return mix_alone(frozen["value"].to_numpy(), *before, *after)


def moved_share(frozen: pl.DataFrame, now: pl.DataFrame) -> float:
    """Return the share of calls that moved to other strata: the total variation distance."""
    before, after = (dict(rows["stratum"].value_counts(normalize=True).iter_rows()) for rows in (frozen, now))
    return float(sum(abs(after.get(one, 0) - before.get(one, 0)) for one in {*before, *after}) / 2)


def between_questions(rows: pl.DataFrame, vectors: pl.DataFrame) -> tuple[pl.DataFrame, float, str]:
    """Return the calls held against alike questions, the drop that other questions make, and a sentence.

    A question is expected to do as the ten most alike ones of the baseline did against their endpoint's mean
    (nearest neighbours, Fix and Hodges 1951); it is none of them itself. Where what is expected falls by more
    than noise explains, users ask what was always answered worse, and calls without a vector are left out.
    Otherwise nothing changes and the drop is 0.

    Args:
        rows: calls of one metric with frozen, now, cluster, value, expected and loss.
        vectors: event_id and the vector of the question, of length 1, of the baseline's calls and the week's.
    """
    asked = rows.join(vectors, on="event_id", how="inner", maintain_order="left")
    frozen, now = asked["frozen"].to_numpy(), asked["now"].to_numpy()
    users = min(asked.filter(period)["cluster"].n_unique() for period in ("frozen", "now"))
    if frozen.sum() < FEWEST_QUESTIONS or 2 * now.sum() < rows["now"].sum() or users < 2:
        return rows, 0.0, ""
    matrix = np.stack(asked["vector"].to_list())
    likeness = matrix @ matrix[frozen].T
    likeness[np.flatnonzero(frozen), np.arange(frozen.sum())] = -np.inf
    nearest = np.argpartition(-likeness, ALIKE, axis=1)[:, :ALIKE]
    did = (asked["value"] - asked["expected"]).to_numpy()[frozen]
    moved, clusters = did[nearest].mean(axis=1), asked["cluster"].to_numpy()
    shift = clustered(moved[frozen], list(clusters[frozen]), moved[now], list(clusters[now]))
    uses = [
        np.bincount(nearest[part].ravel(), minlength=len(did)) / nearest[part].size for part in (frozen, now)
    ]
    codes = np.unique(clusters[frozen], return_inverse=True)[1]
    estimated = np.bincount(codes, weights=(uses[0] - uses[1]) * did)  # the noise of what alike questions did
    error = math.sqrt(shift.standard_error(0) ** 2 + float(estimated @ estimated))
    effect = shift.baseline - shift.week
    if effect <= SURE * error:
        return rows, 0.0, ""
    held = asked.with_columns(loss=pl.col("loss") + moved, expected=pl.col("expected") + moved)
    sentence = (
        f"Users ask other questions than in the baseline: had each been answered as the {ALIKE} most alike "
        f"were there, {rows['metric'][0]} would have fallen by {effect:.3f}."
    )
    return held, effect, sentence
