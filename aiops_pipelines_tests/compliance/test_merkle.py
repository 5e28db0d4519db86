"""Merkle trees against published roots, an independent definition, and every way to bend a proof.

Proofs are verified by the program that auditors get, which shares no code with what makes them.
"""

import base64
import json
import os
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import merkle
from aiops_pipelines.compliance.merkle import Frontier
from aiops_pipelines_tests.handed_out import verifier

# The leaves and roots with which Certificate Transparency implementations check each other.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 9162, 2.1.1, word by word and with nothing of the module under test."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = max(power for power in (2**exponent for exponent in range(20)) if power < len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def hashes_of(leaves: list[bytes]) -> list[bytes]:
    return [merkle.leaf_hash(leaf) for leaf in leaves]


def tree(size: int) -> list[bytes]:
    return hashes_of([f"entry {index}".encode() for index in range(size)])


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def grown(old_size, size, old_root, root, proof):
    verifier.extends(old_size, old_root, size, root, proof)


def holds(verify, *arguments) -> bool:
    try:
        verify(*arguments)
    except verifier.Wrong:
        return False
    return True


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert merkle.root_hash(hashes_of(CT_LEAVES[:size])).hex() == CT_ROOTS[size]
    assert naive_root(CT_LEAVES[:size]).hex() == CT_ROOTS[size]


def test_published_leaf_and_node_hashes():
    leaf = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    node = "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert merkle.leaf_hash(b"L123456").hex() == leaf
    assert merkle.node_hash(b"N123", b"N456").hex() == node


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_root_is_the_recursive_definition(leaves):
    assert merkle.root_hash(hashes_of(leaves)) == naive_root(leaves)


@given(st.lists(st.integers(0, 40), max_size=8))
def test_frontier_grows_in_any_steps_to_the_same_tree(steps):
    leaves, frontier = tree(sum(steps)), Frontier()
    for step in steps:
        frontier = frontier.extend(leaves[frontier.size : frontier.size + step])
        assert frontier.root() == merkle.root_hash(leaves[: frontier.size])
    assert frontier == Frontier().extend(leaves)
    assert len(frontier.hashes) == sum(steps).bit_count()


def test_frontier_refuses_hashes_of_another_size():
    with pytest.raises(ValueError, match="rebuild it from the leaf hashes"):
        Frontier(6, (bytes(32),))


def test_roots_at_several_sizes_stop_at_the_first_unknown_leaf():
    leaves = dict(enumerate(tree(10)))
    del leaves[7]
    assert merkle.roots_at(leaves, [7, 3, 0, 9, 3]) == {
        size: merkle.root_hash(tree(10)[:size]) for size in (0, 3, 7)
    }


def test_proofs_by_hand():
    a, b, c = leaves = hashes_of([b"a", b"b", b"c"])
    assert merkle.inclusion_proof(leaves, 0, 3) == [b, c]
    assert merkle.inclusion_proof(leaves, 2, 3) == [merkle.node_hash(a, b)]
    assert merkle.inclusion_proof(leaves, 0, 1) == []
    assert merkle.consistency_proof(leaves, 2, 3) == [c]
    assert merkle.consistency_proof(leaves, 3, 3) == []


def test_proofs_of_the_seven_leaf_tree_in_the_standard():
    """RFC 9162, 2.1.5: leaf 3 by [c, g, l], leaf 6 by [i, k]; 3 to 7 by [c, d, g, l], 6 to 7 by [i, j, k]."""
    a, b, c, d, e, f, j = leaves = tree(7)
    g, h, i = merkle.node_hash(a, b), merkle.node_hash(c, d), merkle.node_hash(e, f)
    k, right = merkle.node_hash(g, h), merkle.node_hash(i, j)
    assert merkle.inclusion_proof(leaves, 3, 7) == [c, g, right]
    assert merkle.inclusion_proof(leaves, 6, 7) == [i, k]
    assert merkle.consistency_proof(leaves, 3, 7) == [c, d, g, right]
    assert merkle.consistency_proof(leaves, 4, 7) == [right]
    assert merkle.consistency_proof(leaves, 6, 7) == [i, j, k]


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 4), (0, 0)])
def test_no_inclusion_proof_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="No leaf"):
        merkle.inclusion_proof(tree(3), index, size)


@pytest.mark.parametrize(("old_size", "size"), [(0, 3), (3, 2), (1, 4)])
def test_no_consistency_proof_outside_the_tree(old_size, size):
    with pytest.raises(ValueError, match="No consistency proof"):
        merkle.consistency_proof(tree(3), old_size, size)


@given(st.data())
def test_every_inclusion_proof_holds_and_no_bent_one_does(data):
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = tree(size)
    root, proof = merkle.root_hash(leaves), merkle.inclusion_proof(leaves, index, size)
    verify, leaf = verifier.included, leaves[index]
    assert holds(verify, leaf, index, size, proof, root)

    bit = data.draw(st.integers(0, 255))
    assert not holds(verify, flip(leaf, bit), index, size, proof, root)
    assert not holds(verify, leaf, index, size, proof, flip(root, bit))
    for at in range(len(proof)):
        assert not holds(
            verify, leaf, index, size, [*proof[:at], flip(proof[at], bit), *proof[at + 1 :]], root
        )
    for extra in (root, leaf, bytes(32), b""):
        assert not holds(verify, leaf, index, size, [*proof, extra], root)
        assert not holds(verify, leaf, index, size, [extra, *proof], root)
    for other in {index - 1, index + 1, index ^ 2, -1, size} - {index}:
        assert not holds(verify, leaf, other, size, proof, root)
    if proof:
        assert not holds(verify, leaf, index, size, proof[:-1], root)
        assert not holds(verify, leaf, index, size, proof[1:], root)
        assert not holds(verify, leaf, index, index, proof, root)


