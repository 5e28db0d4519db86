#!/usr/bin/env python3
"""Check an audit log, or single entries of it, with nothing but Python 3.9 or later.

Run it in the folder it came in; VERIFY.md says what each file is. It needs none of the software that wrote
the log. Give it a checkpoint that you kept (a note, or a monthly report that prints one) with --kept FILE,
and the key you were given on another way with --key KEY.
"""

import argparse
import base64
import binascii
import contextlib
import hashlib
import hmac
import html
import json
import re
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
BASE_Y = 4 * pow(5, PRIME - 2, PRIME) % PRIME
NOTE = re.compile(
    r"[^\s\"<>]+\n[0-9]+\n[A-Za-z0-9+/]{43}=\n(?:time [0-9]+\n)?\n\u2014 [^\n ]+ [A-Za-z0-9+/=]+\n?"
)


class Wrong(Exception):
    """Something that does not hold; the message says what."""


# --- Ed25519, after RFC 8032, section 6


def recover_x(y, odd):
    square = (y * y - 1) * pow(D * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if y >= PRIME or (x * x - square) % PRIME or (not x and odd):
        raise Wrong("A key or signature is no point of the curve.")
    return PRIME - x if x % 2 != odd else x


def point(x, y):
    return x, y, 1, x * y % PRIME


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % PRIME, (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c, d = 2 * p[3] * q[3] * D % PRIME, 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def times(factor, p):
    result = point(0, 1)
    while factor:
        result, p, factor = add(result, p) if factor & 1 else result, add(p, p), factor >> 1
    return result


def decompress(data):
    number = int.from_bytes(data, "little")
    y, odd = number & ((1 << 255) - 1), number >> 255
    return point(recover_x(y, odd), y)


def signed_by(public_key, text, signature):
    if len(signature) != 64 or (s := int.from_bytes(signature[32:], "little")) >= ORDER:
        return False
    try:
        a, r = decompress(public_key), decompress(signature[:32])
    except Wrong:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + text).digest()
    left = times(s, point(recover_x(BASE_Y, 0), BASE_Y))
    right = add(r, times(int.from_bytes(digest, "little") % ORDER, a))
    crossed = (left[0] * right[2] - right[0] * left[2], left[1] * right[2] - right[1] * left[2])
    return all(each % PRIME == 0 for each in crossed)


# --- the tree, after RFC 9162, section 2.1


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(leaf):
    return sha256(b"\x00" + leaf)


def node(left, right):
    # 31 and 33 bytes join to the same 64 as 32 and 32: only the length tells them apart
    if not len(left) == len(right) == 32:
        raise Wrong("a hash is not 32 bytes long")
    return sha256(b"\x01" + left + right)


def roots(hashes, sizes):
    """The root at each of these sizes, in one pass."""
    found, subtrees, wanted = {0: sha256(b"")}, [], set(sizes)
    for size, hashed in enumerate(hashes, 1):
        subtrees.append(hashed)
        pairs = size
        while pairs % 2 == 0:
            right = subtrees.pop()
            subtrees[-1], pairs = node(subtrees[-1], right), pairs // 2
        if size in wanted:
            found[size] = subtrees[-1]
            for subtree in reversed(subtrees[:-1]):
                found[size] = node(subtree, found[size])
    return found


def included(hashed, index, size, path, root):
    last = size - 1
    if not 0 <= index < size:
        raise Wrong(f"there is no entry {index} in a log of {size}")
    for sibling in path:
        if last == 0:
            raise Wrong("the proof is too long")
        if index & 1 or index == last:
            hashed = node(sibling, hashed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, sibling)
        index, last = index >> 1, last >> 1
    if last or hashed != root:
        raise Wrong("the proof does not lead to the signed root")


def extends(kept, kept_root, size, root, path):
    if 0 < kept == size and not path and kept_root == root:
        return
    if not 0 < kept < size or not path:
        raise Wrong("the proof is not one of this growth")
    index, last = kept - 1, size - 1
    path = [kept_root, *path] if kept & (kept - 1) == 0 else list(path)
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise Wrong("the proof is too long")
        if index & 1 or index == last:
            old, new = node(sibling, old), node(sibling, new)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node(new, sibling)
        index, last = index >> 1, last >> 1
    if last or old != kept_root or new != root:
        raise Wrong("the log that was kept is not the beginning of this one: its history was rewritten")


# --- files


def decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"{text[:40]!r} is not base64") from None


def signed(note, vkey):
    """Size, root and text of a checkpoint that the key signed."""
    name, identity, key = vkey.strip().split("+", 2)
    public_key = decoded(key)[1:]
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    if sha256(f"{name}\n\x01".encode() + public_key)[:4].hex() != identity:
        raise Wrong("the key does not belong to its id")
    ours = [line.split(" ") for line in signatures.splitlines()]
    ours = [decoded(line[2]) for line in ours if len(line) == 3 and line[:2] == ["\u2014", name]]
    ours = [raw[4:] for raw in ours if raw[:4].hex() == identity]
    if not ours or not all(signed_by(public_key, text.encode(), raw) for raw in ours):
        raise Wrong(f"it is not signed by {name}+{identity}")
    lines = text.splitlines()
    if lines[0] != name:
        raise Wrong(f"it is of the log {lines[0]!r}")
    return int(lines[1]), decoded(lines[2]), text


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
    """Every entry of the bundle in order, as exact bytes."""
    folder, bundles, leaves = HERE / "tile" / "entries", [], []
    for file in filter(Path.is_file, folder.rglob("*")):
        whole, _, width = file.relative_to(folder).as_posix().partition(".p/")
        bundles.append((int(re.sub("[x/]", "", whole)), int(width or 256), file.read_bytes()))
    for number, width, data in sorted(bundles):
        at, items = 0, []
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            items.append(data[at + 2 : end])
            at = end
        if number * 256 != len(leaves) or len(items) != width or at != len(data):
            raise Wrong(f"bundle {number} is damaged, or one before it is missing")
        leaves += items
    return leaves


