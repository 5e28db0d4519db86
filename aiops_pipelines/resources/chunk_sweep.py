"""A system's corpus cut in several ways and asked its known queries: read, embedded once and measured.

What is measured and when to change is `rag.sweep`; nothing that is served changes here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag import sweep
from aiops_pipelines.rag.chunking import Chunking, chunk_id
from aiops_pipelines.rag.evaluation import live_judgements
from aiops_pipelines.rag.known_queries import in_force
from aiops_pipelines.rag.passages import Passages, Sentences
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.resources import query_file
from aiops_pipelines.resources.canaries import Canaries
from aiops_pipelines.resources.corpus_state import CorpusState
from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.pace import Tell, quiet
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.shadow import BYTES_A_NUMBER, newest_snapshot
from aiops_pipelines.resources.tokenizer import count_tokens
from aiops_pipelines.resources.vectors import embed_missing
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

SWEEPS = "rag.chunk_sweeps"
READER = "gpt-4o"
"""Whose tokens the budget of context is counted in; sizes are compared, so any reader does."""


class SweepRefused(Mendable, ValueError):
    """A sweep cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Cost:
    """What an index cut in one way takes, and what this sweep had to embed for it."""

    chunks: int
    index_bytes: int
    embedding_tokens: int
    texts_embedded: int
    cpu_s: float | None


@dataclass(frozen=True)
class Swept:
    """A sweep: the chunking in force, what was found, what each candidate takes, and the queries asked."""

    in_force: str
    judged: sweep.Judged
    costs: Mapping[str, Cost]
    queries: int
    with_passages: int


