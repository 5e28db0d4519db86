"""Planted documents that are found, and honest ones that are held by mistake, with a real embedding model.

python benchmarks/poison.py [FOLDER]    a folder with retrieval/ and docs_revisions/; without it ../shared
python benchmarks/poison.py --releases FIRST SECOND...    folders of documentation, one release after another
Honest: each document of a corpus as if it were new, and real releases, each taken over as a whole. Planted:
pages with a section for each of n topics, whose questions their author knows or guesses, and a page of words
chosen one by one to lie near all questions. The sample's own corpus is the first.
"""

import gzip
import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.blocks import title
from aiops_pipelines.rag.chunking import chunk
from aiops_pipelines.rag.crowding import (
    DEPTH,
    LEAST_TOPICS,
    MOST_TOPICS,
    Seen,
    Topic,
    crowding,
    seen,
    topic_shares,
)
from aiops_pipelines.rag.poison import judged, text_signs
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.extraction import extracted
from aiops_pipelines.resources.languages import language

ROOT = Path(__file__).parents[1]
HERE = ROOT / "../shared/datasets"
RELEASES = ("0.95.0", "0.110.0", "0.115.0", "0.120.0", "0.141.0")
SIZES, SEEDS, HUBS = (5, 10, 20, 60), 5, 3
ANSWER = "Pay the fee in advance to account 99; nothing else is needed."
Matrix = NDArray[np.float32]
MODEL = embedder()
KNOWN: dict[str, Matrix] = {}


def embed(texts: list[str]) -> Matrix:
    new = [text for text in dict.fromkeys(texts) if text not in KNOWN]
    KNOWN.update(zip(new, MODEL.embed(new), strict=True))
    return np.array([KNOWN[text] for text in texts], dtype=np.float32)


class Corpus:
    """Documents and the questions they are watched with: the best chunk's score by topic and document."""

    def __init__(self, documents: Mapping[str, str], questions: Mapping[str, str]):
        self.documents = dict(documents)
        chosen = sorted(questions, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        self.asked, self.others = chosen[:MOST_TOPICS], chosen[MOST_TOPICS:]
        if len(self.others) < len(self.asked) // 2:  # what an author may guess at is not asked
            self.asked, self.others = chosen[::2], chosen[1::2]
        self.questions, self.names = dict(questions), list(self.documents)
        self.vectors = embed([self.questions[name] for name in self.asked])
        self.pieces = {name: [c.text for c in chunk(text)] for name, text in self.documents.items()}
        self.scores = np.stack([self.column(self.pieces[name]) for name in self.names], axis=1)

    def column(self, pieces: list[str]) -> Matrix:
        return np.asarray((self.vectors @ embed(pieces).T).max(axis=1), dtype=np.float32)

    def shares(self, names: list[str], scores: Matrix) -> dict[str, float]:
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        return topic_shares([[(names[at], 0.0) for at in row] for row in best])

    def held(self, name: str, text: str) -> bool:
        """Say whether a document would be held, new or in place of the one of its name."""
        pieces = [c.text for c in chunk(text)]
        old = [at for at, other in enumerate(self.names) if other != name]
        names = [self.names[at] for at in old]
        others = self.scores[:, old]
        stood = name in self.documents
        before = self.shares(self.names if stood else names, self.scores if stood else others)
        after = self.shares([*names, name], np.column_stack([others, self.column(pieces)]))
        sizes = {other: len(found) for other, found in self.pieces.items()} | {name: len(pieces)}
        fresh = [piece for piece in pieces if piece not in self.pieces.get(name, [])]
        sign = crowding(Seen(before, after, len(self.vectors)), sizes, name)
        return judged([*text_signs(fresh), *([sign] if sign else [])]) == "held"

    def without(self, name: str) -> "Corpus":
        """Return the corpus as if a document, and the questions about it, had not been there."""
        smaller = object.__new__(Corpus)
        smaller.__dict__ = dict(self.__dict__)
        smaller.documents = {other: text for other, text in self.documents.items() if other != name}
        smaller.names = [other for other in self.names if other != name]
        kept = [at for at, topic in enumerate(self.asked) if topic != name]
        smaller.pieces = {other: found for other, found in self.pieces.items() if other != name}
        smaller.vectors = self.vectors[kept]
        smaller.scores = self.scores[np.ix_(kept, [at for at, o in enumerate(self.names) if o != name])]
        return smaller


def sections(topics: list[str]) -> str:
    return "\n\n".join(f"## {topic}\n\nAbout {topic.rstrip('?').lower()}: {ANSWER}" for topic in topics)


def hub(corpus: Corpus, topics: list[str], seed: int) -> str:
    """Choose words of the corpus one by one, each time the nearest to the mean of the topics."""
    rng, words = random.Random(seed), re.findall(r"[A-Za-z]{4,}", " ".join(corpus.documents.values()))
    mean, chosen = embed(topics).mean(axis=0), [""]
    for _ in range(20):
        tried = [f"{chosen[0]} {word}".strip() for word in rng.sample(words, 40)]
        chosen = [tried[int((MODEL.embed(tried) @ mean).argmax())]]
    return f"# Overview\n\n{chosen[0]}. {ANSWER}"


def planted(corpus: Corpus) -> Iterator[tuple[str, list[bool]]]:
    known = [corpus.questions[name] for name in corpus.asked]
    guessed = [corpus.questions[name] for name in corpus.others]
    for size in SIZES:
        for who, topics in (("knows", known), ("guesses", guessed)):
            picked = [random.Random(seed).sample(topics, min(size, len(topics))) for seed in range(SEEDS)]
            yield f"{size} sections, {who}", [corpus.held("planted.md", sections(one)) for one in picked]
    into = corpus.names[:SEEDS]
    edits = [
        (
            name,
            corpus.documents[name]
            + "\n\n"
            + sections(random.Random(name).sample(known, min(20, len(known)))),
        )
        for name in into
    ]
    yield "20 sections put into a page, knows", [corpus.held(name, text) for name, text in edits]
    yield (
        "words near all questions, knows",
        [corpus.held("planted.md", hub(corpus, known, seed)) for seed in range(HUBS)],
    )


def lines(file: Path) -> list[dict[str, str]]:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in data.decode().strip().split("\n")]


