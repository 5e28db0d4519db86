#!/usr/bin/env python3
"""Check an audit log, or single entries of it, with nothing but Python 3.9 or later.

Run it in the folder it came in; VERIFY.md says what each file is. It needs none of the software that wrote
the log. Give it a checkpoint that you kept (a note, or a monthly report that prints one) with --kept FILE,
and the key you were given on another way with --key KEY.
"""

import argparse
import contextlib
import hashlib
import hmac
import html
import json
import re
import sys
import time
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import tlog  # noqa: E402 - it lies beside this file
from tlog import Wrong, decoded, extends, included, leaf_hash, roots, said, signed  # noqa: E402

NOTE = re.compile(
    r"[^\s\"<>]+\n[0-9]+\n[A-Za-z0-9+/]{43}=\n(?:time [0-9]+\n)?\n(?:\u2014 [^\n ]+ [A-Za-z0-9+/=]+\n?)+"
)


# --- files


def notes_in(file):
    """Checkpoints printed in a file: a note, or a report as HTML, PDF or JSON."""
    content = file.read_bytes()
    text = (carried(content) if file.suffix == ".pdf" else content).decode(errors="replace")
    if file.suffix in (".json", ".pdf"):
        text = text.encode("ascii", "backslashreplace").decode("unicode_escape")
    return NOTE.findall(html.unescape(text))


def carried(content):
    """The data that the PDF of a report carries."""
    for data in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        with contextlib.suppress(zlib.error):  # a short one is not compressed
            data = zlib.decompress(data)
        if data.startswith(b"{"):
            return data
    return b""


def entries():
    """The hash of every entry in order, and by index what decisions are, byte for byte: most are calls."""
    folder, bundles, hashes, decisions = HERE / "tile" / "entries", [], [], {}
    for file in filter(Path.is_file, folder.rglob("*")):
        whole, _, width = file.relative_to(folder).as_posix().partition(".p/")
        bundles.append((int(re.sub("[x/]", "", whole)), int(width or 256), file))
    for number, width, file in sorted(bundles):
        data, at, items = file.read_bytes(), 0, []
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            items.append(data[at + 2 : end])
            at = end
        if number * 256 != len(hashes) or len(items) != width or at != len(data):
            raise Wrong(f"bundle {number} is damaged, or one before it is missing")
        for index, leaf in enumerate(items, len(hashes)):
            if b'"decision.' in leaf or b"\\u" in leaf:  # it could be spelt so
                decisions[index] = leaf
        hashes += map(leaf_hash, items)
    return hashes, decisions


class Checks:
    """What was checked, printed line by line."""

    def __init__(self):
        self.failed = 0

    def check(self, what, work, quiet=False):
        try:
            found = work()
        except (Wrong, ValueError, LookupError, TypeError, AttributeError) as error:
            self.failed += 1
            print(f"FAILED  {what}: {error}.")
            return None
        if not quiet:
            print(f"ok      {what}.")
        return found


def signed_root(note, keys, root_at, here):
    _, size, root = said(note)
    if size > here:
        raise Wrong(f"it signs {size} entries and {here} are here")
    same = root_at[size] == root
    try:
        signed(note, keys)
    except tlog.NotInForce as late:
        # what was signed before anybody knew of a theft is no forgery
        if not same or size > late.honest:
            raise
    if not same:
        raise Wrong(f"its first {size} entries are not those that were signed")


def whole_log(checks, keys, newest, kept, hashes, decisions):
    files = sorted((HERE / "checkpoints").glob("*.note"), key=lambda file: int(file.stem))
    notes = [(f"Checkpoint {file.stem} holds", file.read_text(encoding="utf-8")) for file in files]
    notes += [(f"The log still begins with what {name} says", note) for name, note in kept]
    sizes = [int(size) for _, note in notes for size in re.findall(r"\A.+\n(\d+)\n", note)]
    root_at = roots(hashes, [*sizes, len(hashes)])

    def complete():
        size, root = signed(newest, keys)
        if size != len(hashes):
            raise Wrong(f"{len(hashes)} entries are here")
        if root != root_at[size]:
            raise Wrong("they are not those that were signed")

    checks.check("The newest checkpoint signs all the entries, no more and no less", complete)
    for what, note in notes:
        checks.check(what, lambda note=note: signed_root(note, keys, root_at, len(hashes)))
    reports(checks, map(json.loads, decisions.values()))
    return [newest, *(note for _, note in notes)]


def reports(checks, log):
    """The files of the monthly reports, against their hashes in the log."""
    kinds = ("decision.report_published", "decision.report_amended")
    published = [entry["details"] for entry in log if entry["kind"] in kinds]
    kinds = ("json", "html", "pdf")
    for name, digest in [
        (d[f"{k}_file"], d[f"{k}_sha256"]) for d in published for k in kinds if f"{k}_file" in d
    ]:

        def same(file=HERE / name, digest=digest):
            if not file.is_file():
                raise Wrong("it is not here")
            if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                raise Wrong("it is not the file whose hash the log holds")

        checks.check(f"{name} is as it was published", same)


def proof(file, keys):
    """Parts of a proof file: its number, its hashes, and the size and root it leads to."""
    head, _, note = file.read_text(encoding="utf-8").partition("\n\n")
    _, about, *path = head.split("\n")
    size, root = signed(note, keys)
    return int(about.split(" ")[1]), [decoded(each) for each in path], size, root


