"""The command line of a witness and of the log that names it, as their keepers use both."""

import json
import shutil

import pytest
import yaml

from aiops_pipelines.project import Project
from aiops_pipelines.resources.practice import write_system as write_practised
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_system
from aiops_pipelines_tests.commands.small_run import AS_OF, TABLES, refused
from aiops_pipelines_tests.resources import witnessed_shop


@pytest.fixture
def kept(aiops, data, tmp_path):
    """A witness made by the command line, which knows the log and is named by its system."""
    folder = tmp_path / "w1"
    made = aiops(data, "witness", "create", str(folder), "--name", "example.com/w1")
    assert made.code == 0
    vkey = made.raw.split("Verifier key: ")[1].split("\n")[0]
    key = (data / "audit/support/keys.txt").read_text().strip()
    assert aiops(data, "witness", "trust", str(folder), key).code == 0
    file = data / "systems/support.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(
        yaml.safe_dump(content | {"witnesses": {"places": [{"vkey": vkey, "folder": str(folder)}]}})
    )
    return folder


def signed(data):
    project = Project(data)
    warehouse = Warehouse(project.warehouse, TABLES)
    log = witnessed_shop.book(project, warehouse)
    log.sign("support", AS_OF)
    return log, warehouse


def test_verify_says_intact_unwitnessed_and_wrong_by_its_exit_code(aiops, data, kept):
    never = aiops(data, "audit", "verify", "support")
    assert never.code == 3 and "Never witnessed" in never.text and "Intact in itself" in never.text
    _, warehouse = signed(data)
    met = aiops(data, "audit", "verify", "support")
    assert met.code == 0 and "Witnessed up to 2 entries by example.com/w1 (1 of 1, 1 needed)." in met.text
    assert "Not held against a checkpoint" not in met.text
    away = kept.rename(kept.with_name("away"))
    unmet = aiops(data, "audit", "verify", "support")
    assert unmet.code == 3 and "Unwitnessed since" in unmet.text and "(tree size 2)" in unmet.text
    away.rename(kept)
    with warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where entry_index = 1")
        writer._connection.execute("delete from compliance.audit_checkpoints")
    shutil.rmtree(data / "audit/support")
    wrong = aiops(data, "audit", "verify", "support")
    assert (
        wrong.code == 1 and "1 entry lost: example.com/w1 cosigned 2 and the log ends after 1." in wrong.text
    )


def test_without_a_witness_verify_and_status_say_so(aiops, data):
    answer = aiops(data, "audit", "verify", "support")
    assert answer.code == 0 and "No witness is named for this log" in answer.text
    assert "No witness cosigns it." in aiops(data, "status", "support").text


def test_status_and_its_figures_name_the_witnesses(aiops, data, kept):
    _, warehouse = signed(data)
    warehouse.publish(Project(data).published, {})
    assert "cosigned by example.com/w1; 1 needed" in aiops(data, "status", "support").text
    said = json.loads(aiops(data, "status", "support", "--json").raw)
    assert '"cosigned_by": ["example.com/w1"]' in json.dumps(said) and '"quorum": 1' in json.dumps(said)


def test_a_bundle_carries_the_policy_and_the_cosignatures(aiops, data, kept, tmp_path):
    signed(data)
    assert aiops(data, "audit", "bundle", "support", str(tmp_path / "b")).code == 0
    policy = (tmp_path / "b/policy.txt").read_text().splitlines()
    assert [line.split()[0] for line in policy] == ["log", "witness", "group", "quorum"]
    assert "example.com/w1 " in (tmp_path / "b/checkpoint").read_text()


def test_the_key_is_rotated_and_revoked(aiops, data, kept):
    signed(data)
    old = (data / "audit/support/keys.txt").read_text().strip()
    rotated = aiops(data, "audit", "rotate-key", "support", "--by", "Mira")
    new = (data / "audit/support/keys.txt").read_text().strip()
    assert rotated.code == 0 and new != old and new in rotated.raw and "aiops witness trust" in rotated.raw
    assert aiops(data, "audit", "verify", "support").code == 0
    reason = ("--by", "Mira", "--reason", "The laptop was stolen.")
    revoked = aiops(
        data, "audit", "revoke-key", "support", *reason, "--key", old.split("+")[1], "--from", "1"
    )
    assert revoked.code == 0
    answer = aiops(data, "audit", "verify", "support")
    assert (
        answer.code == 3 and "It proves nothing any more" in answer.text
    )  # the witness waits for the new key
    assert aiops(data, "witness", "trust", str(kept), old, "--remove").code == 0
    assert aiops(data, "witness", "trust", str(kept), new).code == 0
    signed(data)
    assert aiops(data, "audit", "verify", "support").code == 0
    shown = aiops(data, "witness", "show", str(kept)).raw
    assert new in shown and old not in shown and "aiops_pipelines/support\n4\n" in shown
    again = aiops(data, "audit", "revoke-key", "support", *reason, "--key", "00000000")
    assert again.code == 1 and "The log has no key 00000000" in again.error


def test_mistakes_are_sentences(aiops, data, kept, tmp_path):
    refused(aiops(data, "witness", "create", str(kept), "--name", "w"), "is a witness already")
    bad = aiops(data, "witness", "create", str(tmp_path / "w2"), "--name", "two words")
    refused(bad, "cannot name a key")
    for command in ("show", "serve"):
        refused(aiops(data, "witness", command, str(tmp_path / "w3")), "There is no witness")
    refused(aiops(data, "witness", "trust", str(kept), "nonsense"), "not standard base64")
    shutil.rmtree(kept)
    assert "The witness example.com/w1 cannot be asked" in aiops(data, "check", "support").text


@pytest.mark.parametrize(
    ("witnesses", "said"),
    [
        ({"quorum": 2, "places": ["VALID"]}, "quorum is 2, of 1"),
        ({"places": ["VALID", "VALID"]}, "example.com/w1 is there twice"),
        ({"places": [{"vkey": "VALID"}]}, "give either folder or url"),
        ({"places": [{"vkey": "x+y+z", "folder": "w"}]}, "not standard base64"),
        ({"places": [{"vkey": "LOG", "folder": "w"}]}, "of a witness's key"),
        ({"places": [{"vkey": "VALID", "url": "ftp://example.com"}]}, "witnesses.places.0.url"),
        ({"places": [{"vkey": "VALID", "folder": "w", "urls": "x"}]}, "There is no such key"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(aiops, data, kept, witnesses, said):
    file = data / "systems/support.yaml"
    content = yaml.safe_load(file.read_text())
    (place,) = content["witnesses"]["places"]
    log = (data / "audit/support/keys.txt").read_text().strip()
    text = json.dumps(witnesses).replace('"vkey": "VALID"', f'"vkey": "{place["vkey"]}"')
    text = text.replace('"VALID"', json.dumps(place)).replace('"LOG"', f'"{log}"')
    file.write_text(yaml.safe_dump(content | {"witnesses": json.loads(text)}))
    answer = aiops(data, "check", "support")
    assert answer.code == 1 and said in answer.text


def test_no_witness_is_asked_about_a_week_that_is_only_practised(data, kept, tmp_path):
    file, copy = data / "systems/support.yaml", tmp_path / "practice"
    copy.mkdir()
    system = load_system(file, data)
    assert system.witnesses.places
    write_practised(system, file, copy, AS_OF)
    assert load_system(copy / "systems/support.yaml", copy).witnesses.places == ()
