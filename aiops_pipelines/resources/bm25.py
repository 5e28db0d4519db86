"""BM25 over stemmed words: the floor that an embedding model has to beat.

The library ranks texts; carrying scores over to documents is `rag.ranking`.
"""

from collections.abc import Sequence

import numpy as np

from aiops_pipelines.rag.ranking import Ranking, best_documents


def rank(texts: Sequence[str], ids: Sequence[str], queries: Sequence[str], k: int) -> list[Ranking]:
    """Return the k best ids per query with their BM25 scores; an id scores as its best text.

    BM25 as in Lucene (k1 = 1.5, b = 0.75) after S. Robertson and H. Zaragoza, "The Probabilistic Relevance
    Framework", 2009; words of two letters and more, English stop words and stems (Snowball). Ties go by id.
    Only ids with a score above 0 are ranked. Languages written without spaces are not segmented: the floor
    is low there.
    """
    import bm25s
    import Stemmer

    def words(batch: Sequence[str]) -> list[list[str]]:
        tokens: list[list[str]] = bm25s.tokenize(
            list(batch),
            stopwords="en",
            stemmer=Stemmer.Stemmer("english"),
            return_ids=False,
            show_progress=False,
        )
        return tokens

    corpus = words(texts)
    if not any(corpus):
        return [[] for _ in queries]
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(corpus, show_progress=False)
    scores = [
        index.get_scores(known)
        if (known := [word for word in query if word in index.vocab_dict])
        else np.zeros(len(texts))
        for query in words(queries)
    ]
    ranked = best_documents(ids, np.array(scores), k) if scores else []
    return [[(name, score) for name, score in ranking if score > 0] for ranking in ranked]
