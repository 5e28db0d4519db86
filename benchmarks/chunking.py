"""Ways of cutting documents, judged by marked spans and by the sweep's own verdict.

python benchmarks/chunking.py [FOLDER]    a folder with questions.jsonl and corpora/*.md; without it ../shared
The default embedding model; `k = 5` is what the set's authors report, `1,000 tokens` the same text for all.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from aiops_pipelines.rag import ranking, sweep
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.letters import letters
from aiops_pipelines.rag.metrics import QRELS
from aiops_pipelines.rag.passages import in_budget, overlap
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.tokenizer import count_tokens

HERE = Path(__file__).parents[1] / "../shared/datasets/retrieval/chroma_chunking"
LEFT_OUT = {"finance"}
"""Half of the set's text: ten times over, that is an hour of embedding."""


def read(folder: Path) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, list[tuple[int, int]]]]]:
    """Return texts by document, questions and marked spans of letters by question."""
    texts = {file.stem: file.read_text("utf-8") for file in sorted((folder / "corpora").glob("*.md"))}
    texts = {name: text for name, text in texts.items() if name not in LEFT_OUT}
    asked, marked = {}, {}
    for line in (folder / "questions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        text = texts.get(row["corpus_id"])
        if text is None:
            continue
        asked[row["id"]] = row["text"]
        ends = [(one["start_index"], one["end_index"]) for one in row["references"]]
        spans = [(len(letters(text[:a])), len(letters(text[:b]))) for a, b in ends]
        marked[row["id"]] = {row["corpus_id"]: spans}
    return texts, asked, marked


def embedded(model, texts: list[str], known: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return vectors in order, each text embedded once over all candidates, and the CPU seconds it took."""
    new = sorted({text for text in texts if text not in known}, key=len)
    start = time.process_time()
    for at in range(0, len(new), 256):
        known.update(zip(new[at : at + 256], model.embed(new[at : at + 256]), strict=True))
    return np.stack([known[text] for text in texts]), time.process_time() - start


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    if not folder.is_dir():
        sys.exit(f"There is no folder {folder}; give one with questions.jsonl and corpora/*.md.")
    texts, asked, marked = read(folder)
    model, known = embedder(), {}
    queries = model.embed_queries(list(asked.values()))
    none = [(query, next(iter(of_it)), 2) for query, of_it in marked.items()]
    judgements = pl.DataFrame(none, schema=QRELS, orient="row")
    what = sweep.Asked(list(asked), queries, judgements, marked)
    print(f"{len(asked)} questions over {len(texts)} documents, {sum(map(len, texts.values())):,} characters")
    print(
        "| candidate | chunks | CPU s | recall | precision | IoU | recall, 1,000 tokens | IoU, 1,000 tokens |"
    )
    scores = {}
    for chunking in sweep.CANDIDATES:
        cut = sweep.Cut.of(texts, chunking)
        matrix, cpu_s = embedded(model, list(cut.texts.values()), known)
        vectors = Vectors(queries.space, matrix)
        tokens = np.array([count_tokens(text, "gpt-4o")[0] for text in cut.texts.values()])
        places = list(cut.places.values())
        best = np.argsort(-ranking.similarities(vectors, queries), axis=1, kind="stable")
        first, same = [], []
        for row, query in enumerate(asked):
            order = best[row].tolist()
            whole = [(at, 1.0) for at in order[:5]]
            first.append(overlap(marked[query], sweep.spans(places, whole)))
            same.append(overlap(marked[query], sweep.spans(places, in_budget(order, tokens, 1_000))))
        figures = [
            np.mean([getattr(one, name) for one in found])
            for found, name in ((first, "recall"), (first, "precision"), (first, "iou"), (same, "recall"))
        ]
        figures.append(np.mean([one.iou for one in same]))
        shown = " | ".join(f"{value:.3f}" for value in figures)
        print(f"| {chunking.version} | {len(places):,} | {cpu_s:.0f} | {shown} |", flush=True)
        scores[chunking] = sweep.measured(cut, vectors, tokens, what)
    for current in (Chunking(), Chunking(1_800), Chunking(1_200, "sentences")):
        found = sweep.judged(current, scores, 0.02)
        print(f"In force {current.version}: {found.verdict}. {found.reason}")


if __name__ == "__main__":
    main()
