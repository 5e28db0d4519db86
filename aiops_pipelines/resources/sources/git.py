"""A git repository at a revision as a source, read with the `git` command and never checked out.

A file's version is the commit that brought it to its present content on that branch, and its time that
commit's. A repository elsewhere is kept as a bare copy, which `state` and `files` bring up to date.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO
from weakref import finalize

from aiops_pipelines.resources.sources.base import Content, CorpusError, File, hidden, moment
from aiops_pipelines.resources.sources.folder import BAD_NAME
from aiops_pipelines.resources.unreadable import UnreadableFile

TIMEOUT_S = 300
SAID = 400
"""Characters of git's own words that are told; the last line alone is often but a hint."""
LINK = "It is a link; put the document itself there."
MODULE = "It is another repository (a submodule); make it a corpus of its own."
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",  # a run waits for nobody's password
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",  # ext:: runs any command
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
LEADING_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}
"""Set where git itself started this process; they would make it read another repository."""


@dataclass(frozen=True)
class GitRevision:
    """A folder of a repository at a revision.

    Args:
        url: a path, or the address of a repository elsewhere.
        revision: branch, tag or commit.
        folder: folder inside the repository; empty for all of it.
        copies: where bare copies of repositories elsewhere are kept.
    """

    url: str
    revision: str
    folder: str
    copies: Path

    @property
    def place(self) -> str:
        """Repository and revision."""
        inside = f"{self.folder} in " if self.folder else ""
        return f"{inside}the git repository {self.url} at {self.revision}"

    def state(self) -> str:
        """Return the commit the revision stands at now; a commit's own name is not listed elsewhere.

        Asked for main, a repository lists release/main too, so the names are tried in git's own order.
        """
        if not self._elsewhere:
            return self._commit(self.revision)
        listed = self._git("ls-remote", "--", self.url, self.revision, inside=False).decode(
            "utf-8", "replace"
        )
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        names = (f"{place}{self.revision}" for place in ("", "refs/", "refs/tags/", "refs/heads/"))
        return next((commits[name] for name in names if name in commits), self.revision)

    def files(self) -> list[File]:
        """Return the files of the revision; the etag is the blob's id, so it moves with the content alone."""
        for seen in ("commit", "_history"):  # a branch moves on
            vars(self).pop(seen, None)
        tree = f"{self.commit}:{self._within}"
        try:
            listed = self._git("ls-tree", "-r", "-z", "--long", "--full-tree", tree)
        except GitError as error:
            said = f"There is no folder {self._within} in the git repository {self.url} at {self.revision}"
            raise CorpusError(f"{said}; change corpus.folder.") from error
        return list(_files(listed))

    def content(self, file: File) -> Content:
        """Return the bytes of a file at the revision that was listed."""
        stream, answers = self._objects
        stream.write(f"{file.etag}\n".encode())
        stream.flush()
        found = answers.readline().split()
        if len(found) != 3:
            raise UnreadableFile("The repository does not hold it; run git fsck there.")
        data = answers.read(int(found[2]))
        answers.read(1)
        commit, at = self._history.get(file.document, (self.commit, None))
        return Content(data, at, commit)

    def author(self, document: str) -> str | None:
        """Return the author of the commit that brought a document here."""
        commit, _ = self._history.get(document, (self.commit, None))
        return self._git("log", "-1", "--format=%an", commit).decode("utf-8", "replace").strip() or None

    @cached_property
    def commit(self) -> str:
        """The commit that was listed; a copy is brought up to date first."""
        if not self._elsewhere:
            return self._commit(self.revision)
        if not (self._repository / "HEAD").exists():
            self._repository.parent.mkdir(parents=True, exist_ok=True)
            self._git("init", "--bare", "--quiet", str(self._repository), inside=False)
        wanted = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        self._git("fetch", "--quiet", "--prune", "--no-auto-maintenance", "--", self.url, *wanted)
        if self.revision == "HEAD":
            return self.state()
        return self._commit(self.revision)

    def _commit(self, revision: str) -> str:
        self._git("rev-parse", "--git-dir")
        try:
            found = self._git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
        except GitError as error:
            said = f"The git repository {self.url} has no revision {revision}; change corpus.revision."
            raise CorpusError(said) from error
        return found.decode().strip()

    @cached_property
    def _history(self) -> dict[str, tuple[str, datetime | None]]:
        """The last commit of each file, along the first parents: when it came to this branch.

        A commit is told from a name by the slash before it, with which no path in a tree begins.
        """
        within = f"{self._within}/" if self._within else ""
        log = ["log", "--first-parent", "-m", "--name-only", "--no-renames", "-z", "--format=/%H %ct"]
        found: dict[str, tuple[str, datetime | None]] = {}
        last: tuple[str, datetime | None] = (self.commit, None)
        for entry in self._git(*log, self.commit, "--", within or ".").decode("utf-8", "replace").split("\0"):
            if entry.startswith("/"):
                commit, _, seconds = entry[1:].partition(" ")
                last = (commit, moment(int(seconds) * 10**9))
            else:
                found.setdefault(entry.removeprefix("\n").removeprefix(within), last)
        return found

    @cached_property
    def _objects(self) -> tuple[IO[bytes], IO[bytes]]:
        """One git process that hands over blobs, ended with the source."""
        process = subprocess.Popen(
            [*self._command, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )
        assert process.stdin and process.stdout
        finalize(self, process.communicate)  # closes its input, which ends it
        return process.stdin, process.stdout

    @property
    def _within(self) -> str:
        return self.folder.strip("/") if self.folder not in (".", "./") else ""

    @cached_property
    def _elsewhere(self) -> bool:
        return is_elsewhere(self.url)

    @cached_property
    def _repository(self) -> Path:
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        return self.copies / f"{name}.git" if self._elsewhere else Path(self.url)

    @cached_property
    def _command(self) -> list[str]:
        return ["git", "--literal-pathspecs", "-C", str(self._repository)]

    @cached_property
    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if key not in LEADING_ELSEWHERE}
        above = str(self._repository.resolve().parent)  # a folder in another repository is none itself
        return own | ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": above}

    def _git(self, *arguments: str, inside: bool = True) -> bytes:
        if inside and not self._repository.is_dir():
            raise CorpusError(f"There is no git repository {self.url}; create it or change corpus.git.")
        try:
            done = subprocess.run(
                [*(self._command if inside else ["git"]), *arguments],
                capture_output=True,
                timeout=TIMEOUT_S,
                env=self._environment,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise CorpusError("The git command is missing; install git to read a git repository.") from error
        except subprocess.TimeoutExpired as error:
            raise CorpusError(f"{self.url} did not answer git within {TIMEOUT_S} s; try again.") from error
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-SAID:]
            raise GitError(f"git cannot read {self.url}: {said or arguments[0] + ' failed'}")
        return done.stdout


class GitError(CorpusError):
    """The git command failed; the message holds what it said, the end of it where that is long."""


def is_elsewhere(url: str) -> bool:
    """Return whether this is the address of a repository elsewhere and not a path: a scheme, or host:path."""
    return "://" in url or bool(re.match(r"[^/]+:", url))


def _files(listed: bytes) -> Iterator[File]:
    for entry in listed.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        mode, kind, blob, size = meta.decode().split()
        name = path.decode("utf-8", "replace")
        if hidden(name):
            continue
        if path != name.encode():
            yield File(name, etag=blob, refusal=BAD_NAME)
        elif kind == "commit":
            yield File(name, etag=blob, refusal=MODULE)
        elif mode == "120000":
            yield File(name, etag=blob, refusal=LINK)
        else:
            yield File(name, int(size), etag=blob)
