"""Exact search: the ten best of 100,000 vectors for 1,000 queries, beside a plain BLAS product.

python benchmarks/vector_search.py
"""

import resource
import time
from collections.abc import Callable

import numpy as np

from aiops_pipelines.rag.ranking import Vectors, dense

CHUNKS, DIMENSION, QUERIES, BEST, RUNS = 100_000, 384, 1_000, 10, 5


def unit(rows: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSION), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain(vectors: np.ndarray, queries: np.ndarray) -> list[list[int]]:
    """A product, argpartition and a sort of ten, in blocks of the same memory as ours."""
    found = []
    for start in range(0, len(queries), 80):
        scores = queries[start : start + 80] @ vectors.T
        top = np.argpartition(-scores, BEST, axis=1)[:, :BEST]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1)
        found += np.take_along_axis(top, order, 1).tolist()
    return found


def product(vectors: np.ndarray, queries: np.ndarray) -> None:
    for start in range(0, len(queries), 80):
        queries[start : start + 80] @ vectors.T


def cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    vectors, queries = unit(CHUNKS, 1), unit(QUERIES, 2)
    for name, per_document in (("one chunk a document", 1), ("eight chunks a document", 8)):
        owners = [f"d{at // per_document:06}" for at in range(CHUNKS)]
        ways: dict[str, Callable[[], object]] = {
            "product alone": lambda: product(vectors, queries),
            "product and argpartition": lambda: plain(vectors, queries),
            "ours": lambda owners=owners: dense(owners, Vectors("e", vectors), Vectors("e", queries), BEST),
        }
        times = {way: min(cpu_s(work) for _ in range(RUNS)) for way, work in ways.items()}
        for way in ("product alone", "product and argpartition"):
            print(f"{name}: ours / {way} = {times['ours'] / times[way]:.2f} in CPU time")
        if per_document == 1:
            found = dense(owners, Vectors("e", vectors), Vectors("e", queries), BEST)
            ours = np.array([[score for _, score in ranking] for ranking in found])
            top = np.take_along_axis(queries @ vectors.T, np.array(plain(vectors, queries)), 1)
            print(f"{name}: scores place by place differ by at most {np.abs(ours - top).max():.0e}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB, of which vectors {vectors.nbytes / 2**20:,.0f} MB")


if __name__ == "__main__":
    main()
