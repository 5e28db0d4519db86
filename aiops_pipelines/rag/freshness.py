"""How far the served index lags behind its corpus, and which answers came from stale chunks.

Weighted by what was really retrieved: a stale document that nobody was given harms nobody. What follows
from a stale verdict is the incidents' work.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

FRESHNESS = pl.Schema(
    {
        "system": pl.String,
        "week": pl.Date,
        "verdict": pl.String,
        "served_index_version": pl.String,
        "source_revision": pl.String,
        "lag_days": pl.Float64,
        "answers": pl.Int64,
        "stale_answers": pl.Int64,
        "stale_share": pl.Float64,
        "documents_stale": pl.Int64,
        "documents_missing": pl.Int64,
        "documents_orphaned": pl.Int64,
        "reason": pl.String,
    }
)
STALE_ANSWERS = pl.Schema(
    {
        "system": pl.String,
        "week": pl.Date,
        "event_id": pl.String,
        "chunk_id": pl.String,
        "document": pl.String,
    }
)


@dataclass(frozen=True)
class CorpusHistory:
    """A system's corpus and indexes over time; each frame has the columns of its `rag` table."""

    revisions: pl.DataFrame
    documents: pl.DataFrame
    index_versions: pl.DataFrame
    index_chunks: pl.DataFrame

    def revision_at(self, moment: datetime) -> tuple[str | None, datetime | None]:
        """Return the revision in force at a moment and since when, or two nulls before the first one."""
        past = self.revisions.filter(pl.col("valid_from") <= moment).sort("valid_from")
        return (past["revision"][-1], past["valid_from"][-1]) if past.height else (None, None)

    def overtaken_at(self, revision: str, moment: datetime) -> datetime | None:
        """Return when a revision stopped being the source, or null while it still is at that moment."""
        past = self.revisions.filter(pl.col("valid_from") <= moment).sort("valid_from")
        after = past.filter(pl.col("valid_from") > past.filter(revision=revision)["valid_from"].max())
        return after["valid_from"][0] if after.height else None

    def chunks_of_revisions(self) -> pl.DataFrame:
        """Return the distinct (revision, chunker_version, chunk_id) of all indexes built from each revision.

        Chunks cut by other rules have other ids, so a chunk has one chunker version.
        """
        columns = ["revision", "chunker_version", "chunk_id"]
        return self.index_chunks.join(self.index_versions, on="index_version").select(columns).unique()


def retrieved_chunks(inferences: pl.DataFrame, corpus: CorpusHistory) -> pl.DataFrame:
    """Return one row per call and chunk it was given, with `stale`: true, false or unknown (null).

    A chunk is stale when it is not among the chunks of the corpus revision in force at the moment of the
    call. It cannot be judged when no index built here holds the chunk, or when none was ever built from that
    revision by the rules the chunk was cut by.

    Args:
        inferences: columns event_id, occurred_at and retrieved (list of structs with chunk_id and document).
        corpus: the system's revisions and indexes.
    """
    content = corpus.chunks_of_revisions()
    given = (
        inferences.select("event_id", "occurred_at", "retrieved")
        .filter(pl.col("retrieved").list.len() > 0)
        .explode("retrieved")
        .select("event_id", "occurred_at", pl.col("retrieved").struct.unnest())
        .select("event_id", "occurred_at", "chunk_id", "document")
        .sort("occurred_at")
    )
    rules = content.select("chunk_id", "chunker_version").unique("chunk_id")
    covered = content.select("revision", "chunker_version").unique().with_columns(covered=True)
    current = content.select("revision", "chunk_id", current=True)
    in_force = corpus.revisions.select("valid_from", "revision").sort("valid_from")
    return (
        given.join_asof(in_force, left_on="occurred_at", right_on="valid_from")
        .join(rules, on="chunk_id", how="left")
        .join(covered, on=["revision", "chunker_version"], how="left")
        .join(current, on=["revision", "chunk_id"], how="left")
        .with_columns(stale=pl.when("covered").then(pl.col("current").is_null()))
        .select("event_id", "chunk_id", "document", "stale")
        .unique(["event_id", "chunk_id"], keep="first", maintain_order=True)
        .sort("event_id", "chunk_id")
    )


