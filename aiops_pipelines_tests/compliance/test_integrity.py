"""Tampering with the log: each attack is found and located, and its control without the attack is clean."""

from datetime import timedelta

import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, leaf, tiles
from aiops_pipelines.compliance.audit_log import append, inference_entry, verify
from aiops_pipelines.compliance.finding import MAX_NAMED, Finding, capped
from aiops_pipelines.compliance.merkle import leaf_hash, root_hash
from aiops_pipelines_tests.compliance.example_log import (
    BUNDLES,
    LOG,
    NOTES,
    ORIGIN,
    SIGNED,
    SIZE,
    START,
    SUBJECT_KEY,
    TILES,
    VKEY,
    entries,
    record,
    sign,
)

INDEX = pl.col("entry_index")
PORTION = 37


def at(index: int, **values: object) -> pl.DataFrame:
    """The log with these values in the row of one entry."""
    return LOG.with_columns(
        pl.when(index == INDEX)
        .then(pl.lit(value, dtype=LOG.schema[column]))
        .otherwise(pl.col(column))
        .alias(column)
        for column, value in values.items()
    )


def found(
    log: pl.DataFrame, notes: list[str] = NOTES, files: dict[str, bytes] | None = TILES
) -> list[Finding]:
    assert verify(LOG, NOTES, VKEY, TILES | BUNDLES) == [], "the control is clean"
    findings = verify(log, notes, VKEY, files)
    if log.schema == LOG.schema:
        rows = log.sort(INDEX, nulls_last=True, maintain_order=True)
        assert verify(rows.iter_slices(PORTION), notes, VKEY, files) == findings, "in portions it is the same"
    return findings


def named(findings: list[Finding]) -> set[int]:
    return {finding.entry_index for finding in findings if finding.entry_index is not None}


def said(findings: list[Finding]) -> str:
    return "\n".join(finding.message for finding in findings)


def edited_leaf(index: int, **values: object) -> bytes:
    return leaf.encode(leaf.decode(LOG["leaf"][index]) | values)


def test_the_log_is_intact():
    assert verify(LOG, NOTES, VKEY) == []
    assert verify(LOG, NOTES, VKEY, TILES) == []
    assert verify(LOG.sample(fraction=1, shuffle=True, seed=1), NOTES, VKEY, TILES | BUNDLES) == []
    assert verify(LOG.clear(), [], VKEY) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("system", "sales"),
        ("entry_id", "inference:call-0x"),
        ("kind", "decision.x"),
        ("occurred_at", START),
        ("event_id", "call-0x"),
        ("actor", "user:somebody"),
        ("model_served", "cheaper-model"),
        ("prompt_version", None),
        ("index_version", "i1"),
        ("latency_ms", 1),
        ("cost_micro_usd", 0),
        ("cost_status", "unknown"),
        ("input_commitment", "00"),
        ("output_commitment", None),
        ("pii_counts", "{}"),
        ("summary", "all well"),
    ],
)
def test_a01_an_edited_column_is_named_with_its_row(column, value):
    findings = found(at(150, **{column: value}))
    assert all((finding.entry_index, finding.column) == (150, column) for finding in findings)
    assert f"{column} of entry 150 " in said(findings)


def test_a01_an_edit_by_a_microsecond_and_one_from_null_show():
    assert named(found(at(150, occurred_at=START + timedelta(seconds=150, microseconds=1)))) == {150}
    assert named(found(at(20, latency_ms=0))) == {20}
    assert named(found(at(10, latency_ms=0))) == {10}


def test_a02_edited_leaf_bytes_are_named():
    findings = found(at(150, leaf=edited_leaf(150, status="error")))
    assert named(findings) == {150}
    assert "Entry 150 (inference:call-150): the leaf does not hash to its leaf_hash" in said(findings)
    assert "The root of the first 280 entries is not the signed one: an entry from 120 to 279" in said(
        findings
    )


def test_a02_an_edited_stored_hash_is_named_and_the_root_still_stands():
    (finding,) = found(at(150, leaf_hash=bytes(32)))
    assert (finding.entry_index, finding.column) == (150, "leaf")


