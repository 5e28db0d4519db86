"""Make the sample inference logs again: `make sample`."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import BY_STRUCTURE
from aiops_pipelines.rag.known_queries import in_force, parse_known_queries
from aiops_pipelines.rag.reindex import wanted_chunks
from aiops_pipelines.rag.versions import index_version_id
from aiops_pipelines.resources.documents import Snapshot, read, snapshots
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.tokenizer import count_tokens
from aiops_pipelines.sample.assistant import Assistant, ServedIndex, sentences
from aiops_pipelines.sample.formats import jsonl_line, otlp_line
from aiops_pipelines.sample.story import Story, load_story, prompt_texts
from aiops_pipelines.sample.traffic import Question, Week, World
from aiops_pipelines.systems import System, load_system

WRITERS = {"aiops_jsonl": jsonl_line, "otlp_json": otlp_line}


class Vectors(dict[str, NDArray[np.float32]]):
    """Text to unit vector; what is missing is embedded when asked for."""

    def __init__(self) -> None:
        self._model = embedder()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector a text, embedding only the texts not seen yet."""
        new = [text for text in dict.fromkeys(texts) if text not in self]
        self.update(zip(new, self._model.embed(new), strict=True))
        return np.stack([self[text] for text in texts])

    def __missing__(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector


def served_index(snapshot: Snapshot, vectors: Vectors) -> ServedIndex:
    """Build the index the application serves from a snapshot, as the pipelines would."""
    documents, _ = read(snapshot)
    places = wanted_chunks((d.document, d.document_hash, d.text) for d in documents)
    texts = places["text"].to_list()
    version = index_version_id(places, BY_STRUCTURE.version, embedder().space.version)
    vectors.embed([line for text in texts for line in sentences(text)])
    return ServedIndex(
        version, places["chunk_id"].to_list(), places["document"].to_list(), texts, vectors.embed(texts)
    )


def references(queries: Path, system: str) -> Callable[[datetime], Mapping[str, str | None]]:
    """Return a function from a moment to the reference answers in force."""
    known, judgements, _ = parse_known_queries(system, queries.read_text(encoding="utf-8").splitlines())
    dates = sorted(known["valid_from"].unique())

    @cache
    def since(start: datetime) -> dict[str, str | None]:
        return dict(in_force(known, judgements, start)[0].select("query_id", "reference_answer").iter_rows())

    return lambda moment: since(max(start for start in dates if start <= moment))


def questions(file: Path, field: str) -> list[Question]:
    """Read ways to ask known queries from JSON lines."""
    import json

    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list(
        {(row["query_id"], row[field]): Question(row["query_id"], row[field]) for row in rows}.values()
    )


def make(project: Project, system: System, story: Story) -> None:
    """Write one log file a week for a sample system."""
    assert system.corpus and system.known_queries
    vectors = Vectors()
    assistants = {s.label: Assistant(served_index(s, vectors), vectors) for s in snapshots(system.corpus)}
    stories = project.data / "stories"
    probes = {q.query_id: q for q in questions(system.known_queries, "query")}
    world = World(
        story=story,
        questions=questions(stories / f"{system.name}_questions.jsonl", "question"),
        probes=list(probes.values()),
        references=references(system.known_queries, system.name),
        assistants=assistants,
    )
    prompts = prompt_texts(stories / "prompts.yaml", system.name)
    count = cache(lambda text, model: count_tokens(text, model)[0])
    write = WRITERS[system.inference_log.format]
    system.inference_log.folder.mkdir(parents=True, exist_ok=True)
    for number in range(story.weeks):
        calls = Week(world, number).calls()
        lines = [write(call, prompts[call.prompt_version], count) for call in calls]
        content = ("\n".join(lines) + "\n").encode()
        name = f"{story.first_week + timedelta(weeks=number)}.jsonl{'.gz' if story.compressed else ''}"
        file = system.inference_log.folder / name
        file.write_bytes(gzip.compress(content, mtime=0) if story.compressed else content)
        print(f"{file.relative_to(project.data)}: {len(calls)} calls", flush=True)


def main() -> None:
    """Make the logs of every sample system."""
    project = Project.here()
    for name in ("support", "handbook"):
        system = load_system(project.systems / f"{name}.yaml", project.data)
        make(project, system, load_story(project.data / "stories" / f"{name}.yaml"))


if __name__ == "__main__":
    main()
