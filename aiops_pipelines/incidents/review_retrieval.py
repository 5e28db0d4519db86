"""The review's sections on what the system can find: index freshness and retrieval quality."""

from aiops_pipelines.document import Action, Chart, Figure, Section, Tone
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.incidents.review_quality import REMEDIES
from aiops_pipelines.wording import count, day, inert, percent

NDCG = "ndcg_at_10"


def _freshness_meaning(row: Row, limit: float) -> tuple[str, Tone]:
    share = row.get("stale_share")
    if row.get("verdict") == "fresh":
        return "The served index was level with the corpus.", "good"
    if row.get("verdict") != "stale":
        return "Freshness is unknown: no retrieval was logged this week.", "unknown"
    said = "The index is behind the corpus"
    if share is None:
        return f"{said}; how many answers were given from stale chunks is unknown.", "bad"
    said += f": {percent(share)} of answers were given from stale chunks (limit {percent(limit)})."
    return said, "bad" if share > limit else "warn"


def freshness(r: ReviewInputs) -> Section:
    """Say whether the served index lags behind its corpus, and how many answers came from stale chunks."""
    key, title, limit = "freshness", "Index freshness", r.system.limits.stale_share
    if r.system.corpus is None:
        return Section(key, title, "This system has no corpus, so no index can go stale.", "plain")
    row = next(iter(r.this_week("freshness")), {})
    meaning, tone = _freshness_meaning(row, limit)
    of = f"{count(row['stale_answers'] or 0)} of {count(row['answers'])}" if row.get("answers") else ""
    figures = (
        Figure("Stale answers", row.get("stale_share"), "percent", of),
        Figure("Index behind by", row.get("lag_days"), "days", "at the end of the week"),
        Figure("Documents stale", row.get("documents_stale"), "count", "served in an older version"),
        Figure("Documents missing", row.get("documents_missing"), "count", "in the corpus, not in the index"),
        Figure(
            "Documents orphaned", row.get("documents_orphaned"), "count", "in the index, not in the corpus"
        ),
    )
    shares = {found["week"]: found["stale_share"] for found in r.rows("freshness")}
    rows = tuple({"week": week.isoformat(), "share": shares.get(week)} for week in r.weeks())
    name, sentence = "Answers given from stale chunks", "Share of the week's answers with logged retrieval."
    charts = (Chart("stale_share_by_week", name, sentence, rows, {"limit": limit}),) if shares else ()
    stale = row.get("verdict") == "stale"
    actions = (Action(REMEDIES["index_staleness"], row["reason"] or meaning, tone),) if stale else ()
    return Section(key, title, meaning, tone, figures, charts, (), actions)


def retrieval(r: ReviewInputs) -> Section:
    """Say how well each index version finds what the known queries ask for, against the BM25 floor."""
    key, title = "retrieval", "Retrieval quality"
    rows = [row for row in r.rows("retrieval") if row["metric"] == NDCG and row["valid_from"] < r.end]
    rows.sort(key=lambda row: (row["valid_from"], row["index_version"], row["ranker"]))
    dense = [row for row in rows if row["ranker"] == "dense" and row["mean"] is not None]
    if not dense:
        meaning = "Retrieval was not measured: no known query was run on an index version."
        return Section(key, title, meaning, "unknown" if r.system.known_queries else "plain")
    last, version = dense[-1], dense[-1]["index_version"]
    floor = next((row for row in rows if row["ranker"] == "bm25" and row["index_version"] == version), None)
    meaning, tone = _retrieval_meaning(last, _change(r, version), floor)
    figures = (
        Figure("nDCG@10, dense", last["mean"], "score", _interval(last)),
        Figure("nDCG@10, BM25", floor["mean"] if floor else None, "score", _interval(floor) if floor else ""),
        Figure("Known queries", last["queries"], "count", "with a live judgement"),
        Figure("Dead judgements", last["dead_judgements"], "count", "their document is gone"),
    )
    points = tuple(
        {"version": f"{row['index_version'][:8]} ({day(row['valid_from'])})"}
        | {name: row[name] for name in ("ranker", "mean", "low", "high")}
        for row in rows
    )
    sentence = "Mean over the known queries with its 95 % interval, from 0 to 1."
    charts = (Chart("retrieval_by_version", "nDCG@10 by index version", sentence, points),)
    actions = [Action("Roll back to the index version before.", meaning, tone)] if tone == "bad" else []
    proven = _proven(r, version)
    weak = worse_slices(r, version)
    told = " ".join([*(row["reason"] for row in proven), *map(slice_sentence, weak)])
    actions += [Action(ranking, told, "warn") for ranking in _better_ranking(proven)]
    actions += [
        Action(f"Read what is found for {inert(row['slice'])}.", slice_sentence(row), "warn") for row in weak
    ]
    tone = "warn" if (proven or weak) and tone == "good" else tone
    return Section(key, title, f"{meaning} {told}".strip(), tone, figures, charts, (), tuple(actions))


