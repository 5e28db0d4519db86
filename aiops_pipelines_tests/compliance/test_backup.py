"""A manifest says what it said, names no file elsewhere, and every difference from it is named."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.backup import (
    BackupDamaged,
    Copied,
    LogState,
    Manifest,
    against,
    backup_entry,
    differing,
    drill_entry,
    read_manifest,
    recounted,
    unknown_columns,
    whole,
)

AT = datetime(2026, 8, 3, 9, tzinfo=UTC)
FILES = {
    "warehouse/aiops.duckdb": Copied(sha256="a" * 64, bytes=9),
    "systems/shop.yaml": Copied(sha256="b" * 64, bytes=2),
}


def manifest(**changed: object) -> Manifest:
    log = LogState(entries=3, root="cm9vdA==", checkpoint="", at=AT)
    content = {
        "made_at": AT,
        "made_by": "Mira",
        "versions": {"duckdb": "v1"},
        "with_keys": False,
        "logs": {"shop": log},
        "rows": {"rag.chunks": 4, "compliance.audit_log": 3},
        "left_out": {"corpus": "yours"},
        "files": FILES,
    }
    return Manifest.model_validate(content | changed)


def test_what_was_written_is_read() -> None:
    made = manifest()
    assert read_manifest(made.written()) == made and made.size == 11


@given(st.integers(0, len(manifest().written()) - 1), st.integers(0, 7))
def test_no_bit_of_it_changes_unseen(place: int, bit: int) -> None:
    data = bytearray(manifest().written())
    data[place] ^= 1 << bit
    try:
        assert read_manifest(bytes(data)) == manifest()  # white space, or another spelling of the same
    except BackupDamaged:
        return


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"{" * 100_000, b'{"sha256": 1}', manifest().written()[:-40]]
)
def test_what_is_no_manifest_is_a_sentence(data: bytes) -> None:
    with pytest.raises(BackupDamaged, match="is no manifest"):
        read_manifest(data)


def test_one_that_was_edited_with_care_for_its_form_is_refused() -> None:
    content = json.loads(manifest().written())
    with pytest.raises(BackupDamaged, match="does not say what it said"):
        read_manifest(json.dumps(content | {"made_by": "Eve"}).encode())
    with pytest.raises(BackupDamaged, match="is no manifest"):
        read_manifest(json.dumps(content | {"more": 1}).encode())


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "manifest.json", "a\0b", ""]
)
def test_it_names_no_file_elsewhere(name: str) -> None:
    with pytest.raises(BackupDamaged, match="no file of a backup"):
        read_manifest(manifest(files={**FILES, name: FILES["systems/shop.yaml"]}).written())


def test_every_difference_is_named() -> None:
    there = dict(FILES)
    assert differing(manifest(), there) == []
    whole(manifest(), there)
    longer = there | {"systems/shop.yaml": Copied(sha256="b" * 64, bytes=3)}
    assert differing(manifest(), longer) == ["systems/shop.yaml has 3 bytes instead of 2"]
    other = there | {"systems/shop.yaml": Copied(sha256="c" * 64, bytes=2), "new": FILES["systems/shop.yaml"]}
    del other["warehouse/aiops.duckdb"]
    assert differing(manifest(), other) == [
        "new is not in the manifest",
        "systems/shop.yaml holds other bytes than were backed up",
        "warehouse/aiops.duckdb is gone, or no file",
    ]
    with pytest.raises(BackupDamaged, match=r"new is not in the manifest; systems/shop.yaml holds"):
        whole(manifest(), other)
    many = there | {f"x{n:02}": FILES["systems/shop.yaml"] for n in range(23)}
    with pytest.raises(BackupDamaged, match=r"x19 is not in the manifest; 3 more files\.$"):
        whole(manifest(), many)


def test_a_column_that_a_newer_version_wrote_is_named_and_one_that_is_missing_is_none() -> None:
    declared = {"rag.chunks": {"text": "VARCHAR", "new": "BIGINT"}}
    assert not list(unknown_columns({"rag.chunks": {"text": "VARCHAR"}, "rag.more": {"x": "DATE"}}, declared))
    said = list(unknown_columns({"rag.chunks": {"text": "BLOB", "later": "DATE"}}, declared))
    assert said == [
        "rag.chunks.text is BLOB in the backup and VARCHAR in this version.",
        "rag.chunks.later is not known to this version: a newer one made the backup.",
    ]


def test_a_log_and_rows_are_held_against_what_was_backed_up() -> None:
    state = manifest().logs["shop"]
    assert against(state, 3, "cm9vdA==") == []
    for entries, root in ((2, "cm9vdA=="), (3, "b3RoZXI=")):
        (finding,) = against(state, entries, root)
        assert finding.severity == "error" and "was backed up as 3 entries" in finding.message
    assert recounted({"rag.chunks": 4}, {"rag.chunks": 4, "rag.more": 1}) == []
    lost = recounted({"rag.chunks": 4, "rag.more": 1}, {"rag.chunks": 3})
    assert [one.message for one in lost] == ["rag.chunks has 3 rows, not 4.", "rag.more has 0 rows, not 1."]


def test_entries_say_who_when_and_how_much_and_tell_two_drills_of_a_moment_apart() -> None:
    made = manifest()
    entry = backup_entry("shop", made, AT)
    assert entry["kind"] == "decision.backup_made" and entry["actor"] == "Mira"
    assert entry["details"]["tree_size"] == 3 and entry["details"]["manifest_sha256"] == made.sha256
    row = {
        "manifest_sha256": made.sha256,
        "tree_size": 3,
        "root_hash": "cm9vdA==",
        "passed": False,
        "drilled_at": AT,
        "drilled_by": "Mira",
    }
    one, two = (drill_entry("shop", row, AT.replace(hour=hour)) for hour in (10, 11))
    assert "FAILED" in one["summary"] and one["entry_id"] != two["entry_id"]
