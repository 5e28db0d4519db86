"""What proves one entry, or that a log only grew, to somebody who does not have the log.

An inclusion proof is a C2SP tlog-proof; a consistency proof has no such file format and is written alike.
"""

import base64
from collections.abc import Sequence

from aiops_pipelines.compliance.merkle import consistency_proof, inclusion_proof

INCLUSION, CONSISTENCY = "c2sp.org/tlog-proof@v1", "aiops_pipelines.consistency-proof/1"


def inclusion(leaf_hashes: Sequence[bytes], index: int, size: int, note: str) -> str:
    """Return the proof that leaf `index` is in the tree of `size` leaves that the note signs."""
    return _written(INCLUSION, f"index {index}", inclusion_proof(leaf_hashes, index, size), note)


def consistency(leaf_hashes: Sequence[bytes], kept_size: int, size: int, note: str) -> str:
    """Return the proof that the first `kept_size` leaves stand unchanged in the tree that the note signs."""
    return _written(CONSISTENCY, f"from {kept_size}", consistency_proof(leaf_hashes, kept_size, size), note)


def _written(kind: str, about: str, hashes: Sequence[bytes], note: str) -> str:
    return "\n".join([kind, about, *(base64.b64encode(each).decode() for each in hashes), "", note])
