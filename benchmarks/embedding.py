"""A full build with the real MiniLM, beside the bare model at its best on the same texts, in one run.

The bare model is its ONNX session and tokenizer alone, in length-sorted batches of several sizes, as many
threads as cores; the best of them counts. Ours reads, cuts, embeds and stores the documents.

    python benchmarks/embedding.py FOLDER [--documents 60]
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from reindex_pipelines import files_of

from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import chunk
from aiops_pipelines.resources.documents import Snapshot
from aiops_pipelines.resources.embedders.minilm import MiniLM
from aiops_pipelines.resources.extraction import extracted
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

BATCHES = (1, 2, 4, 8)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def bare(model, texts, size):
    """Embed texts in length-sorted batches of a size, padded, a thread a core."""
    encodings = sorted(model._tokenizer.encode_batch(texts), key=lambda encoding: -len(encoding.ids))

    def run(batch):
        longest = len(batch[0].ids)
        ids = np.array([one.ids + [0] * (longest - len(one.ids)) for one in batch], dtype=np.int64)
        mask = np.array(
            [[1] * len(one.ids) + [0] * (longest - len(one.ids)) for one in batch], dtype=np.int64
        )
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = model._session.run(["last_hidden_state"], inputs)[0]
        pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    batches = [encodings[at : at + size] for at in range(0, len(encodings), size)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.concatenate(list(threads.map(run, batches)))


def built(model, folder):
    """Build an index of a folder in a new warehouse; return how many texts were embedded."""
    with tempfile.TemporaryDirectory(prefix="embedding-") as home:
        tables = {k: t for k, t in declared_tables(Project(Path(home)).dbt).items() if t.pillar == "rag"}
        warehouse = Warehouse(Path(home) / "index.duckdb", tables)
        warehouse.prepare()
        update = IndexBook(warehouse).update("bench", Snapshot("folder", None, Folder(folder)), NOW, model)
        return update.report.chunks["embedded"]


def timed(work):
    """Return what work returns and the wall and CPU seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, (time.perf_counter() - wall, time.process_time() - cpu)


def main():
    """Print the least times of several alternating rounds and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="embedding-") as corpus:
        paths = files_of(given.folder)
        for path in paths[:: max(len(paths) // given.documents, 1)][: given.documents]:
            target = Path(corpus) / path.relative_to(given.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        pieces = (chunk(extracted(path.suffix, path.read_bytes())) for path in files_of(Path(corpus)))
        texts = sorted({piece.chunk_id: piece.text for each in pieces for piece in each}.values())
        model = MiniLM()
        built(model, Path(corpus))  # loads everything
        ways = {
            f"bare, batches of {size}": lambda size=size: len(bare(model, texts, size)) for size in BATCHES
        }
        ways["ours, full build"] = lambda: built(model, Path(corpus))
        took = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, work in ways.items():
                done, seconds = timed(work)
                assert done == len(texts)
                took[way].append(seconds)
    least = {way: [min(each) for each in zip(*all_of, strict=True)] for way, all_of in took.items()}
    best = [min(seconds[at] for way, seconds in least.items() if way.startswith("bare")) for at in (0, 1)]
    print(f"{len(texts)} texts of {given.documents} documents, best of {given.rounds} rounds, as ratios")
    for way, seconds in least.items():
        print(f"{way:20} wall {seconds[0] / best[0]:.2f}   CPU {seconds[1] / best[1]:.2f}")


if __name__ == "__main__":
    main()