class Checks:
    """What was checked, printed line by line."""

    def __init__(self):
        self.failed = 0

    def check(self, what, work):
        try:
            said = work()
        except Wrong as error:
            self.failed += 1
            print(f"FAILED  {what}: {error}.")
            return None
        print(f"ok      {what}.")
        return said


def signed_root(note, vkey, root_at, here):
    size, root, _ = signed(note, vkey)
    if size > here:
        raise Wrong(f"it signs {size} entries and {here} are here")
    if root_at[size] != root:
        raise Wrong(f"its first {size} entries are not those that were signed")


def whole_log(checks, vkey, newest, kept):
    leaves = checks.check("The entries can be read", entries) or []
    hashes = [leaf_hash(leaf) for leaf in leaves]
    files = sorted((HERE / "checkpoints").glob("*.note"), key=lambda file: int(file.stem))
    notes = [(f"Checkpoint {file.stem} holds", file.read_text(encoding="utf-8")) for file in files]
    notes += [(f"The log still begins with what {name} says", note) for name, note in kept]
    root_at = roots(hashes, [int(size) for _, note in notes for size in re.findall(r"\A.+\n(\d+)\n", note)])

    def complete():
        if signed(newest, vkey)[0] != len(leaves):
            raise Wrong(f"{len(leaves)} entries are here")

    checks.check("The newest checkpoint signs all the entries, no more and no less", complete)
    for what, note in notes:
        checks.check(what, lambda note=note: signed_root(note, vkey, root_at, len(leaves)))
    reports(checks, [json.loads(leaf) for leaf in leaves])


def reports(checks, said):
    """The files of the monthly reports, against their hashes in the log."""
    kinds = ("decision.report_published", "decision.report_amended")
    published = [entry["details"] for entry in said if entry["kind"] in kinds]
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


def proof(file, vkey):
    """Parts of a proof file: its kind, its number, its hashes, and the size and root it leads to."""
    head, _, note = file.read_text(encoding="utf-8").partition("\n\n")
    kind, about, *path = head.split("\n")
    size, root, _ = signed(note, vkey)
    return kind, int(about.split(" ")[1]), [decoded(each) for each in path], size, root


def single_entry(file, vkey):
    _, index, path, size, root = proof(file, vkey)
    opened = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    included(leaf_hash(opened["leaf"].encode()), index, size, path, root)
    said = json.loads(opened["leaf"])
    for field, secret in opened.get("opened", {}).items():
        name = {"query": "input_commitment", "answer": "output_commitment"}[field]
        made = hmac.new(bytes.fromhex(secret["nonce"]), secret["text"].encode(), "sha256").hexdigest()
        if made != said[name]:
            raise Wrong(f"its {field} is not the text that was committed to")


def consistent(note, vkey, newest):
    size, root, _ = signed(note, vkey)
    new_size, new_root, _ = signed(newest, vkey)
    if size > new_size:
        raise Wrong(f"it signs {size} entries and the newest checkpoint {new_size}: entries were taken away")
    file = HERE / "consistency" / f"{size}.proof"
    if size < new_size and not file.is_file():
        raise Wrong(f"no proof from {size} entries on is here; ask for one: aiops audit bundle --kept")
    extends(size, root, new_size, new_root, proof(file, vkey)[2] if size < new_size else [])


def main():
    """Check what is in the folder and say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, action="append", default=[], help="file with a checkpoint")
    parser.add_argument("--key", help="the verifier key, if you have it from elsewhere")
    given = parser.parse_args()
    checks, vkey = Checks(), given.key or (HERE / "keys.txt").read_text(encoding="utf-8")
    newest = (HERE / "checkpoint").read_text(encoding="utf-8")
    kept = [(file.name, note) for file in given.kept for note in notes_in(file) or [""]]
    checks.check("The newest checkpoint is signed by the log's key", lambda: signed(newest, vkey))
    if (HERE / "tile").is_dir():
        whole_log(checks, vkey, newest, kept)
    for file in sorted((HERE / "entries").glob("*.tlog-proof")):
        checks.check(f"Entry {file.stem} is in the log", lambda file=file: single_entry(file, vkey))
    for name, note in [] if (HERE / "tile").is_dir() else kept:
        what = f"The log still begins with what {name} says"
        checks.check(what, lambda note=note: consistent(note, vkey, newest))
    print("\nNOT intact." if checks.failed else "\nEverything that was checked holds.")
    if not kept:
        print("Nothing you kept yourself was held against it (--kept): an earlier history could differ.")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
