"""What reindex.py measures of our own: the bare script that does only what cannot be left out, and ours."""

import hashlib
import pickle
import time
from datetime import UTC, datetime, timedelta

import numpy as np

DIMENSION, CHARACTERS = 384, 600
ENDINGS = (".md", ".rst")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def files_of(folder):
    """Return the documents below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS)


class Stub:
    """Vectors out of hashes, in the form a pipeline takes; counts texts and CPU seconds of its own."""

    def __init__(self):
        self.texts, self.seconds = [], 0.0

    def vectors(self, texts, form=list):
        """Return one vector a text: as arrays, as lists (`as_lists`) or as a matrix (`np.array`)."""
        begun = time.process_time()
        self.texts += texts
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) for text in texts]
        made = [np.random.default_rng(seed).random(DIMENSION, dtype=np.float32) for seed in seeds]
        formed = form(made)
        self.seconds += time.process_time() - begun
        return formed


def as_lists(vectors):
    """Return vectors as lists of numbers, which is what the peers' interfaces take."""
    return [vector.tolist() for vector in vectors]


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
    """IndexBook over DuckDB, as `aiops reindex` runs it, with its reader of documents in a second process."""

    def __init__(self, home, stub):
        from aiops_pipelines.project import Project
        from aiops_pipelines.rag.ranking import Vectors
        from aiops_pipelines.rag.versions import EmbeddingSpace
        from aiops_pipelines.resources.index_book import IndexBook
        from aiops_pipelines.resources.tables import declared_tables
        from aiops_pipelines.resources.warehouse import Warehouse

        class Model:
            name, languages, paid = "stub", None, False
            space = EmbeddingSpace("stub", "stub", "1", DIMENSION)

            def embed(self, texts):
                return stub.vectors(list(texts), np.array)

            def embed_queries(self, texts):
                asked = Stub()  # questions that an index is watched with are no chunks
                vectors = Vectors(self.space.version, asked.vectors(list(texts), np.array))
                stub.seconds += asked.seconds
                return vectors

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