def test_a03_an_edit_of_leaf_hash_and_columns_is_named_by_its_tile():
    forged = edited_leaf(150, latency_ms=1)
    log = at(150, leaf=forged, leaf_hash=leaf_hash(forged), latency_ms=1)
    tile, root = found(log)
    assert "an entry from 120 to 279 was edited" in root.message
    assert (tile.entry_index, tile.entry_id, tile.column) == (150, "inference:call-150", "leaf")
    assert tile.message == "Entry 150 (inference:call-150) is not the one in tile tile/0/000."
    # What protects: without the signed root and the tiles the row is consistent with itself.
    assert [finding.severity for finding in verify(log, [], VKEY)] == ["warning"]


def test_a03_the_bundle_gives_the_signed_bytes_back():
    forged = edited_leaf(270, latency_ms=1)
    findings = found(at(270, leaf=forged, leaf_hash=leaf_hash(forged), latency_ms=1), files=TILES | BUNDLES)
    assert (
        "Entry 270 (inference:call-270) differs from bundle tile/entries/001.p/24; the bundle holds the signed bytes."
        in said(findings)
    )


def test_a03_after_the_newest_checkpoint_nothing_is_promised():
    forged = edited_leaf(290, latency_ms=1)
    log = at(290, leaf=forged, leaf_hash=leaf_hash(forged), latency_ms=1)
    assert found(log) == []
    assert found(log, [*NOTES, sign(LOG, SIZE)]) != []


def test_a05_a_deleted_row_is_a_gap():
    findings = found(LOG.filter(INDEX != 150))
    assert [(finding.entry_index, finding.message) for finding in findings] == [
        (150, "Entry 150 is missing.")
    ]
    findings = found(LOG.filter(~INDEX.is_between(150, 159)))
    assert said(findings) == "Entries 150 to 159 (10) are missing."


def test_a05_a_deleted_row_with_the_rest_closed_up_is_found():
    log = LOG.filter(INDEX != 150).with_columns(entry_index=pl.int_range(SIZE - 1))
    findings = found(log)
    assert "The root of the first 280 entries is not the signed one" in said(findings)
    assert [finding.message for finding in findings[:2]] == [
        "What was written as entry 150 is nowhere in the log.",
        "Entries 150 to 278 are what was written as 151 to 279.",
    ]


def inserted(index: int) -> pl.DataFrame:
    new = append({}, index, [inference_entry(record(9_999), SUBJECT_KEY)]).rows
    moved = LOG.with_columns(entry_index=INDEX + (index <= INDEX).cast(pl.Int64))
    return pl.concat([moved, new]).sort("entry_index")


def test_a06_an_inserted_row_is_named_and_those_after_it_are_said_to_have_moved():
    findings = found(inserted(150))
    places = [finding for finding in findings if finding.entry_index is not None]
    assert places[0].message == "Entry 150 (inference:call-9999) is not the one in tile tile/0/000."
    assert places[1].message == "Entries 151 to 279 are what was written as 150 to 278."
    assert findings[-1].message.startswith("The root of the first 280 entries is not the signed one")
    assert len(findings) == 3


def test_findings_of_one_check_are_named_up_to_a_hundred_and_then_counted():
    many = capped((Finding("error", n, None, None, "It is wrong.") for n in range(MAX_NAMED + 3)), "things")
    assert (len(many), many[-1].message) == (MAX_NAMED + 1, "3 more: things.")


def test_roots_after_the_first_that_does_not_hold_are_counted():
    forged = edited_leaf(50, latency_ms=1)
    log = at(50, leaf=forged, leaf_hash=leaf_hash(forged), latency_ms=1)
    tile, first, rest = found(log)
    assert tile.entry_index == 50
    assert first.message.startswith(
        "The root of the first 120 entries is not the signed one: an entry from 0"
    )
    assert rest.message == "1 later checkpoint signs another root as well."


def test_a06_a_row_added_at_a_place_that_is_taken_is_named():
    new = append({}, 150, [inference_entry(record(9_999), SUBJECT_KEY)]).rows
    behind, before = (said(found(pl.concat(both))) for both in ([LOG, new], [new, LOG]))
    assert "Entry 150 is there more than once." in behind and "Entry 150 is there more than once." in before
    assert "is not the signed one" in before and "is not the signed one" not in behind  # the first one stands