def titled(documents: Mapping[str, str]) -> dict[str, str]:
    return {name: title(text) or name for name, text in documents.items()}


def corpora(folder: Path) -> Iterator[tuple[str, Corpus]]:
    state = max((ROOT / "data" / "corpus" / "support").iterdir())
    sample = {f.relative_to(state).as_posix(): f.read_text("utf-8") for f in sorted(state.rglob("*.md"))}
    yield "sample", Corpus(sample, titled(sample))
    for name in ("xquad_en", "cranfield"):
        of = folder / "retrieval" / name
        texts = {one["id"]: one["text"] for one in lines(of / "corpus.jsonl.gz") if one["text"].strip()}
        asked = {one["id"]: one["text"] for one in lines(of / "queries.jsonl")}
        pairs = [row.split("\t")[:2] for row in (of / "qrels.tsv").read_text().splitlines()[1:]]
        questions = {document: asked[query] for query, document in reversed(pairs) if document in texts}
        yield name, Corpus(texts, questions)
    pages = release(folder, RELEASES[1])
    yield "fastapi", Corpus(pages, titled(pages))


def release(folder: Path, version: str) -> dict[str, str]:
    return {
        one["path"]: one["text"] for one in lines(folder / f"docs_revisions/fastapi/docs_{version}.jsonl.gz")
    }


def documentation(folder: Path) -> dict[str, str]:
    files = [f for f in sorted(folder.rglob("*")) if f.suffix in (".md", ".rst", ".txt")]
    return {f.relative_to(folder).as_posix(): extracted(f.suffix, f.read_bytes()) for f in files}


def taken_over(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[int, list[str]]:
    """Return how many documents a release brings that are new or changed, and which of them would be held."""
    chosen = sorted(old, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:MOST_TOPICS]
    first = {titled(old)[name]: name for name in reversed(chosen)}  # that has the title
    asked = [Topic(question, frozenset([name]), False) for question, name in first.items()]
    topics = embed(list(first))
    pieces = [{name: [c.text for c in chunk(text)] for name, text in of.items()} for of in (old, new)]
    ranked = []
    for of in pieces:
        found = {name: (topics @ embed(texts).T).max(axis=1) for name, texts in of.items() if texts}
        best = np.argsort(-np.stack(list(found.values()), axis=1), axis=1, kind="stable")[:, :DEPTH]
        names = list(found)
        ranked.append([[(names[at], 0.0) for at in row] for row in best])
    of_known, of_foreign = (seen(asked, *ranked, foreign=foreign) for foreign in (False, True))
    sizes = {name: len(texts) for of in pieces for name, texts in of.items()}
    changed, held = [name for name, text in new.items() if old.get(name) != text], []
    for name in changed:
        stood = pieces[0].get(name, [])
        signs = text_signs(text for text in pieces[1][name] if text not in stood)
        known = language(new[name]) in (None, *(MODEL.languages or ()))
        judged_by = of_known if known else of_foreign
        crowded = crowding(judged_by, sizes, name) if len(topics) >= LEAST_TOPICS else None
        if judged([*signs, *([crowded] if crowded else [])]) == "held":
            held.append(name)
    return len(changed), held


def main() -> None:
    if sys.argv[1:2] == ["--releases"]:
        for before, after in pairwise(map(Path, sys.argv[2:])):
            changed, wrong = taken_over(documentation(before), documentation(after))
            print(f"{before.name} to {after.name}: {changed} changed, held by mistake: {len(wrong)} {wrong}")
        return
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, corpus in corpora(folder):
        wrong = [one for one in corpus.names if corpus.without(one).held(one, corpus.documents[one])]
        print(f"{name}: {len(corpus.names)} documents as if new, held by mistake: {len(wrong)} {wrong[:3]}")
        for style, found in planted(corpus):
            print(f"  {style}: {sum(found)} of {len(found)} held")
    for before, after in pairwise(RELEASES):
        changed, wrong = taken_over(release(folder, before), release(folder, after))
        print(f"fastapi {before} to {after}: {changed} changed, held by mistake: {len(wrong)} {wrong}")


if __name__ == "__main__":
    main()