def served_index_version(inferences: pl.DataFrame) -> str | None:
    """Return the index version that served most calls of the last day; ties go to the last one seen."""
    named = inferences.filter(pl.col("index_version").is_not_null()).sort("occurred_at")
    if named.is_empty():
        return None
    day = named.filter(pl.col("occurred_at").dt.date() == named["occurred_at"].dt.date()[-1])
    counts = day.group_by("index_version").agg(calls=pl.len(), last=pl.col("occurred_at").max())
    return str(counts.sort("calls", "last")["index_version"][-1])


def document_lag(served: str, source_revision: str, corpus: CorpusHistory) -> tuple[int, int, int] | None:
    """Return how many documents are stale, missing and orphaned in an index; null when it is unknown."""
    index = corpus.index_chunks.filter(index_version=served).select("document", "document_hash").unique()
    if index.is_empty():
        return None
    have = dict(index.iter_rows())
    source = corpus.documents.filter(revision=source_revision)
    want = dict(source.select("document", "document_hash").iter_rows())
    changed = sum(have[name] != want[name] for name in have.keys() & want.keys())
    return changed, len(want.keys() - have.keys()), len(have.keys() - want.keys())


def index_freshness(
    system: str, week: date, until: datetime, inferences: pl.DataFrame, corpus: CorpusHistory, limit: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge one week of one system: returns the row of `index_freshness` and the rows of `stale_answers`.

    Args:
        system: AI system.
        week: Monday of the week.
        until: end of the week, or the present while the week runs (UTC).
        inferences: the week's calls, columns event_id, occurred_at, index_version and retrieved.
        corpus: the system's revisions and indexes.
        limit: share of stale answers above which the verdict is stale.
    """
    judged = retrieved_chunks(inferences, corpus).filter(pl.col("stale").is_not_null())
    logged = inferences.filter(pl.col("retrieved").is_not_null())
    answers = judged["event_id"].n_unique() + logged.filter(pl.col("retrieved").list.len() == 0).height
    stale = judged.filter("stale")
    stale_answers = stale["event_id"].n_unique()
    share = stale_answers / answers if answers else None
    served, (revision, _) = served_index_version(inferences), corpus.revision_at(until)
    lag = document_lag(served, revision, corpus) if served and revision else None
    verdict = "unknown" if share is None else "stale" if share > limit else "fresh"
    days = None if lag is None else _lag_days(served, until, corpus) if any(lag) else 0.0
    numbers = [served, revision, days, answers, stale_answers, share, *(lag or (None, None, None))]
    reason = _reason(logged.height, answers, stale_answers, limit, days, lag)
    row = pl.DataFrame([(system, week, verdict, *numbers, reason)], schema=FRESHNESS, orient="row")
    labels = [pl.lit(system).alias("system"), pl.lit(week).alias("week")]
    return row, stale.select(*labels, "event_id", "chunk_id", "document").cast(STALE_ANSWERS)


def _lag_days(served: str | None, until: datetime, corpus: CorpusHistory) -> float:
    built_from = corpus.index_versions.filter(index_version=served)["revision"]
    moments = [corpus.overtaken_at(revision, until) for revision in built_from.unique()]
    if not moments or None in moments:
        return 0.0
    return max((until - moment) / timedelta(days=1) for moment in moments if moment)


def _reason(
    logged: int, answers: int, stale: int, limit: float, days: float | None, lag: tuple[int, int, int] | None
) -> str:
    if not logged:
        return "No call of this week logged what it retrieved; log chunk ids to have freshness measured."
    if not answers:
        return (
            f"{logged} calls logged what they retrieved, but none of those chunks stands in an index built "
            "here, or the corpus of that day was never indexed; log the chunk ids of rag.index_chunks, or "
            "build the index."
        )
    text = f"{stale} of {answers} answers used text no longer in the corpus (limit {limit:.1%})"
    text += f"; {logged - answers} more could not be judged" if logged > answers else ""
    if lag is None:
        return text + "; the served index version is not known here."
    if not any(lag):
        return text + "; the served index equals the corpus."
    changed, missing, orphaned = lag
    return (
        f"{text}; the served index is {days or 0:.1f} days behind: {changed} documents older than the "
        f"source, {missing} missing and {orphaned} no longer in the source."
    )
