"""The auditor's bundle: verified by the script that lies in it, in a process that knows nothing of the project."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, leaf, merkle, signed_note, tiles, tlog_proof
from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.project import Project
from aiops_pipelines.resources import auditor
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.proofs import NothingKept, kept_notes, verified
from aiops_pipelines.resources.report_pdf import report_pdf
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.handed_out import verifier
from aiops_pipelines_tests.resources import witnessed_shop
from aiops_pipelines_tests.resources.audited_shop import NOW, audited, tamper
from aiops_pipelines_tests.resources.witnessed_shop import witness, witness_clock

pytestmark = pytest.mark.usefixtures("kept_open")

__all__ = ["witness_clock"]

SIZE = 300  # a full bundle of entries and a partial one
REPORT = "reports/shop/monthly/2026-06.json"


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    """298 calls, a published report and a decision, signed at three sizes."""
    book = audited(project, warehouse, SIZE - 2)
    note = (project.audit / "shop" / "checkpoint").read_text()
    report = project.data / REPORT
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"sections": [{"notes": [["Keep it", note]]}]}))
    report.with_suffix(".html").write_text(f"<pre>{note}</pre>")
    on_paper = {"system": {"owner": "o"}, "headline": "h", "read_until": "2026-07-07T06:00:00+00:00"}
    page = "<title>T</title><main><h1>H</h1></main>"
    report.with_suffix(".pdf").write_bytes(report_pdf(on_paper, page, report.read_text()))
    details = {
        name: value
        for kind in ("json", "html", "pdf")
        for file in [report.with_suffix(f".{kind}")]
        for name, value in (
            (f"{kind}_file", file.relative_to(project.data).as_posix()),
            (f"{kind}_sha256", hashlib.sha256(file.read_bytes()).hexdigest()),
        )
    }
    for what, said in (("report_published", details), ("noted", {})):
        book.append("shop", [decision_entry("shop", what, NOW, "us", f"It was {what}.", said)])
        book.sign("shop", NOW)
    return book


@pytest.fixture
def bundle(book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    return folder


def ran(folder: Path, *arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-I", folder / "verify.py", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd="/", timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


def failed(folder: Path, *arguments: object) -> list[str]:
    code, said = ran(folder, *arguments)
    lines = [line.removeprefix("FAILED").strip() for line in said.splitlines() if line.startswith("FAILED")]
    assert code == (1 if lines else 0) and ("NOT intact." in said) == bool(lines)
    return lines


def replaced(file: Path, before: bytes, after: bytes) -> None:
    content = file.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after, 1))


# --- the whole log


def test_an_untouched_bundle_verifies_and_says_what_it_does_not_show(bundle: Path) -> None:
    code, said = ran(bundle)
    assert code == 0
    assert said.count("\nok      Checkpoint ") == 3
    assert f"{REPORT} is as it was published" in said
    assert "Nothing you kept yourself was held against it" in said


@pytest.mark.parametrize(
    "kept",
    [
        "reports/shop/monthly/2026-06.json",
        "reports/shop/monthly/2026-06.html",
        "reports/shop/monthly/2026-06.pdf",
    ],
)
def test_a_checkpoint_printed_in_a_report_is_held_against_the_log(bundle: Path, kept: str) -> None:
    code, said = ran(bundle, "--kept", bundle / kept)
    assert (code, "Nothing you kept" in said) == (0, False)


def test_an_edited_entry_breaks_the_checkpoints_after_it(bundle: Path) -> None:
    replaced(bundle / "tile/entries/001.p/44", b'"latency_ms":800', b'"latency_ms":100')
    lines = failed(bundle)
    newest = "The newest checkpoint signs all the entries, no more and no less"
    checkpoints = [f"Checkpoint {n} holds" for n in (298, 299, 300)]
    assert [line.split(":")[0] for line in lines] == [newest, *checkpoints]
    for file in (bundle / "checkpoints").glob("*.note"):
        file.unlink()
    assert failed(bundle) == [f"{newest}: they are not those that were signed."]


def test_a_lost_bundle_a_cut_one_and_a_lost_tail_are_found(bundle: Path) -> None:
    tail = bundle / "tile/entries/001.p/44"
    content = tail.read_bytes()
    tail.write_bytes(content[:-1])
    assert any("bundle 1 is damaged" in line for line in failed(bundle))
    tail.unlink()
    assert any("256 entries are here" in line for line in failed(bundle))
    tail.write_bytes(content)
    (bundle / "tile/entries/000").unlink()
    assert any("one before it is missing" in line for line in failed(bundle))


def test_an_edited_or_missing_report_is_found(bundle: Path) -> None:
    replaced(bundle / REPORT, b"Keep", b"Lose")
    assert failed(bundle) == [
        f"{REPORT} is as it was published: it is not the file whose hash the log holds."
    ]
    (bundle / REPORT).unlink()
    page = REPORT.replace("json", "html")
    replaced(bundle / page, b"<pre>", b"<pre >")
    assert failed(bundle) == [
        f"{REPORT} is as it was published: it is not here.",
        f"{page} is as it was published: it is not the file whose hash the log holds.",
    ]


def test_a_report_is_looked_for_however_its_entry_is_spelt(bundle: Path) -> None:
    file = bundle / "tile/entries/001.p/44"
    plain, spelt = b'"decision.report_published"', b'"\\u0064ecision.report_published"'
    leaves = [entry.replace(plain, spelt) for entry in tiles.leaves(file.read_bytes())]
    (content,) = tiles.grow_entries({}, 256, leaves).values()
    assert spelt in content
    file.write_bytes(content)
    (bundle / REPORT).unlink()
    assert f"{REPORT} is as it was published: it is not here." in failed(bundle)


def test_another_key_than_the_one_that_was_given_is_found(bundle: Path) -> None:
    other = signed_note.vkey("aiops_pipelines/shop", Ed25519PrivateKey.generate().public_key())
    assert any("it is not signed by" in line for line in failed(bundle, "--key", other))


@pytest.mark.shares_the_file
def test_a_rewritten_log_contradicts_what_was_kept(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    """The administrator edits an entry everywhere and signs anew with the real key."""
    kept = tmp_path / "kept.note"
    shutil.copy(project.audit / "shop" / "checkpoint", kept)
    row = warehouse.rows("compliance.audit_log", entry_index=SIZE - 1).row(0, named=True)
    forged = leaf.encode(leaf.decode(row["leaf"]) | {"summary": "Nothing."})
    shutil.rmtree(project.audit / "shop")
    tamper(warehouse, "delete from compliance.audit_checkpoints")
    sql = (
        "update compliance.audit_log set leaf = ?, leaf_hash = ?, summary = 'Nothing.' where entry_index = ?"
    )
    tamper(warehouse, sql, forged, merkle.leaf_hash(forged), SIZE - 1)
    book.sign("shop", NOW)
    assert verified(project, "shop").intact  # by itself it cannot tell
    assert not verified(project, "shop", kept_notes(kept, "shop")).intact
    folder = tmp_path / "bundle"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    assert failed(folder) == []
    (line,) = failed(folder, "--kept", kept)
    assert "its first 300 entries are not those that were signed" in line


# --- single entries


def single(project: Project, warehouse: Warehouse, folder: Path, *entries: str, opened: bool = False) -> Path:
    made = auditor.Bundle(project, warehouse, "shop")
    auditor.write(folder, [made.single(entries, opened, Keys(project.keys))])
    return folder


def test_one_entry_is_proved_without_showing_any_other(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = single(project, warehouse, tmp_path / "b", "e7", opened=True)
    assert failed(folder) == []
    said = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"inference:e7" in said and b"30 days." in said
    assert b"inference:e8" not in said
    replaced(folder / "entries/7.json", b"30 days.", b"31 days.")
    assert failed(folder) == ["Entry 7 is in the log: its answer is not the text that was committed to."]


def test_a_closed_entry_holds_no_text_and_a_decision_none_to_open(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = single(project, warehouse, tmp_path / "b", "e7")
    assert not any(b"30 days." in file.read_bytes() for file in folder.rglob("*.json"))
    entry = warehouse.rows("compliance.audit_log", entry_index=SIZE - 1)["entry_id"][0]
    assert failed(single(project, warehouse, tmp_path / "c", entry, opened=True)) == []


def test_a_forged_entry_is_not_in_the_log(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = single(project, warehouse, tmp_path / "b", "e7")
    replaced(folder / "entries/7.json", b'latency_ms\\":800', b'latency_ms\\":100')
    assert failed(folder) == ["Entry 7 is in the log: the proof does not lead to the signed root."]


def test_an_entry_of_another_history_that_the_log_signed_is_not_in_the_one_that_is_handed_out(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    """Whoever has the signing key proves an edited entry, beside the checkpoint that witnesses cosigned."""
    folder = single(project, warehouse, tmp_path / "b", "e7")
    hashes = warehouse.rows("compliance.audit_log").sort("entry_index")["leaf_hash"].to_list()
    said = json.loads((folder / "entries/7.json").read_text())
    said["leaf"] = said["leaf"].replace('"latency_ms":800', '"latency_ms":100')
    hashes[7] = merkle.leaf_hash(said["leaf"].encode())
    note = checkpoint.sign("aiops_pipelines/shop", SIZE, merkle.root_hash(hashes), book.keys.signing("shop"))
    (folder / "entries/7.json").write_text(json.dumps(said))
    (folder / "entries/7.tlog-proof").write_text(tlog_proof.inclusion(hashes, 7, SIZE, note))
    what = "Entry 7 is in the log"
    assert failed(folder) == [f"{what}: its proof leads to another checkpoint than the newest one here."]
    (folder / "entries/7.tlog-proof").unlink()
    assert failed(folder) == [f"{what}: its proof is not here."]


def test_a_text_that_was_edited_and_an_entry_that_is_not_there_are_not_handed_out(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    tamper(warehouse, "update inference_log.inferences set answer = '31 days.' where event_id = 'e7'")
    with pytest.raises(auditor.NoBundle, match="The answer of e7 is not what was logged"):
        single(project, warehouse, tmp_path / "b", "e7", opened=True)
    with pytest.raises(auditor.NoBundle, match="No signed entry of shop has the id e999"):
        single(project, warehouse, tmp_path / "b", "e999")


def test_the_log_is_proved_to_have_only_grown(
    book: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    kept = project.data / REPORT
    made = auditor.Bundle(project, warehouse, "shop")
    parts = made.single(["e7"], False, Keys(project.keys)), made.since(kept_notes(kept, "shop"))
    auditor.write(tmp_path / "b", parts)
    assert failed(tmp_path / "b", "--kept", kept) == []
    shutil.rmtree(tmp_path / "b/consistency")
    (line,) = failed(tmp_path / "b", "--kept", kept)
    assert "no proof from 298 entries on is here" in line


# --- what is asked for


def test_a_bundle_goes_into_a_new_folder(bundle: Path) -> None:
    with pytest.raises(auditor.NoBundle, match="is not empty"):
        auditor.write(bundle, [])


def test_a_file_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{")
    with pytest.raises(NothingKept, match=r"x\.json holds no checkpoint of shop"):
        kept_notes(file, "shop")


def test_a_pdf_that_is_damaged_or_no_report_holds_no_checkpoint(book: AuditBook, project: Project) -> None:
    file = (project.data / REPORT).with_suffix(".pdf")
    assert kept_notes(file, "shop")
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(NothingKept, match=r"2026-06\.pdf holds no checkpoint of shop"):
        kept_notes(file, "shop")


# --- the script alone


@given(st.binary(max_size=40), st.integers(0, 511))
@settings(max_examples=20)
def test_signatures_are_checked_as_the_library_does(message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), bytearray(key.sign(message))
    assert verifier.signed_by(public, message, bytes(signature))
    assert not verifier.signed_by(public, message + b"x", bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verifier.signed_by(public, message, bytes(signature))


def test_a_signature_has_one_spelling() -> None:
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"x")
    s = int.from_bytes(signature[32:], "little") + verifier.ORDER
    again = signature[:32] + s.to_bytes(32, "little")
    assert not verifier.signed_by(key.public_key().public_bytes_raw(), b"x", again)


@given(st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(1, n))))
def test_the_script_proves_what_the_log_proves(sizes: tuple[int, int, int]) -> None:
    size, index, kept = sizes
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(size)]
    root, kept_root = merkle.root_hash(leaves), merkle.root_hash(leaves[:kept])
    assert verifier.roots(leaves, [kept, size]) == {0: merkle.EMPTY_ROOT, kept: kept_root, size: root}
    verifier.included(leaves[index], index, size, merkle.inclusion_proof(leaves, index, size), root)
    path = merkle.consistency_proof(leaves, kept, size)
    verifier.extends(kept, kept_root, size, root, path)
    with pytest.raises(verifier.Wrong):
        verifier.extends(kept, merkle.EMPTY_ROOT, size, root, path)
    with pytest.raises(verifier.Wrong):
        verifier.included(root[::-1], index, size, merkle.inclusion_proof(leaves, index, size), root)


# --- witnesses


@pytest.fixture
def witnessed(project: Project, warehouse: Warehouse, tmp_path: Path, witness_clock: None) -> AuditBook:
    """Six entries, cosigned by both witnesses at three and at six; both must."""
    kept = [witness(tmp_path / name, f"example.com/{name}") for name in ("w1", "w2")]
    log = witnessed_shop.book(project, warehouse)
    for one in kept:
        one.trust(checkpoint_key(log))
    witnessed_shop.named(project, [witnessed_shop.in_folder(one) for one in kept], quorum=2)
    with warehouse.held():
        for end in (3, 6):
            witnessed_shop.grow(log, end - 3, end)
    return log


def checkpoint_key(log: AuditBook) -> str:
    log.keys.signing("shop")
    return log.verifier_key("shop")


def test_cosignatures_are_verified_without_the_project(
    witnessed: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    code, said = ran(folder)
    assert code == 0
    assert "cosigned by example.com/w1, example.com/w2, last on 2026-06-08 06:26 UTC." in said
    assert "No witness is named" not in said
    lines = (folder / "checkpoint").read_text().splitlines(keepends=True)
    (folder / "checkpoint").write_text("".join(lines[:-1]))  # one of the two is missing
    (folder / "checkpoints/6.note").write_text("".join(lines[:-1]))
    code, said = ran(folder)
    assert code == 3 and "UNWITNESSED since 2026-06-08 06:26 UTC (tree size 3)." in said
    for file in (folder / "checkpoints").glob("*.note"):
        file.write_text(
            "".join(lines[:-1]) if file.stem == "6" else "".join(file.read_text().splitlines(True)[:-1])
        )
    assert "NEVER WITNESSED" in ran(folder)[1]


def test_a_forged_cosignature_fails(
    witnessed: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    old = (folder / "checkpoints/3.note").read_text().splitlines(keepends=True)
    new = (folder / "checkpoint").read_text().splitlines(keepends=True)
    (folder / "checkpoint").write_text("".join([*new[:-1], old[-1]]))
    assert failed(folder)[0].endswith("the cosignature of example.com/w2 does not hold.")


def test_an_auditors_own_policy_is_the_one_that_counts(
    witnessed: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder, own = tmp_path / "b", tmp_path / "own.txt"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    named = (folder / "policy.txt").read_text()
    stranger = witness(tmp_path / "w3", "example.com/w3").vkey
    own.write_text(f"# mine\nwitness me {stranger}\nquorum me\n")
    assert ran(folder, "--policy", own)[0] == 3
    own.write_text(
        named.replace("quorum of-these", f"witness x {stranger}\ngroup both any of-these x\nquorum both")
    )
    assert ran(folder, "--policy", own)[0] == 0
    own.write_text(
        named.replace("any", "all").replace(
            "quorum of-these", f"witness x {stranger}\ngroup b all of-these x\nquorum b"
        )
    )
    assert ran(folder, "--policy", own)[0] == 3


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here")
def test_a_note_is_verified_by_hand_as_the_bundle_says(
    witnessed: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    said = (folder / "VERIFY.md").read_text().split("## The signature by hand")[1].split("## A report")[0]
    script = "\n".join(line[4:] for line in said.splitlines() if line.startswith("    "))
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Signature Verified Successfully" in done.stdout, done.stderr


@pytest.mark.shares_the_file
def test_a_cosigned_checkpoint_that_a_report_prints_is_kept_whole(
    witnessed: AuditBook, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    note = (project.audit / "shop/checkpoint").read_text()
    for name, text in (
        ("r.html", f"<pre>{note}</pre>"),
        ("r.json", json.dumps({"n": [note.rstrip()]})),
        ("r.note", note),
    ):
        (tmp_path / name).write_text(text)
        (kept,) = kept_notes(tmp_path / name, "shop")
        assert kept.rstrip() == note.rstrip()
        assert verified(project, "shop", [kept]).exit_code == 0
        folder = tmp_path / f"bundle of {name}"
        auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
        assert ran(folder, "--kept", tmp_path / name)[0] == 0
