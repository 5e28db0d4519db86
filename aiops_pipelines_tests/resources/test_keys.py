import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aiops_pipelines.resources.keys import Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_keys_persist(keys: Keys, tmp_path: Path) -> None:
    again = Keys(tmp_path / "keys")
    message = b"root"
    keys.signing("shop").public_key().verify(again.signing("shop").sign(message), message)
    assert again.subject("shop", "u1") == keys.subject("shop", "u1")
    assert again.pepper("shop") == keys.pepper("shop")


def test_keys_differ_by_system_subject_and_purpose(keys: Keys) -> None:
    secrets = [keys.subject(system, user) for system in ("shop", "desk") for user in ("u1", "u2", "")]
    secrets += [keys.pepper("shop"), keys.pepper("desk")]
    secrets += [keys.signing(system).private_bytes_raw() for system in ("shop", "desk")]
    assert len(set(secrets)) == 10
    assert {len(secret) for secret in secrets} == {32}


def test_key_files_are_the_owners_alone(keys: Keys, tmp_path: Path) -> None:
    keys.signing("shop")
    keys.subject("shop", "u1")
    files = all_files(tmp_path / "keys")
    assert len(files) == 3  # the pepper as well
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_name_does_not_tell_whose_key_it_is(keys: Keys, tmp_path: Path) -> None:
    name = "../../jane@example.com"
    keys.subject("shop", name)
    subjects = tmp_path / "keys" / "shop" / "subjects"
    (file,) = all_files(subjects)
    assert "jane" not in str(file)
    assert len(file.stem) == 32
    other = Keys(tmp_path / "other")
    other.subject("shop", name)
    (elsewhere,) = all_files(tmp_path / "other" / "shop" / "subjects")
    assert elsewhere.name != file.name  # nobody can try names without the pepper


def test_a_destroyed_key_is_gone_and_the_next_one_is_another(keys: Keys, tmp_path: Path) -> None:
    before = keys.subject("shop", "u1")
    for file in all_files(tmp_path / "keys" / "shop" / "subjects"):
        file.unlink()
    assert keys.subject("shop", "u1") != before


def test_what_a_killed_process_left_is_not_taken_for_a_key(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "keys" / "shop"
    folder.mkdir(parents=True)
    (folder / "checkpoint.new-1").write_bytes(b"half a key")
    assert keys.signing("shop").private_bytes_raw() == keys.signing("shop").private_bytes_raw()


def test_a_signing_key_of_another_kind_is_refused_and_kept(keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "keys" / "shop" / "checkpoint.pem"
    file.parent.mkdir(parents=True)
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem)
    with pytest.raises(ValueError, match=r"checkpoint\.pem of shop is not an Ed25519 key"):
        keys.signing("shop")
    assert file.read_bytes() == pem


MAKE_AT_ONCE = """
import sys, time
from pathlib import Path
from aiops_pipelines.resources.keys import Keys
folder, me = Path(sys.argv[1]), sys.argv[2]
def wait(event, arguments):
    if event == "os.link":
        (folder / me).touch()
        while not all((folder / name).exists() for name in "ab"):
            time.sleep(0.01)
sys.addaudithook(wait)
print(Keys(folder / "keys").pepper("shop").hex())
"""


def test_processes_that_make_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE_AT_ONCE, str(tmp_path)]
    makers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    first, second = (maker.communicate(timeout=60)[0].strip() for maker in makers)
    assert first == second == Keys(tmp_path / "keys").pepper("shop").hex()
    assert len(all_files(tmp_path / "keys")) == 1
