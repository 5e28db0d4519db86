"""The index in force goes to the system's vector store: written as a difference, verified, then switched to.

What the difference is and what a proof finds is `rag.publication`; stores are `vector_store`. Readers are
given the state of before until the new one is proved.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.rag.publication import Plan, belongs, differences, plan
from aiops_pipelines.rag.store_settings import Publish
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.pace import Pace, Tell, quiet
from aiops_pipelines.resources.publication_proof import StoreProof, prove
from aiops_pipelines.resources.publication_source import Source
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.stores.base import BATCH, Draft
from aiops_pipelines.resources.vector_store import Store, StoreError, vector_store
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

if TYPE_CHECKING:
    from llama_index.core import VectorStoreIndex

PUBLICATIONS = "rag.publications"
_NOTHING = Plan((), (), 0, 0)


@dataclass(frozen=True)
class Publication:
    """What a publication did; upserts and deletes are what changed for readers, nodes in both cases."""

    system: str
    store: str
    place: str
    alias: str
    collection: str
    index_version: str
    embedding_version: str
    upserts: int
    deletes: int
    written: int
    removed: int
    switched: bool
    proof: StoreProof

    def refusal(self) -> list[str]:
        """Return what was found and what to do, or nothing when the store holds the index."""
        if not self.proof.findings:
            return []
        again = f"Readers keep what they had; to write every node again: aiops publish {self.system} --anew"
        return [*(f"{self.store} {self.collection}: {one}" for one in self.proof.findings), again]

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, what was verified being a part of its own."""
        found = asdict(self)
        proof = found.pop("proof")
        findings = list(proof.pop("findings"))
        return found | {"nodes": proof.pop("nodes"), "verified": proof, "findings": findings}


