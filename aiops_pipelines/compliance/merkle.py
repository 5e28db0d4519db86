"""The Merkle tree of RFC 6962 and RFC 9162 over SHA-256: roots and proofs.

Only hashes live here. What a leaf says is `leaf`, how hashes are laid out in files is `tiles`, who signs a
root is `checkpoint`. Proofs are verified by `resources/templates/tlog.py`, which goes to auditors; only what
a witness must verify is here too. Leaves and interior nodes are hashed under different first bytes, so that
no interior node can be passed off as a leaf.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || leaf), 32 bytes (RFC 9162, 2.1.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node: SHA-256(0x01 || left || right), 32 bytes (RFC 9162, 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """The perfect subtrees that a tree of `size` leaves consists of, largest (leftmost) first.

    There is one for each set bit of `size`: a tree of 6 leaves is a subtree of 4 and one of 2. They are all
    that is needed to append, so a log of a million entries carries 7 hashes forward and not a million.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a frontier whose number of subtrees cannot belong to its size."""
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(
                f"A frontier of {self.size} leaves has one hash for each set bit of its size, "
                f"not {len(self.hashes)}: rebuild it from the leaf hashes."
            )

    def extend(self, leaf_hashes: Sequence[bytes]) -> "Frontier":
        """The frontier after appending these leaf hashes, in about one hash for each of them."""
        left_over, level, row = list(self.hashes), 0, list(leaf_hashes)
        kept: list[bytes] = []
        while row or self.size >> level:
            if self.size >> level & 1:
                row.insert(0, left_over.pop())
            if len(row) % 2:
                kept.append(row.pop())
            row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
            level += 1
        return Frontier(self.size + len(leaf_hashes), tuple(reversed(kept)))

    def root(self) -> bytes:
        """The root of the tree, 32 bytes; SHA-256 of nothing when it is empty."""
        if not self.hashes:
            return EMPTY_ROOT
        *left, root = self.hashes
        for subtree in reversed(left):
            root = node_hash(subtree, root)
        return root


def root_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """The Merkle Tree Hash of these leaf hashes (RFC 9162, 2.1.1).

    Example: `root_hash([a, b, c]) == node_hash(node_hash(a, b), c)`.
    """
    return Frontier().extend(leaf_hashes).root()


def roots_at(leaf_hashes: Mapping[int, bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The root at each of these sizes, up to the first leaf whose hash is not there; one pass for all."""
    frontier, roots = Frontier(), {}
    for size in sorted(set(sizes)):
        try:
            frontier = frontier.extend([leaf_hashes[index] for index in range(frontier.size, size)])
        except KeyError:
            break
        roots[size] = frontier.root()
    return roots


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """The path that proves leaf `index` in the tree of the first `size` leaves (RFC 9162, 2.1.3.1).

    Example: in a tree of 3 leaves, leaf 0 is proved by `[b, c]`.
    """
    if not 0 <= index < size <= len(leaf_hashes):
        raise ValueError(f"No leaf {index} in a tree of {size} out of {len(leaf_hashes)} known leaves.")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root_hash(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root_hash(leaf_hashes[start:middle]))
            start = middle
    return path[::-1]


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int, size: int) -> list[bytes]:
    """The path that proves the first `old_size` leaves unchanged in a tree of `size` (RFC 9162, 2.1.4.1).

    Example: from 2 to 3 leaves it is `[c]`; between equal sizes it is empty.
    """
    if not 0 < old_size <= size <= len(leaf_hashes):
        raise ValueError(
            f"No consistency proof from {old_size} to {size} with {len(leaf_hashes)} known leaves."
        )
    path: list[bytes] = []
    start, end = 0, size
    while old_size < end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(root_hash(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root_hash(leaf_hashes[start:middle]))
            start = middle
    if start > 0:
        path.append(root_hash(leaf_hashes[start:end]))
    return path[::-1]


def consistent(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether the path proves that the tree of `size` begins with that of `old_size` (RFC 9162, 2.1.4.2).

    From an empty tree on, and between equal sizes, the only proof is the empty one.
    """
    if not 0 < old_size < size:
        return not path and (old_size == 0 or (old_size == size and old_root == root))
    if not path or any(len(each) != HASH_BYTES for each in path):
        return False
    hashes = [old_root, *path] if old_size.bit_count() == 1 else list(path)
    index, last = old_size - 1, size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, each)
        index, last = index >> 1, last >> 1
    return last == 0 and old == old_root and new == root


def _split(width: int) -> int:
    """The largest power of two below `width`: where RFC 9162 divides a tree."""
    return 1 << (width - 1).bit_length() - 1