class ChunkSweep:
    """Sweeps over the corpora of one installation."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse

    def run(
        self,
        system: System,
        clock: datetime,
        candidates: Sequence[Chunking] = sweep.CANDIDATES,
        context_tokens: int = sweep.CONTEXT_TOKENS,
        pay: bool = False,
        tell: Tell = quiet,
    ) -> Swept:
        """Measure every candidate beside the chunking in force, and keep the rows in `rag.chunk_sweeps`.

        Vectors stay in the store under the ids that an index cut this way would have, so neither another
        sweep nor a migration embeds them again; a text that two candidates cut alike is embedded once.

        Raises:
            SweepRefused: there is no known query to ask, or every text is paid and `pay` is not given.
            CorpusError: no document can be read.
            EmbedderError: the model cannot be used.
        """
        recipes = Recipes(self._warehouse)
        recipe = recipes.first(system)
        model = Canaries(self._warehouse).watching(recipes.model(recipe), clock)
        files = self._warehouse.rows("rag.source_files", system=system.name)
        table = self._warehouse.tables["rag.source_files"]
        state = CorpusState(system.name, newest_snapshot(system, clock), files, table, tell)
        texts = {name: state.text(name) for name in state.documents["document"]}
        for sentence in query_file.load(self._warehouse, system):
            tell(sentence)
        questions, judgements, passages = self._questions(system, texts, clock)
        wanted = list(dict.fromkeys([recipe.chunking, *candidates]))
        cuts = {chunking: sweep.Cut.of(texts, chunking) for chunking in wanted}
        self._refuse_to_pay(system, model, cuts, pay)
        asked = sweep.Asked(
            questions["query_id"].to_list(),
            model.embed_queries(questions["query"].to_list()),
            judgements,
            passages,
            context_tokens,
        )
        scores, costs = {}, {}
        for chunking, cut in cuts.items():
            tell(f"{chunking.version}: {len(cut.texts)} chunks")
            costs[chunking.version] = self._embed(model, cut, wanted, tell)
            vectors = self._vectors(model, cut)
            tokens = np.array([count_tokens(text, READER)[0] for text in cut.texts.values()])
            scores[chunking] = sweep.measured(cut, vectors, tokens, asked)
        found = sweep.judged(recipe.chunking, scores, system.limits.margin)
        swept = Swept(recipe.chunking.version, found, costs, scores[recipe.chunking].height, len(passages))
        self._keep(system, state.revision, model.space.version, context_tokens, swept, clock)
        return swept

    def _questions(
        self, system: System, texts: Mapping[str, str], clock: datetime
    ) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Passages]]:
        """Return the known queries in force that the corpus answers, their judgements and passages."""
        rows = self._warehouse.rows
        known, judged = (
            rows("rag.known_queries", system=system.name),
            rows("rag.judgements", system=system.name),
        )
        questions, truth = in_force(known, judged, system.now(clock))
        live = live_judgements(truth, set(texts))
        asked = questions.filter(pl.col("query_id").is_in(list(live))).sort("query_id")
        if asked.is_empty():
            raise SweepRefused(
                f"{system.name} has no known query that a document of its corpus answers, so ways of cutting "
                f"cannot be told apart; aiops rag draft-queries {system.name} drafts some to be signed off."
            )
        sentences, passages = Sentences(texts), dict[str, Passages]()
        for query, answer in asked.select("query_id", "reference_answer").iter_rows():
            relevant = sorted(name for name, grade in live[query].items() if grade > 0)
            if answer and (found := sentences.passages(answer, relevant)):
                passages[query] = found
        return asked, truth, passages

    def _embed(self, model: Embedder, cut: sweep.Cut, wanted: Sequence[Chunking], tell: Tell) -> Cost:
        """Give every chunk of a cut its vector: those of the store, of equal texts, or a new one."""
        space, ids = model.space, list(cut.texts)
        missing = pl.DataFrame({"chunk_id": ids, "text": list(cut.texts.values())})
        missing = missing.filter(~pl.col("chunk_id").is_in(self._stored(space.version, ids)))
        missing = self._copied(space.version, missing, wanted)
        start = time.process_time()
        embedded = embed_missing(self._warehouse, model, missing, tell)
        cpu_s = time.process_time() - start
        size = sum(len(text.encode()) for text in cut.texts.values())
        tokens = model.count_tokens(list(cut.texts.values()))
        bytes_ = size + len(ids) * space.dimension * BYTES_A_NUMBER
        return Cost(len(ids), bytes_, tokens, embedded, cpu_s if embedded else None)

    def _copied(self, space: str, missing: pl.DataFrame, wanted: Sequence[Chunking]) -> pl.DataFrame:
        """Copy the vectors of texts that stand in the store under another way of cutting; return the rest."""
        rows = [(own, chunk_id(text, other)) for own, text in missing.iter_rows() for other in wanted]
        aliases = pl.DataFrame(rows, schema={"chunk_id": pl.String, "alias": pl.String}, orient="row")
        found = self._warehouse.read(
            "select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))",
            [space, aliases["alias"].to_list()],
        )
        equal = aliases.join(found, left_on="alias", right_on="chunk_id").unique("chunk_id", keep="first")
        if equal.height:
            with self._warehouse.writing() as writer:
                writer.append_new(
                    "rag.embeddings", equal.select(found.columns), ["chunk_id", "embedding_version"]
                )
        return missing.join(equal, on="chunk_id", how="anti", maintain_order="left")

    def _refuse_to_pay(
        self, system: System, model: Embedder, cuts: Mapping[Chunking, sweep.Cut], pay: bool
    ) -> None:
        if not model.paid or pay:
            return
        texts = {chunk_id(text): text for cut in cuts.values() for text in cut.texts.values()}
        raise SweepRefused(
            f"Every text of {model.name} is paid: a sweep of {system.name} embeds up to {len(texts):,} texts "
            f"of {model.count_tokens(list(texts.values())):,} tokens together. --pay makes it."
        )

    def _stored(self, space: str, ids: list[str]) -> list[str]:
        sql = (
            "select chunk_id from rag.embeddings where embedding_version = ? "
            "and chunk_id in (select unnest(?))"
        )
        found: list[str] = self._warehouse.read(sql, [space, ids])["chunk_id"].to_list()
        return found

    def _vectors(self, model: Embedder, cut: sweep.Cut) -> Vectors:
        space, ids = model.space.version, pl.DataFrame({"chunk_id": list(cut.texts)})
        found = self._warehouse.read(
            "select chunk_id, vector from rag.embeddings where embedding_version = ? "
            "and chunk_id in (select unnest(?))",
            [space, ids["chunk_id"].to_list()],
        )
        rows = ids.join(found.unique("chunk_id"), on="chunk_id", how="left", maintain_order="left")
        matrix: NDArray[np.float32] = np.array(rows["vector"].to_list(), dtype=np.float32)
        return Vectors(space, matrix)

    def _keep(
        self, system: System, revision: str, space: str, budget: int, swept: Swept, clock: datetime
    ) -> None:
        rows = [
            {
                "system": system.name,
                "swept_at": clock,
                "revision": revision,
                "embedding_version": space,
                **vars(swept.costs[row.candidate]),
                "candidate": row.candidate,
                "measure": row.measure,
                "mean": row.mean,
                "gain": row.gain.mean if row.gain else None,
                "low": row.gain.low if row.gain else None,
                "high": row.gain.high if row.gain else None,
                "p_value": row.gain.p_value if row.gain else None,
                "queries": row.gain.queries if row.gain else swept.queries,
                "standing": row.standing,
                "context_tokens": budget,
                "verdict": swept.judged.verdict,
                "reason": swept.judged.reason,
            }
            for row in swept.judged.rows
        ]
        schema = self._warehouse.tables[SWEEPS].schema
        frame = pl.DataFrame(rows, schema=schema)
        self._warehouse.replace(SWEEPS, frame, system=system.name, swept_at=clock)