@given(st.data())
def test_every_consistency_proof_holds_and_no_bent_one_does(data):
    size = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, size - 1))
    leaves = tree(size)
    before, after = merkle.root_hash(leaves[:old]), merkle.root_hash(leaves)
    proof, verify = merkle.consistency_proof(leaves, old, size), grown
    assert holds(verify, old, size, before, after, proof)

    bit = data.draw(st.integers(0, 255))
    assert not holds(verify, old, size, flip(before, bit), after, proof)
    assert not holds(verify, old, size, before, flip(after, bit), proof)
    assert not holds(verify, old, size, after, before, proof)
    for at in range(len(proof)):
        bent = [*proof[:at], flip(proof[at], bit), *proof[at + 1 :]]
        assert not holds(verify, old, size, before, after, bent)
    for extra in (before, after, bytes(32), b""):
        assert not holds(verify, old, size, before, after, [*proof, extra])
        assert not holds(verify, old, size, before, after, [extra, *proof])
    assert not holds(verify, old, size, before, after, proof[:-1])
    assert not holds(verify, old, size, before, after, [])
    assert not holds(verify, size, old, before, after, proof)
    assert not holds(verify, 0, size, merkle.EMPTY_ROOT, after, proof)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=5, unique=True))
def test_consistency_is_transitive(sizes):
    leaves = tree(max(sizes))
    roots = {size: merkle.root_hash(leaves[:size]) for size in sizes}
    for old, new in pairwise(sorted(sizes)):
        proof = merkle.consistency_proof(leaves, old, new)
        grown(old, new, roots[old], roots[new], proof)


def test_a_rewritten_history_extends_no_kept_root():
    honest, rewritten = tree(20), [merkle.leaf_hash(b"rewritten"), *tree(20)[1:]]
    kept = merkle.root_hash(honest[:12])
    proof, root = merkle.consistency_proof(rewritten, 12, 20), merkle.root_hash(rewritten)
    assert not holds(grown, 12, 20, kept, root, proof)
    assert holds(grown, 12, 20, merkle.root_hash(rewritten[:12]), root, proof)


def test_equal_sizes_need_equal_roots_and_no_proof():
    root = merkle.root_hash(tree(5))
    assert holds(grown, 5, 5, root, root, [])
    assert not holds(grown, 5, 5, root, flip(root, 0), [])
    assert not holds(grown, 5, 5, root, root, [root])
    assert not holds(grown, 0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])


def test_second_preimage_an_interior_node_is_no_leaf():
    """A19: the two children of the root, taken as the bytes of one leaf, must not give the same root."""
    left, right = tree(2)
    root = merkle.root_hash([left, right])
    assert merkle.leaf_hash(left + right) != root
    assert not holds(verifier.included, merkle.leaf_hash(left + right), 0, 1, [], root)
    assert holds(verifier.included, left, 0, 2, [right], root)


def test_hashes_of_another_length_are_refused_even_where_they_join_to_the_same_bytes():
    left, right = tree(2)
    joined, root = left + right, merkle.root_hash([left, right])
    assert merkle.node_hash(joined[:31], joined[31:]) == root
    assert not holds(verifier.included, joined[:31], 0, 2, [joined[31:]], root)


def test_a_proof_that_reaches_the_root_too_early_or_too_late_is_refused():
    """Each leads to the given root by its hashes; only the sizes it claims do not fit its length."""
    a, b, c, d = leaves = tree(4)
    two, three, four = (merkle.root_hash(leaves[:size]) for size in (2, 3, 4))
    assert not holds(verifier.included, a, 0, 3, [b], two)
    assert not holds(verifier.included, b, 0, 1, [a], two)
    assert not holds(grown, 1, 3, a, two, [b])
    path, above = [c, d, two], bytes(32)
    assert holds(grown, 3, 4, three, four, path)
    raised = [merkle.node_hash(above, root) for root in (three, four)]
    assert not holds(grown, 3, 4, *raised, [*path, above])


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_public_vectors(kind):
    """The good and bad proofs of transparency-dev/merkle: AIOPS_MERKLE_VECTORS names its testdata folder."""
    folder = os.environ.get("AIOPS_MERKLE_VECTORS")
    if not folder:
        pytest.skip("AIOPS_MERKLE_VECTORS does not name a folder of public proofs")
    files = sorted((Path(folder) / kind).rglob("*.json"))
    assert len(files) > 90
    for file in files:
        vector = json.loads(file.read_text())
        proof = [base64.b64decode(each) for each in vector["proof"] or []]
        if kind == "inclusion":
            leaf, root = (base64.b64decode(vector[key] or "") for key in ("leafHash", "root"))
            held = holds(verifier.included, leaf, vector["leafIdx"], vector["treeSize"], proof, root)
        else:
            old, new = (base64.b64decode(vector[key] or "") for key in ("root1", "root2"))
            held = holds(grown, vector["size1"], vector["size2"], old, new, proof)
        assert held != vector["wantErr"], f"{file}: {vector['desc']}"
