"""What a witness cosigns and what not, with the checkpoints that another implementation tests itself with."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, merkle, signed_note
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.signed_note import parse_vkey
from aiops_pipelines.compliance.witness import Answer, Asked, Refused, judged, parse_asked
from aiops_pipelines_tests.compliance.test_merkle import tree
from aiops_pipelines_tests.handed_out import verifier

# Of transparency-dev/witness: a log of 5 and of 8 entries, its key, and the proof from one to the other.
MONKEYS = "monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT"
FIVE = "monkeys\n5\n41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=\n\n\u2014 monkeys 202fftzGl3LVoqjXfwCFZZXs8I+5G22+Ek2K0AOyBuSJ/8/CZawNF+6fNlTKOCd622pbzJNkkJFWuw9DbicZCkEx9AY=\n"
EIGHT = "monkeys\n8\nV8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=\n\n\u2014 monkeys 202ffoUEboiQYpHzICeaFmoy3RNviHTpAxYrq/eO4QQVQMvu9UebKBMX2MJC76NLthZaKsnKbCA8GxrjePZhvDCH7Ag=\n"
PROOF = tuple(
    bytes.fromhex(each)
    for each in (
        "b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
        "aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
        "89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
        "29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
    )
)
KNOWN = {"monkeys": [parse_vkey(MONKEYS)]}
HAS_FIVE = {"monkeys": checkpoint.verify(FIVE, MONKEYS)}
HAS_EIGHT = {"monkeys": checkpoint.verify(EIGHT, MONKEYS)}
# The request that the specification prints.
SPECIFIED = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""


def refused(body: str, last: dict[str, Checkpoint], logs=KNOWN) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        judged(body, logs, last)
    return caught.value.answer.status, caught.value.answer.body


def asked(old: int, note: str, proof: tuple[bytes, ...] = ()) -> str:
    return Asked(old, proof, note).body()


def test_the_request_of_the_specification_is_read_and_written():
    read = parse_asked(SPECIFIED)
    assert (read.old_size, len(read.proof), read.note.split("\n")[1]) == (20852014, 4, "20852163")
    assert read.body() == SPECIFIED


def test_a_log_that_grew_is_cosigned():
    assert judged(asked(0, FIVE), KNOWN, {}).size == 5  # the first time without a proof
    assert judged(asked(5, EIGHT, PROOF), KNOWN, HAS_FIVE).size == 8
    assert judged(asked(5, FIVE), KNOWN, HAS_FIVE).size == 5  # the same once more


def test_an_unknown_log_is_404_before_its_signature_is_looked_at():
    assert refused(asked(0, FIVE.replace("monkeys\n", "bananas\n", 1)), {})[0] == 404


def test_a_signature_that_is_missing_or_does_not_hold_is_403():
    other = {"monkeys": [parse_vkey(signed_note.vkey("monkeys", Ed25519PrivateKey.generate().public_key()))]}
    assert refused(asked(0, FIVE), {}, other)[0] == 403
    assert refused(asked(0, FIVE.replace("\n5\n", "\n6\n")), {})[0] == 403
    both = {"monkeys": [*other["monkeys"], *KNOWN["monkeys"]]}
    assert judged(asked(0, FIVE), both, {}).size == 5  # a second key of the log, as after a rotation


@pytest.mark.parametrize(
    "body",
    [
        "",
        FIVE,
        asked(0, FIVE).replace("old 0", "old 00"),
        asked(0, FIVE).replace("old 0", "old -1"),
        asked(0, FIVE).replace("old 0", "new 0"),
        asked(0, FIVE, (b"x" * 32,)).replace("eHh4", "eHh*"),
        asked(0, FIVE, (b"x" * 32,) * 64),
        asked(0, FIVE.removesuffix("\n")),
        asked(0, FIVE.split("\n\n")[0]),
    ],
)
def test_what_is_no_request_is_400(body):
    assert refused(body, {})[0] == 400


def test_an_old_size_above_the_new_one_is_400_and_another_than_ours_is_409():
    assert refused(asked(8, FIVE, PROOF), HAS_EIGHT)[0] == 400
    assert refused(asked(2, EIGHT, PROOF), HAS_FIVE) == (409, "5\n")
    assert refused(asked(0, EIGHT), HAS_FIVE) == (409, "5\n")
    assert refused(asked(0, FIVE), HAS_EIGHT) == (409, "8\n")  # rolled back
    assert refused(asked(5, FIVE), HAS_EIGHT) == (409, "8\n")


def test_another_root_of_the_same_size_is_409_and_evidence():
    with pytest.raises(Refused) as found:
        judged(asked(5, FIVE), KNOWN, {"monkeys": Checkpoint("monkeys", 5, bytes(32))})
    assert (found.value.answer, found.value.evidence) == (Answer(409, "5\n"), True)


def test_a_wrong_proof_is_422():
    assert refused(asked(5, EIGHT, PROOF[:-1]), HAS_FIVE)[0] == 422
    assert refused(asked(5, EIGHT, (*PROOF, PROOF[0])), HAS_FIVE)[0] == 422
    assert refused(asked(5, EIGHT), HAS_FIVE)[0] == 422
    assert refused(asked(0, FIVE, PROOF), {})[0] == 422  # from nothing there is nothing to prove
    fork = {"monkeys": Checkpoint("monkeys", 5, bytes(32))}
    assert refused(asked(5, EIGHT, PROOF), fork)[0] == 422


def test_an_empty_log_has_one_root():
    key = Ed25519PrivateKey.generate()
    logs = {"log": [parse_vkey(signed_note.vkey("log", key.public_key()))]}
    assert judged(asked(0, checkpoint.sign("log", 0, merkle.EMPTY_ROOT, key)), logs, {}).size == 0
    assert refused(asked(0, checkpoint.sign("log", 0, bytes(32), key)), {}, logs)[0] == 422


@given(st.integers(0, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.data())
def test_consistency_is_judged_as_auditors_judge_it(sizes, data):
    size, old = sizes
    leaves = tree(size)
    roots = merkle.root_hash(leaves[:old]), merkle.root_hash(leaves)
    path = merkle.consistency_proof(leaves, old, size) if old else []
    assert merkle.consistent(old, roots[0], size, roots[1], path)
    bent = data.draw(st.sampled_from(["cut", "grown", "bit", "old", "new", "size"]))
    old_root, root = (
        bytes(32) if bent == name else each for name, each in zip(("old", "new"), roots, strict=True)
    )
    if bent == "cut":
        path = path[:-1] if path else [bytes(32)]
    elif bent == "grown":
        path = [*path, bytes(32)]
    elif bent == "bit" and path:
        path[-1] = bytes([path[-1][0] ^ 1]) + path[-1][1:]
    elif bent == "size":
        size += 1

    def auditor() -> bool:
        try:
            verifier.extends(old, old_root, size, root, path)
        except verifier.Wrong:
            return False
        return True

    assert merkle.consistent(old, old_root, size, root, path) == (auditor() if old else not path)


def test_a_hash_of_another_length_is_no_proof():
    leaves = tree(3)
    roots = merkle.root_hash(leaves[:2]), merkle.root_hash(leaves)
    assert not merkle.consistent(2, roots[0], 3, roots[1], [leaves[2][:31]])
    assert merkle.consistent(2, roots[0], 3, roots[1], [leaves[2]])
