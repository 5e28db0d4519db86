"""What reindex.py measures of others, each as its documentation proposes it."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from reindex_pipelines import CHARACTERS, ENDINGS, as_lists, files_of


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
                return stub.vectors(texts, as_lists)

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


def _langchain_embedding(stub):
    from langchain_core.embeddings import Embeddings

    class Embedding(Embeddings):
        def embed_documents(self, texts):
            return stub.vectors(texts, as_lists)

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    return Embedding()


class LangChain:
    """index() with full clean-up, a record manager and a vector store in memory: nothing outlives the run."""

    def __init__(self, home, stub):
        from langchain_core.indexing import InMemoryRecordManager
        from langchain_core.vectorstores import InMemoryVectorStore
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        self.records = InMemoryRecordManager("bench")
        self.store = InMemoryVectorStore(_langchain_embedding(stub))
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
        index(pieces, self.records, self.store, batch_size=1000, **options)


class LangChainStored(LangChain):
    """The same with its record manager in SQLite and its vectors in LanceDB."""

    def __init__(self, home, stub):
        import lancedb
        from langchain_classic.indexes import SQLRecordManager
        from langchain_community.vectorstores import LanceDB

        super().__init__(home, stub)
        self.records = SQLRecordManager("bench", db_url=f"sqlite:///{home / 'records.sqlite'}")
        self.records.create_schema()
        connection = lancedb.connect(str(home / "lance"))
        self.store = LanceDB(connection, _langchain_embedding(stub), table_name="bench")


@dataclass
class _Row:
    id: str
    document: str
    text: str
    vector: bytes


class CocoIndex:
    """An app over a folder, its files and its texts memoised, its rows in SQLite."""

    def __init__(self, home, stub):
        os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"
        import cocoindex as coco
        from cocoindex.connectors import localfs, sqlite
        from cocoindex.ops.text import RecursiveSplitter
        from cocoindex.resources.file import PatternFilePathMatcher

        splitter, database = RecursiveSplitter(), coco.ContextKey("bench")
        matcher = PatternFilePathMatcher(included_patterns=[f"**/*{ending}" for ending in ENDINGS])

        @coco.lifespan
        def lifespan(builder):
            builder.settings.db_path = home / "cocoindex"
            with sqlite.managed_connection(home / "rows.sqlite", load_vec=False) as connection:
                builder.provide(database, connection)
                yield

        @coco.fn.as_async(memo=True, batching=True, max_batch_size=512)
        async def embed(texts: list[str]) -> list[bytes]:
            return [np.asarray(vector).tobytes() for vector in stub.vectors(texts)]

        @coco.fn(memo=True)
        async def index_file(file, table) -> None:
            name = file.file_path.path.as_posix()
            pieces = splitter.split(await file.read_text(), CHARACTERS, language="markdown")
            vectors = await asyncio.gather(*(embed(piece.text) for piece in pieces))
            for at, (piece, vector) in enumerate(zip(pieces, vectors, strict=True)):
                table.declare_row(row=_Row(f"{name}#{at}", name, piece.text, vector))

        @coco.fn
        async def main(folder: Path) -> None:
            schema = await sqlite.TableSchema.from_class(_Row, primary_key=["id"])
            table = await sqlite.mount_table_target(database, "chunks", schema)
            files = localfs.walk_dir(folder, recursive=True, path_matcher=matcher)
            await coco.mount_each(index_file, files.items(), table)

        self.app = lambda folder: coco.App(coco.AppConfig(name="bench"), main, folder)
        self.made = None

    def update(self, folder):
        self.made = self.made or self.app(folder)
        self.made.update_blocking()