def single_entry(file, keys, newest):
    opened = json.loads(file.read_text(encoding="utf-8"))
    if not file.with_suffix(".tlog-proof").is_file():
        raise Wrong("its proof is not here")
    index, path, size, root = proof(file.with_suffix(".tlog-proof"), keys)
    if (size, root) != signed(newest, keys):
        raise Wrong("its proof leads to another checkpoint than the newest one here")
    if not opened["index"] == index == int(file.stem):
        raise Wrong(f"its proof is of entry {index}")
    included(leaf_hash(opened["leaf"].encode()), index, size, path, root)
    entry = json.loads(opened["leaf"])
    for field, secret in opened.get("opened", {}).items():
        name = {"query": "input_commitment", "answer": "output_commitment"}[field]
        made = hmac.new(bytes.fromhex(secret["nonce"]), secret["text"].encode(), "sha256").hexdigest()
        if made != entry[name]:
            raise Wrong(f"its {field} is not the text that was committed to")


def consistent(note, keys, newest):
    size, root = signed(note, keys)
    new_size, new_root = signed(newest, keys)
    if size > new_size:
        raise Wrong(f"it signs {size} entries and the newest checkpoint {new_size}: entries were taken away")
    file = HERE / "consistency" / f"{size}.proof"
    if size < new_size and not file.is_file():
        raise Wrong(f"no proof from {size} entries on is here; ask for one: aiops audit bundle --kept")
    extends(size, root, new_size, new_root, proof(file, keys)[1] if size < new_size else [])


def key_entries(whole, decisions):
    """The entries about keys, by index: those of the whole log, or those that came on their own."""
    if whole:
        return {index: json.loads(leaf) for index, leaf in decisions.items() if b"decision.key_" in leaf}
    alone = [json.loads(file.read_text(encoding="utf-8")) for file in (HERE / "keys").glob("*.json")]
    return {one["index"]: json.loads(one["leaf"]) for one in alone}


def size_of(note):
    try:
        return said(note)[1]
    except Wrong:
        return -1  # found already


def witnessed(checks, text, newest, notes):
    """Say who cosigned the newest checkpoint, or since when too few did; return whether those are enough."""
    witnesses, met = tlog.policy(text)
    for note in sorted(dict.fromkeys(notes), key=lambda note: (size_of(note), len(note)), reverse=True):
        what = f"The cosignatures under {size_of(note)} entries hold"
        times = checks.check(what, lambda note=note: tlog.cosigned(note, witnesses), quiet=True) or {}
        if met(times):
            when = time.strftime(
                "%Y-%m-%d %H:%M UTC", time.gmtime(min(max(times.values(), default=0), 2**37))
            )
            if size_of(note) == size_of(newest):
                print(f"ok      The newest checkpoint is cosigned by {', '.join(times)}, last on {when}.")
                return True
            print(f"\nUNWITNESSED since {when} (tree size {size_of(note)}).")
            return False
    print("\nNEVER WITNESSED by enough of those who should.")
    return False


def main():
    """Check what is in the folder and say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, action="append", default=[], help="file with a checkpoint")
    parser.add_argument("--key", help="a verifier key of the log, if you have it from elsewhere")
    parser.add_argument("--policy", type=Path, help="witnesses you trust (C2SP tlog-policy)")
    given = parser.parse_args()
    checks, vkey = Checks(), given.key or (HERE / "keys.txt").read_text(encoding="utf-8")
    newest = (HERE / "checkpoint").read_text(encoding="utf-8")
    kept = [(file.name, note) for file in given.kept for note in notes_in(file) or [""]]
    whole = (HERE / "tile").is_dir()
    hashes, decisions = (whole and checks.check("The entries can be read", entries)) or ([], {})
    keys = checks.check(
        "Each key of the log was put in force by the one before it",
        lambda: tlog.history(vkey, key_entries(hashes, decisions)),
        quiet=True,
    ) or [(vkey.strip(), 0, 2**63, -1)]
    checks.check("The newest checkpoint is signed by the log's key", lambda: signed(newest, keys))
    notes = whole_log(checks, keys, newest, kept, hashes, decisions) if whole else [newest]
    for folder, what in (("keys", "The change of keys"), ("entries", "Entry")):
        for file in sorted((HERE / folder).glob("*.json")):
            checks.check(
                f"{what} {file.stem} is in the log", lambda file=file: single_entry(file, keys, newest)
            )
    for name, note in [] if whole else kept:
        what = f"The log still begins with what {name} says"
        checks.check(what, lambda note=note: consistent(note, keys, newest))
    file = given.policy or HERE / "policy.txt"
    enough = witnessed(checks, file.read_text(encoding="utf-8"), newest, notes) if file.is_file() else None
    print("\nNOT intact." if checks.failed else "\nEverything that was checked holds.")
    if enough is None:
        print("No witness is named: whoever has the signing key could have written another log.")
    if not kept:
        print("Nothing you kept yourself was held against it (--kept): an earlier history could differ.")
    sys.exit(1 if checks.failed else 3 if enough is False else 0)


if __name__ == "__main__":
    main()
