"""Re-indexing two releases of a documentation: ours, a bare script, LlamaIndex and LangChain, in one run.

Each builds the first release, looks again with nothing changed, then takes the second release, in a process
of its own. The embedder is a stub, the same for all and not counted: CPU seconds are the pipeline's own.
`new` are the distinct texts of the second release that the first did not have, by each pipeline's own
splitter; `embedded / new` is 1 for a pipeline that embeds nothing twice.

    python benchmarks/reindex.py FIRST SECOND

FIRST and SECOND are folders of Markdown or reStructuredText files. The peers are in
benchmarks/requirements.txt; one that is not installed is left out and named.
"""

import argparse
import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

DIMENSION, CHARACTERS = 384, 600
ENDINGS = (".md", ".rst")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def files_of(folder):
    """Return the documents below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS)


class Stub:
    """Vectors out of hashes; counts texts and the CPU seconds that are its own."""

    def __init__(self):
        self.texts, self.seconds = [], 0.0

    def vectors(self, texts):
        begun = time.process_time()
        self.texts += texts
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) for text in texts]
        made = [np.random.default_rng(seed).random(DIMENSION, dtype=np.float32) for seed in seeds]
        self.seconds += time.process_time() - begun
        return made


class Bare:
    """The limit: one stat a file, our chunks, what is new embedded, one pickle written."""

    def __init__(self, home, stub):
        self.stub, self.file = stub, home / "index.pickle"
        self.stats, self.chunks, self.stored = {}, {}, {}

    def update(self, folder):
        from aiops_pipelines.rag.chunking import chunk
        from aiops_pipelines.resources.extraction import extracted

        now = {str(p.relative_to(folder)): p for p in files_of(folder)}
        stats = {name: ((s := p.stat()).st_size, s.st_mtime_ns) for name, p in now.items()}
        moved = [name for name in now if self.stats.get(name) != stats[name]]
        if not moved and stats.keys() == self.stats.keys():
            return
        kept = {name: pieces for name, pieces in self.chunks.items() if name in now}
        kept |= {
            name: [(c.chunk_id, c.text) for c in chunk(extracted(now[name].suffix, now[name].read_bytes()))]
            for name in moved
        }
        wanted = {key: text for pieces in kept.values() for key, text in pieces}
        new = {key: text for key, text in wanted.items() if key not in self.stored}
        self.stored |= dict(zip(new, self.stub.vectors(list(new.values())), strict=True))
        self.stats, self.chunks = stats, kept
        self.file.write_bytes(pickle.dumps((stats, kept, self.stored)))


class Ours:
    """IndexBook over DuckDB, as `aiops reindex` runs it."""

    def __init__(self, home, stub):
        from aiops_pipelines.project import Project
        from aiops_pipelines.rag.versions import EmbeddingSpace
        from aiops_pipelines.resources.index_book import IndexBook
        from aiops_pipelines.resources.tables import declared_tables
        from aiops_pipelines.resources.warehouse import Warehouse

        class Model:
            name, languages, paid = "stub", None, False
            space = EmbeddingSpace("stub", "stub", "1", DIMENSION)

            def embed(self, texts):
                return np.array(stub.vectors(list(texts)), dtype=np.float32)

        tables = {k: t for k, t in declared_tables(Project(home).dbt).items() if t.pillar == "rag"}
        self.warehouse = Warehouse(home / "index.duckdb", tables)
        self.warehouse.prepare()
        self.book, self.model, self.days = IndexBook(self.warehouse), Model(), 0

    def update(self, folder):
        from aiops_pipelines.resources.documents import Snapshot
        from aiops_pipelines.resources.sources.folder import Folder

        self.days += 1
        now = NOW + timedelta(days=self.days)
        self.book.update("bench", Snapshot("folder", None, Folder(folder)), now, self.model)


class LlamaIndex:
    """IngestionPipeline with upserts and deletes, simple stores, persisted after each update."""

    def __init__(self, home, stub):
        from llama_index.core.embeddings import BaseEmbedding
        from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.core.storage.docstore import SimpleDocumentStore
        from llama_index.core.vector_stores import SimpleVectorStore

        class Embedding(BaseEmbedding):
            def _get_text_embeddings(self, texts):
                return [vector.tolist() for vector in stub.vectors(texts)]

            def _get_text_embedding(self, text):
                return self._get_text_embeddings([text])[0]

            _get_query_embedding = _get_text_embedding

            async def _aget_query_embedding(self, query):
                return self._get_text_embedding(query)

        self.home = home
        self.pipeline = IngestionPipeline(
            transformations=[
                SentenceSplitter(chunk_size=160, chunk_overlap=0),
                Embedding(embed_batch_size=512),
            ],
            docstore=SimpleDocumentStore(),
            vector_store=SimpleVectorStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        )

    def update(self, folder):
        from llama_index.core import SimpleDirectoryReader

        reader = SimpleDirectoryReader(
            folder, recursive=True, required_exts=list(ENDINGS), filename_as_id=True
        )
        documents = reader.load_data()
        for document in documents:  # the same document in two folders is one document
            document.metadata = {"file_path": str(Path(document.metadata["file_path"]).relative_to(folder))}
            document.id_ = document.metadata["file_path"]
        self.pipeline.run(documents=documents)
        self.pipeline.persist(str(self.home))


class LangChain:
    """index() with full clean-up, a record manager and a vector store in memory."""

    def __init__(self, home, stub):
        from langchain_core.embeddings import Embeddings
        from langchain_core.indexing import InMemoryRecordManager
        from langchain_core.vectorstores import InMemoryVectorStore
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        class Embedding(Embeddings):
            def embed_documents(self, texts):
                return [vector.tolist() for vector in stub.vectors(texts)]

            def embed_query(self, text):
                return self.embed_documents([text])[0]

        self.records, self.store = InMemoryRecordManager("bench"), InMemoryVectorStore(Embedding())
        self.records.create_schema()
        self.splitter = RecursiveCharacterTextSplitter(chunk_size=CHARACTERS, chunk_overlap=0)

    def update(self, folder):
        from langchain_core.documents import Document
        from langchain_core.indexing import index

        whole = [
            Document(path.read_text(), metadata={"source": str(path.relative_to(folder))})
            for path in files_of(folder)
        ]
        pieces = self.splitter.split_documents(whole)
        options = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}
        index(pieces, self.records, self.store, **options)


PIPELINES = {"bare script": Bare, "ours": Ours, "LlamaIndex": LlamaIndex, "LangChain": LangChain}


def measured(name, first, second):
    """Run one pipeline in this process; print CPU seconds and texts embedded by step, as JSON."""
    home = Path(tempfile.mkdtemp(prefix="reindex-"))
    folder = home / "corpus"
    shutil.copytree(first, folder)
    stub = Stub()
    pipeline, steps, seen, firsts = PIPELINES[name](home, stub), [], set(), set()
    for step in ("build", "again", "next"):
        if step == "next":
            gone = [p for p in files_of(folder) if not (second / p.relative_to(folder)).exists()]
            for path in gone:
                path.unlink()
            for path in (p for p in second.rglob("*") if p.is_file()):
                target = folder / path.relative_to(second)
                if not target.exists() or target.read_bytes() != path.read_bytes():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
        stub.texts, stub.seconds = [], 0.0
        begun = time.process_time()
        pipeline.update(folder)
        cpu = time.process_time() - begun - stub.seconds
        firsts = set(stub.texts) - seen
        seen |= firsts
        steps.append({"step": step, "cpu": cpu, "embedded": len(stub.texts), "new": len(firsts)})
    disk = sum(p.stat().st_size for p in home.rglob("*") if p.is_file() and folder not in p.parents)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shutil.rmtree(home)
    print(json.dumps({"steps": steps, "disk_mb": disk / 1e6, "peak_mb": peak}))


def main():
    """Run every pipeline three times and print the least CPU of each step, and ratios to the bare script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        return measured(given.only, given.first, given.second)
    files = len(files_of(given.first)), len(files_of(given.second))
    print(f"{files[0]} and {files[1]} documents; CPU seconds without the embedder, best of {given.repeats}")
    heads = ("build", "again", "next", "x bare", "embedded / new", "disk MB", "peak MB")
    print(f"{'':12}" + "".join(f" {head:>{max(8, len(head) + 2)}}" for head in heads))
    bare = None
    for name in PIPELINES:
        command = [sys.executable, __file__, str(given.first), str(given.second), "--only", name]
        runs = []
        for _ in range(given.repeats):
            done = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}
            )
            if done.returncode:
                break
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        if not runs:
            print(f"{name:12} not run: {done.stderr.strip().splitlines()[-1]}")
            continue
        cpu = [min(run["steps"][n]["cpu"] for run in runs) for n in range(3)]
        bare = bare or cpu
        last = runs[-1]["steps"][2]
        ratio = f"{last['embedded']} / {last['new']}"
        figures = f"{cpu[0]:8.2f} {cpu[1]:8.3f} {cpu[2]:8.2f} {cpu[2] / bare[2]:8.1f} {ratio:>16}"
        print(f"{name:12} {figures} {runs[-1]['disk_mb']:9.1f} {runs[-1]['peak_mb']:9.0f}")


if __name__ == "__main__":
    main()
