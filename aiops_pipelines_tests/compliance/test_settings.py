"""The settings in force are in the log, and so is every edit of them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance.settings import settings, settings_entry
from aiops_pipelines.compliance.signed_note import COSIGNATURE_V1, vkey
from aiops_pipelines.compliance.witness_settings import Witnesses, WitnessPlace
from aiops_pipelines.incidents.settings import BusinessHours
from aiops_pipelines.monitoring.judge_settings import JudgeSettings
from aiops_pipelines.rag.store_settings import Publish
from aiops_pipelines.systems import Limits, Notification, Retention
from aiops_pipelines_tests.incidents.fourteen_weeks import SYSTEM

NOW = datetime(2026, 9, 7, tzinfo=UTC)
REGULATED = SYSTEM.model_copy(update={"profile": "regulated"})


def test_settings_are_noted_once() -> None:
    noted = settings_entry(REGULATED, None, NOW)
    assert noted is not None and noted["kind"] == "decision.settings_noted"
    assert noted["summary"] == "The settings in force were noted; profile regulated."
    assert noted["details"]["settings"]["retention.audit_days"] == "2192"
    assert settings_entry(REGULATED, noted["details"]["settings"], NOW) is None


def test_an_edit_is_said_from_what_to_what() -> None:
    edited = SYSTEM.model_copy(update={"profile": "light", "retention": Retention(audit_days=184)})
    entry = settings_entry(edited, settings(REGULATED), NOW)
    assert entry is not None
    assert (entry["kind"], entry["actor"]) == (
        "decision.settings_changed",
        "unknown: whoever edits the system file",
    )
    assert entry["summary"] == (
        "The settings were edited: profile: regulated -> light; retention.audit_days: 2192 -> 184."
    )
    assert entry["details"]["changed"] == [
        "profile: regulated -> light",
        "retention.audit_days: 2192 -> 184",
    ]


def test_a_limit_that_was_raised_is_said() -> None:
    field = next(name for name, info in Limits.model_fields.items() if info.annotation in (int, float))
    raised = REGULATED.model_copy(
        update={"limits": REGULATED.limits.model_copy(update={field: getattr(REGULATED.limits, field) + 1})}
    )
    entry = settings_entry(raised, settings(REGULATED), NOW)
    assert entry is not None and entry["details"]["changed"][0].startswith(f"limits.{field}: ")


def test_hours_that_loosen_the_clocks_of_incidents_are_said() -> None:
    edited = REGULATED.model_copy(update={"business_hours": BusinessHours(days=("monday",))})
    entry = settings_entry(edited, settings(REGULATED), NOW)
    assert entry is not None
    (said,) = entry["details"]["changed"]
    assert said.startswith("business_hours.days: ") and said.endswith(' -> ["monday"]')


def test_a_setting_that_comes_with_a_version_is_no_edit_of_a_person() -> None:
    older = {place: value for place, value in settings(REGULATED).items() if "slo" not in place}
    noted = settings_entry(REGULATED, older | {"limits.gone": "1"}, NOW)
    assert noted is not None
    assert (noted["kind"], noted["actor"]) == ("decision.settings_noted", "aiops_pipelines")
    assert noted["summary"] == (
        "Settings that came or went with a version were noted: "
        "limits.availability_slo: not set -> 0.99; limits.gone: 1 -> not set."
    )
    assert settings_entry(REGULATED, noted["details"]["settings"], NOW) is None
    edited = settings_entry(REGULATED, older | {"profile": "light"}, NOW)
    assert edited is not None and edited["details"]["changed"] == ["profile: light -> regulated"]


def test_a_judge_that_comes_changes_or_goes_is_an_edit_and_its_address_is_not_told() -> None:
    given = {
        "kind": "openai_compatible",
        "base_url": "https://api.judge.example/v1",
        "model": "m",
        "dated_name": "m-1",
    }
    judged, other = (
        REGULATED.model_copy(update={"judge": JudgeSettings.model_validate(given | {"seed": seed})})
        for seed in (0, 1)
    )
    assert "judge" not in settings(REGULATED)  # nothing changes for who has none
    for system, before in ((judged, REGULATED), (other, judged), (REGULATED, judged)):
        entry = settings_entry(system, settings(before), NOW)
        assert entry is not None and entry["kind"] == "decision.settings_changed"
        assert [said.partition(":")[0] for said in entry["details"]["changed"]] == ["judge"]
        assert "judge.example" not in str(entry)


def test_a_budget_that_comes_or_goes_is_an_edit() -> None:
    limits = REGULATED.limits.model_copy(update={"endpoint_budgets_usd": {"ask": Decimal(9)}})
    budgeted = REGULATED.model_copy(update={"limits": limits})
    for system, before, said in (
        (budgeted, REGULATED, "not set -> 9"),
        (REGULATED, budgeted, "9 -> not set"),
    ):
        entry = settings_entry(system, settings(before), NOW)
        assert entry is not None
        assert entry["details"]["changed"] == [f"limits.endpoint_budgets_usd.ask: {said}"]


def test_what_verdicts_and_runbooks_rest_on_is_noted_by_its_digest() -> None:
    beside = {"known_queries": [["q1", "how long?"]], "runbooks": {"budget": "ab12"}}
    noted = settings(REGULATED, beside)
    assert "how long?" not in str(noted)
    assert settings_entry(REGULATED, noted, NOW, beside) is None
    entry = settings_entry(REGULATED, noted, NOW, beside | {"known_queries": [["q1", "how far?"]]})
    assert entry is not None
    (said,) = entry["details"]["changed"]
    assert said.startswith("known_queries: sha256:")


def test_how_the_log_and_the_corpus_are_read_is_a_setting() -> None:
    assert REGULATED.corpus is not None
    for changed, said in (
        (
            {"corpus": REGULATED.corpus.model_copy(update={"quarantine": ("x.md",)})},
            'corpus.quarantine: [] -> ["x.md"]',
        ),
        ({"corpus": None}, "corpus.kind: folder -> null"),
        ({"as_of": NOW}, "as_of: "),
        (
            {"inference_log": REGULATED.inference_log.model_copy(update={"format": "mlflow"})},
            "inference_log.format: ",
        ),
        ({"publish": Publish(store="lancedb")}, "publish.store: "),
    ):
        entry = settings_entry(REGULATED.model_copy(update=changed), settings(REGULATED), NOW)
        assert entry is not None
        assert any(one.startswith(said) for one in entry["details"]["changed"]), entry["details"]["changed"]


def test_addresses_are_not_written_into_the_log_and_paths_are_no_settings() -> None:
    hook = Notification(kind="webhook", url="https://example.com/secret-part")
    edited = REGULATED.model_copy(update={"notifications": (hook,)})
    entry = settings_entry(edited, settings(REGULATED), NOW)
    assert entry is not None
    assert entry["details"]["changed"][0].startswith("notifications: sha256:")
    assert "secret-part" not in str(entry)
    assert settings(REGULATED.rooted(Path("/elsewhere"))) == settings(REGULATED)


def test_a_witness_that_is_taken_out_of_the_file_is_an_edit() -> None:
    key = vkey("example.com/w1", Ed25519PrivateKey.generate().public_key(), COSIGNATURE_V1)
    place = WitnessPlace(vkey=key, folder=Path("w"))
    named = REGULATED.model_copy(update={"witnesses": Witnesses(places=(place,))})
    entry = settings_entry(REGULATED, settings(named), NOW)
    assert entry is not None and entry["kind"] == "decision.settings_changed"
    assert entry["details"]["changed"] == [f'witnesses.places: ["{key}"] -> []']
    older = {name: value for name, value in settings(REGULATED).items() if "witnesses" not in name}
    came = settings_entry(REGULATED, older, NOW)
    assert came is not None and came["kind"] == "decision.settings_noted"  # with a version, by no person
