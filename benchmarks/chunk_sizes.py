"""New texts of a release: our chunks beside chunks cut by size alone, of the same mean length.

By size is what a splitter does that knows no structure: words packed up to a size, from start to end of a
document. Between the two are paragraphs packed up to a size, which most splitters come close to.

    python benchmarks/chunk_sizes.py FIRST SECOND [THIRD ...]
"""

import re
import sys
from itertools import pairwise
from pathlib import Path

from reindex_pipelines import files_of

from aiops_pipelines.rag.chunking import chunk
from aiops_pipelines.resources.extraction import extracted

_PARAGRAPH, _WORD = re.compile(r"\n{2,}"), re.compile(r"\s+")


def packed(pieces, most, between):
    """Return pieces put together, in order, to at most a number of characters."""
    out, text = [], ""
    for piece in filter(None, pieces):
        if text and len(text) + len(between) + len(piece) > most:
            out.append(text)
            text = ""
        text = f"{text}{between}{piece}" if text else piece
    return [*out, text] if text else out


WAYS = {
    "ours": lambda text, _most: [piece.text for piece in chunk(text)],
    "words up to a size": lambda text, most: packed(_WORD.split(text), most, " "),
    "paragraphs up to a size": lambda text, most: packed(_PARAGRAPH.split(text), most, "\n\n"),
}


def mean(texts):
    """Return the mean length in characters."""
    return sum(map(len, texts)) / len(texts)


def chunks(way, most, release):
    """Return all chunks of a release, white space evened out."""
    return [" ".join(piece.split()) for text in release for piece in WAYS[way](text, most)]


def size_of_mean(way, wanted, release):
    """Return the size at which a way of cutting gives chunks of the wanted mean length."""
    low, high = 50, 4000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mean(chunks(way, middle, release)) < wanted else (low, middle)
    return high


def main():
    """Print the mean length and the new texts of each following release, by way of cutting."""
    releases = [
        [extracted(path.suffix, path.read_bytes()) for path in files_of(Path(folder))]
        for folder in sys.argv[1:]
    ]
    wanted = mean(chunks("ours", 0, releases[0]))
    for way in WAYS:
        most = 0 if way == "ours" else size_of_mean(way, wanted, releases[0])
        texts = [chunks(way, most, release) for release in releases]
        new = [len(set(later) - set(earlier)) for earlier, later in pairwise(texts)]
        print(f"{way:24} mean {mean(texts[0]):5.0f} characters, {len(set(texts[0])):6,} texts, new {new}")


if __name__ == "__main__":
    main()