class Publisher:
    """The publications of one installation."""

    def __init__(self, warehouse: Warehouse, recipes: Recipes, book: AuditBook):
        self._warehouse, self._recipes, self._book = warehouse, recipes, book

    def publish(
        self,
        system: System,
        clock: datetime,
        by: str,
        thorough: bool = True,
        anew: bool = False,
        tell: Tell = quiet,
    ) -> Publication:
        """Make the store equal to the index in force, verify it and switch readers to it.

        Killed at any point, the next call ends in the same state. A state that does not verify is not
        switched to, and the findings say why.

        Args:
            system: whose index.
            clock: now, UTC-aware.
            by: who or which run publishes.
            thorough: verify vectors and probes too where nothing is to be written.
            anew: write every node again, whatever the store says it holds.
            tell: is told how far long work has come.

        Raises:
            StoreError: nothing is configured or indexed, or the store cannot be used.
        """
        with self._warehouse.held():
            source = self._source(system)
            store = self._store(system, source)
            try:
                return self._published(system, source, store, clock, by, thorough, anew, tell)
            except StoreError:
                raise
            except Exception as error:  # each store has errors of its own
                raise StoreError(
                    f"{store.name} at {store.place} did not take the index: {error} What readers are given "
                    "stays as it was; the next publication goes on from here."
                ) from error
            finally:
                store.close()

    def latest(self, system: str) -> dict[str, Any] | None:
        """Return the newest row of `rag.publications` of a system, or None."""
        rows = self._warehouse.rows(PUBLICATIONS, system=system).sort("number").tail(1)
        return next(rows.iter_rows(named=True), None)

    def as_llama_index(self, system: System) -> "VectorStoreIndex":
        """Return what is published as a LlamaIndex index that embeds questions with the model it was made by.

        Raises:
            StoreError: nothing is published.
            EmbedderError: the model is not here any more.
        """
        from llama_index.core import VectorStoreIndex

        row = self.latest(system.name)
        store = self._store(system, None)
        model = self._recipes.model_of(system.name, row["embedding_version"]) if row else None
        if model is None or store.shown() is None:
            raise StoreError(f"Nothing of {system.name} is published that can be asked: aiops publish.")
        return VectorStoreIndex.from_vector_store(store.view().index, embed_model=model.as_llama_index())

    def _source(self, system: System) -> Source:
        active = self._recipes.active(system.name)
        versions = self._warehouse.rows("rag.index_versions", system=system.name)
        if system.publish is None:
            raise StoreError(f"{system.name} is not published; add publish to its file.")
        if active is None or versions.is_empty():
            raise StoreError(f"{system.name} has no index yet: aiops reindex {system.name}")
        newest = versions.filter(**active.keys).sort("valid_from", "built_at").tail(1)
        if newest.is_empty():
            raise StoreError(f"The index in force of {system.name} is not built: aiops reindex {system.name}")
        return Source(self._warehouse, newest.row(0, named=True))

    def _store(self, system: System, source: Source | None) -> Store:
        if system.publish is None:
            raise StoreError(f"{system.name} is not published; add publish to its file.")
        return vector_store(system.name, system.publish, source.known() if source else ())

    def _published(
        self,
        system: System,
        source: Source,
        store: Store,
        clock: datetime,
        by: str,
        thorough: bool,
        anew: bool,
        tell: Tell,
    ) -> Publication:
        shown, held = store.shown(), store.held()
        ours, settings = belongs(shown, source.family), system.publish or Publish()
        if ours and not anew and not differences(source.nodes, held):
            proof = StoreProof(source.nodes.height)
            if thorough:
                proof = prove(source, store.view(), (), settings.probe_overlap)
            done = _told(source, store, str(shown), _NOTHING, False, proof)
            last = self.latest(system.name)
            if last is None or (last["index_version"], last["collection"]) != (done.index_version, shown):
                self._keep(done, source, clock, by)  # a run was killed between the switch and this row
            return done
        draft = store.draft(source.family, source.nodes)
        found = _written(source, draft, held if ours else None, anew, tell)
        proof = prove(source, draft, found.write, settings.probe_overlap)
        if proof.findings:
            refused = _told(source, store, draft.collection, found, False, proof)
            self._keep(refused, source, clock, by)
            return refused
        self._enter(system, source, store, draft, shown, clock, by)
        draft.switch()
        now = store.shown()
        if not belongs(now, source.family):
            raise StoreError(f"{store.name} does not show what it was told to; its alias names {now}.")
        done = _told(source, store, str(now), found, True, proof)
        self._keep(done, source, clock, by)
        return done

    def _enter(
        self,
        system: System,
        source: Source,
        store: Store,
        draft: Draft,
        shown: str | None,
        clock: datetime,
        by: str,
    ) -> None:
        """Log the switch before it is made: one that is logged and not carried out does no harm."""
        summary = f"Readers of {store.name} are given index {source.row['index_version']} from now on."
        names = ("index_version", "embedding_version", "chunker_version", "revision")
        details = {name: source.row[name] for name in names}
        details |= {"collection": draft.collection, "before": shown or "", "nodes": source.nodes.height}
        now = system.now(clock)
        entry = decision_entry(system.name, "index_published", now, by, summary, details)
        self._book.append(system.name, [entry])

    def _keep(self, done: Publication, source: Source, clock: datetime, by: str) -> None:
        """Append a row; a state that was refused before in the same way is one row."""
        last = self.latest(done.system)
        status = "refused" if done.proof.findings else "published"
        again = (
            last is not None
            and last["status"] == status == "refused"
            and last["index_version"] == done.index_version
        )
        number = (last["number"] if last else 0) + (0 if again else 1)
        names = ("system", "store", "alias", "collection", "index_version", "embedding_version")
        row = {name: getattr(done, name) for name in (*names, "upserts", "deletes", "written", "removed")}
        proof = asdict(done.proof) | {"findings": list(done.proof.findings)}
        row |= {"number": number, "status": status, "chunker_version": source.row["chunker_version"]}
        row |= proof | {"published_at": clock, "published_by": by}
        frame = pl.DataFrame([row], schema=self._warehouse.tables[PUBLICATIONS].schema)
        self._warehouse.replace(PUBLICATIONS, frame, system=done.system, number=number)


def _written(source: Source, draft: Draft, published: pl.DataFrame | None, anew: bool, tell: Tell) -> Plan:
    """Write what a draft lacks and remove what it has too much."""
    held = draft.held()
    _refuse_another_dimension(source, draft, held["node_id"].to_list()[:1])
    if anew:
        held = held.with_columns(fingerprint=pl.lit(""))
    found = plan(source.nodes, held, held if published is None else published)
    pace = Pace("written", "nodes", len(found.write), len(found.write), tell)
    for batch in _batches(found.write):
        draft.write(source.text_nodes(batch))
        pace.step(len(batch), len(batch))
    for batch in _batches(found.remove):
        draft.remove(batch)
    if found.write or found.remove:
        draft.finish()
    return found


def _refuse_another_dimension(source: Source, draft: Draft, some: Sequence[str]) -> None:
    lengths = {len(node.embedding or ()) for node in draft.nodes(some)} if some else set()
    if wrong := sorted(lengths - {source.dimension}):
        raise StoreError(
            f"{draft.collection} holds vectors of {wrong[0]} numbers, the index has {source.dimension}; "
            "somebody else wrote there. Drop it, or publish to another place."
        )


def _told(
    source: Source, store: Store, collection: str, found: Plan, switched: bool, proof: StoreProof
) -> Publication:
    row, counts = source.row, (found.upserts, found.deletes, len(found.write), len(found.remove))
    where = (row["system"], store.name, store.place, store.alias, collection)
    return Publication(*where, row["index_version"], row["embedding_version"], *counts, switched, proof)


def _batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + BATCH] for at in range(0, len(names), BATCH)]
