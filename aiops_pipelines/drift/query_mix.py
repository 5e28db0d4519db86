"""The drop that another mix of questions makes by itself, at what each kind scored in the baseline.

Between endpoints the mix is counted; within them questions are known by their vectors.
"""

import math

import numpy as np
import polars as pl

from aiops_pipelines.drift.comparison import clustered

ALIKE = 10
"""So many questions of the baseline say how a question would have been answered there."""
FEWEST_QUESTIONS = 100
"""With fewer questions in the baseline the most alike ones are not alike."""
SURE = 1.645
"""Standard errors above zero from which a shift counts, one-sided 5 %."""


def only_production_fell(verdicts: pl.DataFrame) -> bool:
    """Say whether some metric of a week is DEGRADED in production while the known queries hold."""
    fallen = verdicts.filter(pl.col("verdict") == "DEGRADED")
    known = fallen.filter(pl.col("sample") == "known")["metric"].to_list()
    return not fallen.filter(pl.col("sample") == "production", ~pl.col("metric").is_in(known)).is_empty()


def between_endpoints(frozen: pl.DataFrame, now: pl.DataFrame) -> tuple[float, str]:
    """Return the drop that a shift between endpoints alone makes (Kitagawa 1955), and a sentence about it.

    Worked example: endpoint a scores 0.9 and b 0.5 in the baseline; from 80:20 to 50:50 the mean falls from
    0.82 to 0.70 without any answer getting worse: 0.12. The shift is the total variation distance, 30 %.
    """
    shares = {
        name: dict(rows.select(pl.col("unit").value_counts(normalize=True)).unnest("unit").iter_rows())
        for name, rows in (("before", frozen), ("now", now))
    }
    means = dict(frozen.group_by("unit").agg(pl.col("value").mean()).iter_rows())
    overall = float(frozen["value"].mean())  # type: ignore[arg-type]
    units = sorted({*shares["before"], *shares["now"]})
    shift = {unit: shares["now"].get(unit, 0.0) - shares["before"].get(unit, 0.0) for unit in units}
    effect = -sum(change * means.get(unit, overall) for unit, change in shift.items())
    distance = sum(abs(change) for change in shift.values()) / 2
    return effect, (
        f"{100 * distance:.0f} % of the calls moved to other endpoints than in the baseline; at baseline "
        f"scores that alone lowers {now['metric'][0]} by {effect:.3f}."
    )


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
