"""What `verify.py` computes: Ed25519, Merkle trees, signed notes, which keys are in force, who cosigned.

After RFC 8032, RFC 9162 and C2SP signed-note, tlog-checkpoint, tlog-cosignature and tlog-policy, with nothing
but Python 3.9 or later. Nothing is read from files here.
"""

import base64
import binascii
import hashlib

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
BASE_Y = 4 * pow(5, PRIME - 2, PRIME) % PRIME
LOG, WITNESS = b"\x01", b"\x04"
ROTATED, REVOKED = "decision.key_rotated", "decision.key_revoked"
CHANGES = {ROTATED: "aiops_pipelines/key-rotation/1", REVOKED: "aiops_pipelines/key-revocation/1"}


class Wrong(Exception):
    """Something that does not hold; the message says what."""


class NotInForce(Wrong):
    """A checkpoint by a key that may not sign a tree of its size; up to `honest` it might, before a theft."""

    def __init__(self, message, honest):
        super().__init__(message)
        self.honest = honest


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


# --- notes


def decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"{text[:40]!r} is not base64") from None


def parsed(vkey, kind=LOG):
    """Name, id and public key of a verifier key."""
    name, _, rest = vkey.strip().partition("+")
    identity, _, key = rest.partition("+")
    raw = decoded(key)
    if raw[:1] != kind or len(raw) != 33:
        raise Wrong(f"{vkey[:60]!r} is no key of this kind")
    if sha256(f"{name}\n".encode() + raw)[:4].hex() != identity:
        raise Wrong("the key does not belong to its id")
    return name, identity, raw[1:]


def split(note):
    """The text of a note, and its signatures as name, key id in hex and bytes."""
    text, blank, lines = note.rpartition("\n\n")
    signatures = [line.split(" ") for line in lines.splitlines()]
    raws = [(one[1], decoded(one[2])) for one in signatures if len(one) == 3 and one[0] == "\u2014"]
    return f"{text}\n" if blank else "", [(name, raw[:4].hex(), raw[4:]) for name, raw in raws]


def signed_by_key(note, vkey):
    """Whether a note carries this key's signature; one that does not hold is an error."""
    name, identity, public_key = parsed(vkey)
    text, signatures = split(note)
    ours = [raw for one, key_id, raw in signatures if (one, key_id) == (name, identity)]
    if not all(signed_by(public_key, text.encode(), raw) for raw in ours):
        raise Wrong(f"the signature of {name}+{identity} does not hold")
    return bool(ours)


def said(note):
    """Origin, size and root of a checkpoint, whoever signed it."""
    lines = split(note)[0].splitlines()
    if len(lines) < 3 or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise Wrong("it is no checkpoint")
    return lines[0], int(lines[1]), decoded(lines[2])


def signed(note, keys):
    """Size and root of a checkpoint that a key signed which was in force at that size.

    `keys` are those of `history`.
    """
    ours = [key for key in keys if signed_by_key(note, key[0])]
    if not ours:
        raise Wrong(f"it is not signed by {' or '.join('+'.join(parsed(key[0])[:2]) for key in keys)}")
    origin, size, root = said(note)
    if origin != parsed(ours[0][0])[0]:
        raise Wrong(f"it is of the log {origin!r}")
    if not any(first <= size <= last for _, first, last, _ in ours):
        what = f"its key was not in force at {size} entries: retired, revoked, or not there yet"
        raise NotInForce(what, ours[-1][3])
    return size, root


# --- keys


def history(vkey, entries):
    """The keys of a log as its entries say: key, first and last size it may sign, last it honestly might.

    `entries` are decoded entries by index; `vkey` is a key of the log that you know, from any time.
    """
    about = [(i, one) for i, one in sorted(entries.items()) if one.get("kind") in CHANGES]
    first, always = vkey.strip(), 2**63
    for _, entry in reversed(about):  # rotations between strangers lead nowhere
        note = entry["details"]["note"]
        old, new = split(note)[0].split("\n")[2:4]
        if entry["kind"] == ROTATED and new == first and all(signed_by_key(note, k) for k in (old, new)):
            first = old
    keys = [(first, 0, always, -1)]
    for index, entry in about:
        note = entry["details"]["note"]
        kind, origin, named, other, *_ = split(note)[0].split("\n")
        force, since, until, honest = keys[-1]
        if kind != CHANGES[entry["kind"]] or origin != parsed(force)[0] or not signed_by_key(note, force):
            raise Wrong(f"entry {index} changes a key and is not signed by the one in force")
        if entry["kind"] == ROTATED:
            if force != named or other in [key for key, *_ in keys] or not signed_by_key(note, other):
                raise Wrong(f"entry {index} follows another key than the one in force")
            keys[-1:] = [(force, since, min(until, index + 1), honest), (other, index + 1, always, -1)]
        elif named not in [key for key, *_ in keys]:
            raise Wrong(f"entry {index} revokes no key of this log")
        else:
            keys = [
                (key, a, min(z, int(other)), max(h, min(z, index))) if key == named else (key, a, z, h)
                for key, a, z, h in keys
            ]
    return keys


# --- witnesses


def policy(text):
    """Witnesses by name and the quorum of a C2SP tlog-policy, as a function of who cosigned."""
    witnesses, groups, quorum = {}, {}, None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["witness"]:
            witnesses[words[1]] = words[2]
        elif words[:1] == ["group"]:
            needed = {"all": len(words) - 3, "any": 1}.get(words[2]) or int(words[2])
            groups[words[1]] = needed, words[3:]
        elif words[:1] == ["quorum"]:
            quorum = words[1]

    def met(name, by):
        if name in groups:
            needed, members = groups[name]
            return sum(met(member, by) for member in members) >= needed
        return name in by

    return witnesses, lambda by: quorum == "none" or (quorum is not None and met(quorum, by))


def cosigned(note, witnesses):
    """When each of these witnesses cosigned a note; a cosignature that does not hold is an error."""
    text, signatures = split(note)
    times = {}
    for witness, vkey in witnesses.items():
        name, identity, public_key = parsed(vkey, WITNESS)
        for one, key_id, raw in signatures:
            if (one, key_id) == (name, identity):
                at = int.from_bytes(raw[:8], "big")
                if not signed_by(public_key, f"cosignature/v1\ntime {at}\n{text}".encode(), raw[8:]):
                    raise Wrong(f"the cosignature of {name} does not hold")
                times[witness] = max(at, times.get(witness, 0))
    return times
