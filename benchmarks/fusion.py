"""Embeddings, keywords and both together on public retrieval sets, with the project's own verdicts.

python benchmarks/fusion.py [FOLDER]    a folder of sets, each corpus.jsonl.gz, queries.jsonl and qrels.tsv
Each set is a folder of its own below FOLDER; without it ../shared. The default model reads English only, so a
set whose name ends in another language, such as _de, is measured with the multilingual one.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import polars as pl

from aiops_pipelines.rag import fusion, ranking
from aiops_pipelines.rag.comparisons import retrieval_comparisons
from aiops_pipelines.rag.evaluation import retrieval_scores
from aiops_pipelines.rag.metrics import QRELS
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.resources.bm25 import Bm25
from aiops_pipelines.resources.bm25 import rank as bm25
from aiops_pipelines.resources.embedder import Embedder, MiniLM, MultilingualE5, embedder

HERE = Path(__file__).parents[1] / "../shared/datasets/retrieval"


def read(folder: Path) -> tuple[dict[str, str], dict[str, str], pl.DataFrame]:
    """Return texts by document, questions by id, and judgements."""
    lines = gzip.decompress((folder / "corpus.jsonl.gz").read_bytes()).decode().strip().split("\n")
    texts = {one["id"]: f"{one['title']} {one['text']}" for one in map(json.loads, lines)}
    questions = map(json.loads, (folder / "queries.jsonl").read_text("utf-8").splitlines())
    with (folder / "qrels.tsv").open(encoding="utf-8") as file:
        rows = [
            (row["query-id"], row["corpus-id"], int(row["score"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]
    return texts, {one["id"]: one["text"] for one in questions}, pl.DataFrame(rows, QRELS, orient="row")


def model_for(name: str) -> Embedder:
    """Return the default model, or the multilingual one where a name ends in another language."""
    language = name.rpartition("_")[2]
    other = len(language) == 2 and language != "en"
    return embedder(MultilingualE5.name if other else MiniLM.name)


def measure(name: str, folder: Path) -> None:
    texts, asked, judgements = read(folder)
    model, names, queries = model_for(name), list(texts), list(asked.values())
    vectors = Vectors(model.space.version, model.embed(list(texts.values())))
    query_vectors, keywords = model.embed_queries(queries), Bm25(list(texts.values()))
    rankings = {
        "dense": ranking.dense(names, vectors, query_vectors, 10),
        "bm25": bm25(keywords, names, queries, 10),
        "fusion": fusion.rank(
            names, vectors, query_vectors, lambda block: keywords.scores([queries[at] for at in block]), 10
        ),
    }
    scores = pl.concat(
        retrieval_scores(
            name,
            name,
            ranker,
            {q: [d for d, _ in one] for q, one in zip(asked, found, strict=True)},
            judgements,
            texts.keys(),
        )
        for ranker, found in rankings.items()
    )
    means = dict(scores.group_by("ranker").agg(pl.col("ndcg_at_10").mean()).iter_rows())
    print(f"{name} ({model.name}): " + ", ".join(f"{ranker} {means[ranker]:.3f}" for ranker in rankings))
    for row in retrieval_comparisons(scores, None).iter_rows(named=True):
        print(f"  {row['ranker']} against {row['against']}: {row['verdict']}. {row['reason']}")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    sets = sorted(path.parent for path in folder.glob("*/qrels.tsv")) if folder.is_dir() else []
    if not sets:
        sys.exit(f"{folder} holds no set; give a folder of folders with qrels.tsv.")
    for one in sets:
        measure(one.name, one)


if __name__ == "__main__":
    main()
