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


TABLES = {
    "files": "document varchar, size bigint, modified bigint, hash varchar",
    "documents": "run bigint, document varchar, hash varchar",
    "changes": "run bigint, document varchar",
    "chunks": "chunk_id varchar, text varchar",
    "places": "run bigint, document varchar, hash varchar, chunk_id varchar, place bigint, heading varchar",
    "versions": "run bigint, documents bigint",
    "embeddings": "chunk_id varchar, vector float[]",
}


class Stored:
    """The limit in DuckDB: the bare script with what it knows in tables, and no look at documents."""

    def __init__(self, home, stub):
        self.stub, self.file, self.run = stub, str(home / "index.duckdb"), 0
        with self._open() as connection:
            for name, columns in TABLES.items():
                connection.execute(f"create table {name} ({columns})")
            self._append(connection, "changes", [])  # imports pandas and pyarrow.dataset

    def _open(self):
        import duckdb

        connection = duckdb.connect(self.file, config={"default_block_size": 65_536})
        connection.execute("set threads = 1")
        connection.execute("set disabled_compression_methods = 'alp,alprd,fsst'")
        return connection

    def _append(self, connection, table, rows):
        import polars as pl

        schema = [column.split()[0] for column in TABLES[table].split(", ")]
        frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, schema, orient="row")
        connection.register("frame", frame)
        connection.execute(f"insert into {table} select * from frame")

    def update(self, folder):
        with self._open() as connection:
            known = {row[0]: row[1:] for row in connection.execute("from files").fetchall()}
            now = {str(p.relative_to(folder)): p for p in files_of(folder)}
            stats = {name: ((s := p.stat()).st_size, s.st_mtime_ns) for name, p in now.items()}
            moved = {name for name in now if known.get(name, ())[:2] != stats[name]}
            if moved or stats.keys() != known.keys():
                self._bring(connection, now, stats, moved, known)

    def _bring(self, connection, now, stats, moved, known):
        import polars as pl

        from aiops_pipelines.rag.chunking import chunk
        from aiops_pipelines.resources.extraction import extracted

        stood = connection.execute("select * exclude run from places where run = ?", [self.run]).fetchall()
        have = {row[0] for row in connection.execute("select chunk_id from embeddings").fetchall()}
        places, texts = [row for row in stood if row[0] in now and row[0] not in moved], {}
        hashes = {name: row[2] for name, row in known.items() if name in now}
        for name in moved:
            data = now[name].read_bytes()
            hashes[name] = hashlib.sha256(data).hexdigest()
            for c in chunk(extracted(now[name].suffix, data)):
                places.append((name, hashes[name], c.chunk_id, c.position, c.heading))
                texts[c.chunk_id] = c.text
        new = {key: text for key, text in texts.items() if key not in have}
        self.run += 1
        matrix = self.stub.vectors(list(new.values()), np.array).reshape(-1, DIMENSION)
        vectors = pl.Series(matrix, dtype=pl.Array(pl.Float32, DIMENSION)).arr.to_list()
        for rows in (
            {"embeddings": pl.DataFrame({"chunk_id": list(new), "vector": vectors})},
            {
                "chunks": list(new.items()),
                "places": [(self.run, *place) for place in places],
                "files": [(name, *stats[name], hashes[name]) for name in now],
                "documents": [(self.run, name, hashes[name]) for name in now],
                "changes": [(self.run, name) for name in moved],
                "versions": [(self.run, len(now))],
            },
        ):
            connection.execute("begin")
            if "files" in rows:
                connection.execute("delete from files")
            for table, of_it in rows.items():
                self._append(connection, table, of_it)
            connection.execute("commit")
        connection.execute("checkpoint")


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