def _change(r: ReviewInputs, version: str) -> Row | None:
    """Return how the embeddings of an index compare with those of the one before it."""
    rows = [row for row in r.rows("changes") if row["index_version"] == version and row["ranker"] == "dense"]
    return rows[-1] if rows else None


def _proven(r: ReviewInputs, version: str) -> list[Row]:
    """Return the comparisons that show the embeddings of an index behind another way of ranking it."""
    behind = {("dense", "bm25", "worse"), ("fusion", "dense", "better")}
    rows = [row for row in r.rows("rankers") if row["index_version"] == version]
    return [row for row in rows if (row["ranker"], row["against"], row["verdict"]) in behind]


def worse_slices(r: ReviewInputs, version: str | None = None) -> list[Row]:
    """Return the tags that the embeddings of an index find worse than the rest; of the newest without one."""
    rows = [row for row in r.rows("slices") if row["kind"] == "tag" and row["ranker"] == "dense"]
    rows = [row for row in rows if row["metric"] == NDCG and row["valid_from"] < r.end]
    if version is None and rows:
        version = max(rows, key=lambda row: (row["valid_from"], row["index_version"]))["index_version"]
    return [row for row in rows if row["index_version"] == version and row["verdict"] == "worse"]


def slice_sentence(row: Row) -> str:
    """Say by how much a tag is found worse."""
    return (
        f"Known queries on {inert(row['slice'])} are found worse than the rest: nDCG@10 {row['mean']:.3f} "
        f"({_interval(row)}) on {row['queries']} queries, {row['rest']:.3f} on the others."
    )


def _better_ranking(proven: list[Row]) -> list[str]:
    """Return what to rank with instead: both together where that beats the embeddings, else keywords."""
    if not proven:
        return []
    if any(row["ranker"] == "fusion" for row in proven):
        return ["Rank with the embeddings and keywords together (z scores, half and half)."]
    return ["Rank with keywords (BM25), or try another embedding model."]


def _retrieval_meaning(last: Row, change: Row | None, floor: Row | None) -> tuple[str, Tone]:
    said = f"The newest index reaches an nDCG@10 of {last['mean']:.3f} on the known queries"
    if change and change["verdict"] == "worse":
        return f"{said}. {change['reason']}", "bad"
    if floor is None or floor["mean"] is None:
        return f"{said}; keyword search (BM25) was not measured.", "good"
    below = floor["mean"] > last["mean"]
    compared = "less than" if below else "where"
    reached = (
        f"keyword search (BM25) reaches {floor['mean']:.3f}"
        if not below
        else f"keyword search (BM25), {floor['mean']:.3f}"
    )
    return f"{said}, {compared} {reached}.", "warn" if below else "good"


def _interval(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return "interval not measured"
    return f"95 % interval {row['low']:.3f} to {row['high']:.3f}"
