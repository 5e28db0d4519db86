"""BM25 over stemmed words: the floor that an embedding model has to beat.

The library scores texts; carrying scores over to documents is `rag.ranking`, words are `rag.words`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.ranking import Owners, Ranking, blocks
from aiops_pipelines.rag.words import words


class Bm25:
    """An index of texts, asked by keywords.

    BM25 as in Lucene (k1 = 1.5, b = 0.75) after S. Robertson and H. Zaragoza, "The Probabilistic Relevance
    Framework", 2009; words of two letters and more, English stop words and stems (Snowball), pairs of
    characters where a script has no spaces.
    """

    def __init__(self, texts: Sequence[str]):
        import bm25s

        self._size = len(texts)
        self._stem = _Stemmer()
        corpus = [self._stem(words(text)) for text in texts]
        self._index = bm25s.BM25(method="lucene", k1=1.5, b=0.75) if any(corpus) else None
        if self._index:
            self._index.index(corpus, show_progress=False)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return the score of every text for every query, shape (queries, texts); 0 where no word meets."""
        scores = np.zeros((len(queries), self._size), dtype=np.float32)
        if self._index:
            for row, query in enumerate(queries):
                known = [word for word in self._stem(words(query)) if word in self._index.vocab_dict]
                if known:
                    scores[row] = self._index.get_scores(known)
        return scores


class _Stemmer:
    """English stems without stop words, each word stemmed once."""

    def __init__(self) -> None:
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN

        self._stems: dict[str, str] = dict.fromkeys(STOPWORDS_EN, "")
        self._snowball = Stemmer.Stemmer("english")

    def __call__(self, found: Iterable[str]) -> list[str]:
        """Return the stems of words, in order."""
        stems = []
        for word in found:
            stem = self._stems.get(word)
            if stem is None:
                stem = self._stems[word] = self._snowball.stemWord(word)
            if stem:
                stems.append(stem)
        return stems


def rank(index: Bm25, ids: Sequence[str], queries: Sequence[str], k: int) -> list[Ranking]:
    """Return the k best ids per query with their BM25 scores; an id scores as its best text.

    Ties go by id. Only ids with a score above 0 are ranked: no word of the query stands in the others.
    """
    if not ids:
        return [[] for _ in queries]
    owners = Owners.of(ids)
    ranked: list[Ranking] = []
    for block in blocks(len(queries), len(ids)):
        ranked += owners.best(index.scores([queries[at] for at in block])[:, owners.order], k)
    return [[(name, score) for name, score in ranking if score > 0] for ranking in ranked]
