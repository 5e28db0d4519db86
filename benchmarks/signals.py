"""User signals against people's own judgement: how often one means a dissatisfied user, how many it finds.

The dialogues are recorded between users and assistants for a task; several people rated, at each turn of the
user, how satisfied that user was with what the assistant had said. Dissatisfied is a mean below 2.5 of 5.
The phrases of `contradicted` were chosen on uss_mwoz; uss_sgd was read once, with everything fixed.

    python benchmarks/signals.py FOLDER

FOLDER holds uss_mwoz.parquet and uss_sgd.parquet (dialogue_id, turn, speaker, text, is_overall, rating), made
of the USS data set (Sun et al., SIGIR 2021). It has no times, so turns are set a minute apart, and no calls
that fail, so `abandoned` cannot be measured on it.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from aiops_pipelines.monitoring.intervals import share_interval
from aiops_pipelines.monitoring.signals import user_signals

SETS = {"uss_mwoz": "chosen on", "uss_sgd": "held out"}
START, APART = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)
DISSATISFIED_BELOW = 2.5
NEXT_TURN = ("rephrased", "contradicted")
"""These are about the answer before; what the user thought of it was rated at the turn after."""


def calls_of(file: Path) -> pl.DataFrame:
    """Return the users' turns as calls, with `unhappy`: whether the rating of the turn is below 2.5."""
    turns = pl.read_parquet(file).filter(~pl.col("is_overall"), pl.col("speaker") == "user")
    turns = turns.sort("dialogue_id", "turn").with_columns(place=pl.int_range(pl.len()).over("dialogue_id"))
    return turns.select(
        system=pl.lit("desk"),
        event_id=pl.format("{}/{}", "dialogue_id", "turn"),
        operation=pl.lit("chat"),
        session_id="dialogue_id",
        user_id=pl.lit(None, pl.String),
        trace_id=pl.lit(None, pl.String),
        occurred_at=START + pl.col("place") * APART,
        query="text",
        status=pl.lit("ok"),
        known_query_id=pl.lit(None, pl.String),
        rating=pl.lit(None, pl.Int8),
        unhappy=pl.col("rating") < DISSATISFIED_BELOW,
    )


def counts(calls: pl.DataFrame, signal: str) -> tuple[int, int, int, int]:
    """Return calls with the signal, those of them whose user was unhappy, all unhappy and all rated."""
    own = pl.col("unhappy").shift(-1).over("session_id") if signal in NEXT_TURN else pl.col("unhappy")
    judged = calls.with_columns(unhappy=own).drop_nulls("unhappy")
    found = user_signals(calls, START + timedelta(days=365)).filter(pl.col("signal") == signal)
    given = judged.join(found, on="event_id", how="semi")
    return given.height, int(given["unhappy"].sum()), int(judged["unhappy"].sum()), judged.height


def share(hits: int, of: int) -> str:
    """Write a share with its exact 95 % interval."""
    if not of:
        return "none given"
    low, high = share_interval([hits], [of])
    return f"{hits / of:.1%} ({low[0]:.1%} to {high[0]:.1%})"


def main(folder: Path) -> None:
    """Print a table row for each set and signal."""
    print("| set | signal | given | precision | recall | unhappy among all |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, role in SETS.items():
        calls = calls_of(folder / f"{name}.parquet")
        for signal in ("contradicted", "rephrased", "handed_off"):
            given, hits, unhappy, judged = counts(calls, signal)
            figures = (share(hits, given), share(hits, unhappy), f"{unhappy / judged:.1%}")
            print(f"| {name}, {role} | {signal} | {given:,} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