def test_a06_the_same_row_twice_under_two_places_is_named():
    again = LOG.filter(INDEX == 5).with_columns(entry_index=pl.lit(SIZE, dtype=pl.Int64))
    assert said(found(pl.concat([LOG, again]))) == "Entry 300 has the id inference:call-5 of entry 5."


def test_a07_two_swapped_rows_are_both_named():
    swapped = LOG.with_columns(entry_index=INDEX.replace({150: 200, 200: 150}))
    findings = found(swapped)
    assert named(findings) == {150, 200}
    assert (
        "Entry 150 (inference:call-200) is not the one in tile tile/0/000. It is what was written as entry 200."
        in said(findings)
    )
    assert any(finding.entry_index is None and "was edited" in finding.message for finding in findings)


def test_a08_a_dropped_tail_is_counted():
    findings = found(LOG.head(277))
    assert said(findings) == "3 entries lost: a checkpoint signs 280 and the log ends after 277."
    assert found(LOG.head(279))[0].message.startswith("1 entry lost")
    assert found(LOG.clear())[0].message.startswith("280 entries lost")
    # What protects: the newest checkpoint, or else the tiles.
    assert verify(LOG.head(277), NOTES[:1], VKEY) == []
    assert verify(LOG.head(277), NOTES[:1], VKEY, TILES)[-1].message.startswith(
        "3 entries lost: the tiles hold 280"
    )


def test_a10_rows_tiles_and_signature_rewritten_fail_against_a_kept_checkpoint():
    made = entries(SIZE)
    made[150] = inference_entry(record(150, status="error"), SUBJECT_KEY)
    log = append({}, 0, made).rows
    files = tiles.tiles(log["leaf_hash"].to_list(), 0, 280)
    assert verify(log, [sign(log, 280)], VKEY, files) == []
    assert "an entry from 120 to 279 was edited" in said(
        found(log, [NOTES[0], NOTES[1], sign(log, 280)], files)
    )


def test_a12_two_roots_for_one_size_cannot_both_hold():
    fork = checkpoint.sign(ORIGIN, 280, bytes(32), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    (finding,) = found(LOG, [*NOTES, fork])
    assert "first 280 entries is not the signed one" in finding.message


def test_a17_a_checkpoint_that_cannot_be_trusted_is_reported_and_not_used():
    stranger = checkpoint.sign(ORIGIN, 280, root_hash([]), Ed25519PrivateKey.from_private_bytes(bytes(32)))
    (finding,) = found(LOG, [NOTES[0], stranger])
    assert finding.message.startswith("Checkpoint 1 cannot be trusted: No signature of the note is by")
    assert finding.severity == "error"


def test_without_a_checkpoint_the_log_is_never_plainly_intact():
    (finding,) = verify(LOG, [], VKEY, TILES)
    assert (finding.severity, finding.entry_index) == ("warning", None)
    assert "No checkpoint was given" in finding.message


def test_a_damaged_tile_is_blamed_on_the_tile():
    content = bytearray(TILES["tile/0/000"])
    content[150 * 32] ^= 1
    findings = found(LOG, files=TILES | {"tile/0/000": bytes(content)})
    assert (
        findings[0].message
        == "Tile tile/0/000 was changed: its hash for entry 150 is not that of the signed entry."
    )
    assert said(findings[1:]) == "Tile tile/1/000.p/1 does not follow from the tiles below it."


def test_a_log_and_a_tile_that_differ_without_a_judge_are_both_in_doubt():
    forged = edited_leaf(150, latency_ms=1)
    log = at(150, leaf=forged, leaf_hash=leaf_hash(forged), latency_ms=1)
    findings = verify(log, NOTES[:1], VKEY, TILES)
    assert findings[-1].message.endswith("No checkpoint confirms the tile: either of the two may be changed.")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tile/0/zzz", b"", "Tile tile/0/zzz cannot be read: .*not the path"),
        ("tile/0/000", bytes(33), "whole hashes"),
        ("tile/0/000", bytes(64), "holds 2 items and its path says 256"),
        ("tile/entries/001.p/24", b"\x00", "ends inside its entry"),
        ("tile/0/000.p/3", bytes(96), "hold different hashes for entry 0"),
        ("tile/1/000.p/1", bytes(32), "does not follow from the tiles below"),
    ],
)
def test_a_file_that_is_no_tile_of_this_log_is_reported(name, content, reason):
    findings = found(LOG, files=TILES | BUNDLES | {name: content})
    assert len(pl.Series([said(findings)]).str.extract_all(reason)[0]) >= 1


