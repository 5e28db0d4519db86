"""Is a log witnessed: what its checkpoints carry and what its witnesses say now, held against the policy.

A cosignature shows that a witness had seen so much at that time and nothing more. So a log whose witnesses
cannot be asked is unwitnessed since the last one, however good that one is: its tail may have been dropped
with everything that was signed over it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.cosignature import claimed_times, cosigned_at, witness_key
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.compliance.key_history import KeyHistory, NotInForce
from aiops_pipelines.compliance.merkle import roots_at
from aiops_pipelines.compliance.signed_note import NoteInvalid
from aiops_pipelines.compliance.witness_settings import Witnesses
from aiops_pipelines.wording import count, listed, moment

LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a cosignature may name a later one."""
NO_WITNESS = "No witness is named for this log, so nobody but its keepers vouches for it."


@dataclass(frozen=True)
class Heard:
    """What a witness answered when it was asked for the last checkpoint it cosigned, or why it did not."""

    name: str
    note: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class Witnessing:
    """Whether the policy is met now, in a sentence, and what the witnesses contradict."""

    named: bool
    met: bool
    sentence: str
    findings: tuple[Finding, ...] = ()

    @property
    def unmet(self) -> bool:
        """True where witnesses are to vouch for the log, or once did, and now do not."""
        return not self.met and self.sentence != NO_WITNESS


@dataclass(frozen=True)
class Since:
    """The last checkpoint that enough witnesses cosigned: its size, and when the last one needed did."""

    size: int
    time_s: int

    def __str__(self) -> str:
        """Return it as it is said: 7 Sep 2026 06:00 UTC (tree size 943)."""
        at = datetime.fromtimestamp(min(self.time_s, LAST_SECOND), UTC)
        return f"{moment(at)} (tree size {count(self.size)})"


def cosigners(note: str, policy: Witnesses) -> dict[str, int]:
    """When each witness of the policy cosigned this note, Unix seconds; one whose signature fails did not."""
    times = {}
    for place in policy.places:
        try:
            if time_s := cosigned_at(note, witness_key(place.vkey)):
                times[place.name] = time_s
        except NoteInvalid:
            continue
    return times


def last_witnessed(notes: Sequence[str], policy: Witnesses, keys: KeyHistory) -> Since | None:
    """The largest checkpoint that enough witnesses cosigned, the latest of its size, if there is one."""
    found = []
    for note in notes:
        times = sorted(cosigners(note, policy).values())
        if len(times) >= policy.quorum and (signed := _signed(note, keys)):
            found.append(Since(signed.size, times[policy.quorum - 1]))
    return max(found, key=lambda since: (since.size, since.time_s), default=None)


def witnessing(
    policy: Witnesses,
    notes: Sequence[str],
    heard: Sequence[Heard],
    hash_at: Mapping[int, bytes],
    keys: KeyHistory,
) -> Witnessing:
    """Say whether a log is witnessed now.

    Args:
        policy: the witnesses and how many must vouch.
        notes: the log's own signed checkpoints.
        heard: what the witnesses answered now.
        hash_at: the log's leaf hashes by index.
        keys: that sign the log.
    """
    if not policy.places:
        return _nobody(notes, keys)
    nothing = sum(not (one.note or one.failure) for one in heard)
    if not hash_at and not notes and nothing >= policy.quorum and not any(one.note for one in heard):
        return Witnessing(True, True, "Its witnesses have seen nothing of this log either.")
    newest = max((signed.size for note in notes if (signed := _signed(note, keys))), default=0)
    vouching, why, findings = [], [], []
    for one in heard:
        held, problem, grave = _held(one, policy, hash_at, keys)
        if grave:
            findings.append(Finding("error", None, None, None, problem))
        elif problem:
            why.append(problem)
        elif held < newest:
            why.append(f"{one.name} has cosigned {count(held)} of {_entries(newest)}.")
        else:
            vouching.append(one.name)
    notes = [*notes, *(one.note for one in heard if one.note)]
    since = last_witnessed(notes, policy, keys)
    if len(vouching) >= policy.quorum and not findings:
        needed = f"{len(vouching)} of {len(policy.places)}, {policy.quorum} needed"
        said = f"Witnessed up to {_entries(newest)} by {listed(vouching)} ({needed})"
        return Witnessing(True, True, f"{said}. {' '.join(why)}".strip())
    said = f"Unwitnessed since {since}" if since else f"Never witnessed, {policy.quorum} needed"
    return Witnessing(True, False, f"{said}. {' '.join(why)}".strip(), tuple(findings))


def tlog_policy(log_vkey: str, policy: Witnesses) -> str:
    """The policy as a C2SP tlog-policy, for other people's verifiers."""
    witnesses = [f"witness {place.name} {place.vkey}" for place in policy.places]
    names = " ".join(place.name for place in policy.places)
    group = [f"group of-these {policy.quorum} {names}", "quorum of-these", ""]
    return "\n".join([f"log {log_vkey}", *witnesses, *group])


def _nobody(notes: Sequence[str], keys: KeyHistory) -> Witnessing:
    """Without witnesses a log that once had some is unwitnessed since; whether theirs hold nobody can say."""
    found = [
        Since(signed.size, max(times))
        for note in notes
        if (signed := _signed(note, keys)) and (times := claimed_times(note))
    ]
    if not found:
        return Witnessing(False, False, NO_WITNESS)
    since = max(found, key=lambda one: (one.size, one.time_s))
    return Witnessing(
        False, False, f"Unwitnessed since {since}. The system's file names no witness any more."
    )


def _held(
    heard: Heard, policy: Witnesses, hash_at: Mapping[int, bytes], keys: KeyHistory
) -> tuple[int, str, bool]:
    """How much of the log a witness holds, what stands against it, and whether that contradicts the log."""
    name = heard.name
    if heard.failure or heard.note is None:
        return 0, heard.failure or f"{name} has cosigned nothing of this log.", False
    if name not in cosigners(heard.note, policy):
        return 0, f"{name} showed a checkpoint that it did not cosign.", False
    if not (signed := _signed(heard.note, keys)):
        return 0, f"{name} cosigned a checkpoint that no key of this log signed: it was replaced.", True
    if signed.size > len(hash_at):
        lost = f"{name} cosigned {count(signed.size)} and the log ends after {count(len(hash_at))}"
        return 0, f"{_entries(signed.size - len(hash_at))} lost: {lost}.", True
    if roots_at(hash_at, [signed.size]).get(signed.size) != signed.root:
        what = f"The first {count(signed.size)} entries are not those that {name} cosigned"
        return 0, f"{what}: the history was rewritten.", True
    return signed.size, "", False


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{count(number)} entries"


def _signed(note: str, keys: KeyHistory) -> Checkpoint | None:
    """What a note of the log says; of a key that was not in force too, for a witness may not know that."""
    try:
        return keys.verify(note)
    except NotInForce as error:
        return error.signed
    except NoteInvalid:
        return None
