"""Chunks embedded with the headings above them, against chunks embedded as they are.

python benchmarks/title_path.py [FOLDER]
The sample's two corpora come first, then the sets below FOLDER (each corpus.jsonl.gz, queries.jsonl and
qrels.tsv; without it ../shared) whose documents have titles. Differences are paired by query, with 95 %
intervals. Questions about the sample were written by who wrote its headings.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from fusion import HERE, read

from aiops_pipelines.rag import ranking
from aiops_pipelines.rag.chunking import BY_STRUCTURE, chunk
from aiops_pipelines.rag.comparisons import difference, two_sided_p
from aiops_pipelines.rag.evaluation import retrieval_scores
from aiops_pipelines.rag.known_queries import in_force, parse_known_queries
from aiops_pipelines.rag.metrics import QRELS
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.resources.embedder import MODELS, embedder

ROOT = Path(__file__).parents[1]
SAMPLES, SETS = ("support", "handbook"), ("xquad_en",)
METRICS = ("ndcg_at_10", "recall_at_5", "reciprocal_rank")
Set = tuple[dict[str, str], dict[str, str], pl.DataFrame]


def sample(name: str) -> Set:
    """Return the newest state of a sample corpus: texts by document, questions by id, judgements."""
    folder = ROOT / "data" / "corpus" / name
    dated = [one for one in folder.iterdir() if one.is_dir() and one.name[:2] == "20"]
    folder = max(dated) if dated else folder
    texts = {f.relative_to(folder).as_posix(): f.read_text("utf-8") for f in sorted(folder.rglob("*.md"))}
    lines = (ROOT / "data" / "queries" / f"{name}.jsonl").read_text("utf-8").splitlines()
    known, judged, _ = parse_known_queries(name, lines)
    known, judged = in_force(known, judged, known["valid_from"].max())
    judged = judged.filter(pl.col("document").is_in(list(texts)))
    known = known.join(judged, on="query_id", how="semi")
    return texts, dict(known.select("query_id", "query").iter_rows()), judged.select(QRELS.names())


def titled(folder: Path) -> Set:
    """Return a set with the title of each document as its heading."""
    texts, asked, judgements = read(folder)
    titles = {name: text.split(" ", 1) for name, text in texts.items()}
    return {n: f"# {t[0].replace('_', ' ')}\n\n{t[1]}" for n, t in titles.items()}, asked, judgements


def with_path(text: str, heading: str) -> str:
    """Return a chunk with the headings above it, as far as it does not begin with them."""
    first = text.split("\n", 1)[0].lstrip("# ").strip()
    path = [one for one in heading.split(" > ") if one and one != first]
    return "\n\n".join([" > ".join(path), text] if path else [text])


def compare(name: str, of: Set, model_name: str) -> None:
    texts, asked, judgements = of
    model = embedder(model_name)
    places = [(document, one) for document, text in texts.items() for one in chunk(text, BY_STRUCTURE)]
    queries = model.embed_queries(list(asked.values()))
    documents, scores = [document for document, _ in places], []
    for ways in ([one.text for _, one in places], [with_path(one.text, one.heading) for _, one in places]):
        once = sorted(set(ways), key=len)
        vectors = dict(zip(once, model.embed(once), strict=True))
        matrix = Vectors(queries.space, np.stack([vectors[text] for text in ways]))
        found = ranking.dense(documents, matrix, queries, 10)
        named = {q: [d for d, _ in r] for q, r in zip(asked, found, strict=True)}
        scores.append(retrieval_scores(name, "", "dense", named, judgements, texts).sort("query_id"))
    for metric in METRICS:
        without, path = (one[metric].to_numpy().astype(np.float64) for one in scores)
        mean, low, high = difference(path, without)
        p = two_sided_p(path, without)
        print(
            f"| {name} | {model_name} | {len(asked)} | {metric} | {without.mean():.3f} | {path.mean():.3f} | "
            f"{mean:+.3f} ({low:+.3f} to {high:+.3f}) | {p:.4f} |",
            flush=True,
        )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    print("| set | model | questions | measure | text | with path | difference | p |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for model in MODELS:
        for name in SAMPLES:
            compare(name, sample(name), model)
        for name in SETS:
            compare(name, titled(folder / name), model)


if __name__ == "__main__":
    main()