def test_narrower_tiles_of_earlier_sizes_and_missing_ones_are_no_finding():
    hashes = LOG["leaf_hash"].to_list()
    assert found(LOG, files=TILES | tiles.tiles(hashes, 0, 120) | tiles.tiles(hashes, 0, 270)) == []
    assert found(LOG, files={"tile/0/001.p/24": TILES["tile/0/001.p/24"]}) == []
    (finding,) = found(LOG, files={"tile/1/000.p/1": TILES["tile/1/000.p/1"]})
    assert (finding.severity, finding.message[:38]) == ("warning", "Tile tile/1/000.p/1 cannot be recomput")


@pytest.mark.parametrize(
    "data",
    [None, b"", b"{", b'{"a":1,"a":2}', b'{"latency_ms":1.5}', b"[]"],
)
def test_a_leaf_that_cannot_be_read_is_named(data):
    findings = found(at(150, leaf=data, leaf_hash=leaf_hash(data or b"")))
    assert named(findings) == {150}
    assert "Entry 150 (inference:call-150) has no readable leaf" in said(findings)


@pytest.mark.parametrize("index", [None, -1, 10**15])
def test_an_entry_at_an_impossible_place_is_reported(index):
    findings = found(at(150, entry_index=index))
    assert "Entry 150 is missing." in said(findings)
    assert len(findings) == 2


def test_a_leaf_of_another_shape_is_a_finding_and_no_crash():
    odd = leaf.encode(
        {"latency_ms": "fast", "pii_counts": [1], "occurred_at": 5, "system": {}, "entry_id": []}
    )
    findings = found(at(150, leaf=odd, leaf_hash=leaf_hash(odd)))
    assert named(findings) == {150}
    assert {"latency_ms", "pii_counts", "occurred_at", "system", "entry_id"} <= {
        each.column for each in findings
    }


def test_a_row_of_another_system_is_named():
    stranger = append({}, SIZE, [inference_entry(record(9_999, system="sales"), SUBJECT_KEY)]).rows
    assert (
        said(found(pl.concat([LOG, stranger])))
        == "Entry 300 (inference:call-9999) is of another system, sales."
    )


def test_a_frame_of_another_schema_is_refused():
    with pytest.raises(ValueError, match=r"audit_log\.summary is missing"):
        verify(LOG.drop("summary"), NOTES, VKEY)
    with pytest.raises(ValueError, match=r"audit_log\.latency_ms is Float64 and should be Int64"):
        verify(LOG.cast({"latency_ms": pl.Float64}), NOTES, VKEY)
    berlin = LOG.with_columns(pl.col("occurred_at").dt.convert_time_zone("Europe/Berlin"))
    assert verify(berlin, NOTES, VKEY) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, SIGNED[1] - 1), st.integers(0, 10**6))
def test_any_flipped_bit_of_any_leaf_is_named(index, bit):
    data = bytearray(LOG["leaf"][index])
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    for stored in (LOG["leaf_hash"][index], leaf_hash(bytes(data))):
        findings = verify(at(index, leaf=bytes(data), leaf_hash=stored), NOTES, VKEY, TILES)
        assert named(findings) == {index}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=5, unique=True))
def test_any_deleted_rows_are_each_missed(indexes):
    findings = verify(LOG.filter(~INDEX.is_in(indexes)), NOTES, VKEY, TILES)
    lost = [index for index in indexes if index < SIGNED[1]]
    assert bool(findings) == any(
        index < LOG.filter(~INDEX.is_in(indexes))["entry_index"].max() for index in indexes
    ) | bool(lost)
    for index in lost:
        assert any(f.entry_index is not None and f.entry_index <= index for f in findings)
